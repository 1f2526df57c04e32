"""`python -m shallowexp.report.chapter [folder]`: docs/chapter.md, every statement with its atoms, and docs/fields.md's table, from a report.

Of a report in `folder` that has experiments claims.json and README's figures are copied to docs/, of one that has fields their rows
of claims.csv; without a folder these copies are read. Digits that benchmarks/stability.py saw moving are not shown.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shallowexp import CONF
from shallowexp.claims.claim import FIELDS, find
from shallowexp.claims.statement import Atom, Judgement, chapter
from shallowexp.report.entries import CLAIMS, Entry, judge_all, read
from shallowexp.report.page import interval

DOCS = CONF.parent / "docs"
IMAGES = ("symmetry.png", "symmetry.gif")  # README's
TABLE, OF_FIELDS = "fields.csv", f"{FIELDS}/"
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


def field_table(claims: pd.DataFrame) -> list[str]:
    """The table of docs/fields.md, from a report's claims.csv; the choices in the order in which their fields were trained."""
    lines = ["| field | what is asked | outcome | effect [95% interval over seeds] |", "| --- | --- | --- | --- |"]
    for name, rows in reversed([*claims.groupby("experiment", sort=False)]):
        for row in rows.drop(columns="experiment").to_dict("records"):
            outcome = row.pop("outcome")
            values: dict[str, Any] = {key: None if value != value else value for key, value in row.items()}  # NaN
            found = Atom(**values)
            effect = interval(found) or f"no interval, {found.lost} of {found.pairs} pairs lost"
            words = [f"`{name.removeprefix(OF_FIELDS)}`", found.text, outcome, effect]
            lines.append(f"| {' | '.join(map(_plain, words))} |")
    return lines


def _anchor(number: str) -> str:
    return f"statement-{number}"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    if sys.argv[1:]:
        _copy(Path(sys.argv[1]))
    (DOCS / "chapter.md").write_text(render(list(read(DOCS, find()).values()), stability()), encoding="utf-8")
    page, table = DOCS / "fields.md", field_table(read_fields(DOCS / TABLE))
    before, after = re.split(rf"{re.escape(table[0])}(?:\n\|.*)*", page.read_text(encoding="utf-8"))
    page.write_text(before + "\n".join(table) + after, encoding="utf-8")


def _copy(report: Path) -> None:
    if read(report, find()):
        shutil.copy(report / CLAIMS, DOCS / CLAIMS)
        for name in IMAGES:
            shutil.copy(report / name, DOCS / "images" / name)
    if len(of_fields := read_fields(report / "claims.csv")):
        of_fields.to_csv(DOCS / TABLE, index=False)


def read_fields(path: Path) -> pd.DataFrame:
    """The rows of fields in a claims.csv."""
    claims = pd.read_csv(path, keep_default_na=False, na_values=dict.fromkeys(("value", "low", "high"), ""))
    return claims[claims.experiment.str.startswith(OF_FIELDS)]


if __name__ == "__main__":
    main()
