"""`python -m shallowexp.report.chapter [claims.json's folder]`: docs/chapter.md, every statement with its atoms, from a report.

Without a folder from docs/claims.json, a copy of the last whole report's, which is made with one, as are README's figures. Digits that
benchmarks/stability.py saw moving are not shown.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from shallowexp import CONF
from shallowexp.claims.claim import find
from shallowexp.claims.statement import Atom, Judgement, chapter
from shallowexp.report.entries import CLAIMS, Entry, judge_all, read
from shallowexp.report.page import interval

DOCS = CONF.parent / "docs"
IMAGES = ("symmetry.png", "symmetry.gif")  # README's
STABILITY = "stability.json"  # experiment -> atom -> how far it moves when the initial weights do, by one part in 1e15
KINDS = {"d": "definition", "a": "advice"}


def key(atom: Atom) -> str:
    """What tells the atoms of an experiment apart."""
    return f"{atom.statement}: {atom.text} ({atom.scope})"


def stability(folder: Path = DOCS) -> dict[str, float]:
    """Atom -> how far it moves, where that was measured."""
    found = json.loads((folder / STABILITY).read_text(encoding="utf-8"))
    return {name: moved for atoms in found.values() for name, moved in atoms.items()}


def render(entries: Sequence[Entry], moved: Mapping[str, float]) -> str:
    """Markdown; the same entries give the same text."""
    return "\n".join(_lines(entries, judge_all(entries), moved)) + "\n"


def _lines(entries: Sequence[Entry], judged: Sequence[Judgement], moved: Mapping[str, float]) -> Iterator[str]:
    runs, last = sum(entry.runs for entry in entries), max(entry.ended for entry in entries)
    yield "# The chapter, statement by statement\n"
    yield f"What {runs:,} trained networks say of each statement, in our words and the chapter's order (runs up to {last:%Y-%m-%d})."
    yield "Made by `python -m shallowexp.report.chapter`; how atoms are judged: [statistics.md](statistics.md)."
    yield "Digits that move with one part in 1e15 of the initial weights (`python -m benchmarks.stability`) are not shown.\n"
    yield "| no. | section | the chapter says | outcome | experiments |"
    yield "| --- | --- | --- | --- | --- |"
    outcomes = {found.statement.number: found for found in judged}
    for number, statement in chapter().items():
        found = outcomes.get(number)
        outcome = (
            f"[{found.outcome}](#{_anchor(number)})"
            if found and found.atoms
            else KINDS.get(statement.kind[0], "no runs yet")
        )
        names = [entry.claim.name for entry in entries if number in {atom.statement for atom in entry.atoms}]
        links = ", ".join(f"[{name}](../experiments/{name}.py)" for name in names)
        yield f"| {number} | {statement.section} | **{statement.title}.** {_plain(statement.text)} | {outcome} | {links} |"
    corrected = {atom: outcome for found in judged for atom, outcome in zip(found.atoms, found.outcomes, strict=True)}
    for found in judged:
        if found.atoms:
            yield f'\n<a id="{_anchor(found.statement.number)}"></a>\n'
            yield f"## {found.statement.number}. {found.statement.title}: {found.outcome}\n"
            yield f"{found.statement.text} {found.condition}".strip() + "\n"
            yield from _table(found.atoms, corrected, moved)
    beyond = [atom for entry in entries for atom in entry.atoms if not atom.statement]
    yield "\n## Beyond the chapter\n"
    yield from _table(beyond, corrected, moved)
    yield "\n## When the hypotheses were fixed\n"
    yield from (f"- `{entry.claim.name}`: {entry.registered}" for entry in entries)


def _table(atoms: Sequence[Atom], corrected: Mapping[Atom, str], moved: Mapping[str, float]) -> Iterator[str]:
    yield "| role | hypothesis | where | outcome | effect [95% interval] |"
    yield "| --- | --- | --- | --- | --- |"
    for atom in atoms:
        effect = interval(atom, moved.get(key(atom), 0.0)) + (f"; margin {atom.margin:g}" if atom.expects else "")
        detail = f" ({atom.detail})" if atom.detail else ""
        words = [atom.role, atom.text + detail, atom.scope, corrected.get(atom, atom.outcome()), effect]
        yield f"| {' | '.join(map(_plain, words))} |"


def _anchor(number: str) -> str:
    return f"statement-{number}"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    if sys.argv[1:]:
        shutil.copy(Path(sys.argv[1]) / CLAIMS, DOCS / CLAIMS)
        for name in IMAGES:
            shutil.copy(Path(sys.argv[1]) / name, DOCS / "images" / name)
    (DOCS / "chapter.md").write_text(render(list(read(DOCS, find()).values()), stability()), encoding="utf-8")


if __name__ == "__main__":
    main()
