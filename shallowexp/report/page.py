"""Statements, experiments and their atoms -> one page, report/index.html, that needs nothing but itself.

Its figures are inside it, at screen size; the files beside it are only linked to. The same entries and files give the
same bytes. How it looks is all in templates/report.html.j2; how values read is all here.
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from math import floor, isfinite, log10
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shallowexp.claims.claim import Claim
from shallowexp.claims.live import ingredients
from shallowexp.claims.statement import (
    AGAINST,
    CHECKED,
    CONDITION,
    CONTRADICTED,
    FOR,
    HOLDS,
    INCONCLUSIVE,
    NO_DIFFERENCE,
    OTHER_REASON,
    OUTCOMES,
    REFUTED,
    RIGHT,
    WRONG,
    Atom,
    Judgement,
    chapter,
)
from shallowexp.report.drawing import drawing
from shallowexp.report.entries import Entry
from shallowexp.report.fields import Group
from shallowexp.report.picture import CARD, SCREEN, picture

FILE = "index.html"
TEMPLATES = Path(__file__).parent / "templates"
FEW = 5  # of sentences on what the chapter has wrong, or does not say
DECIDING = ("stated", "reason")
ROWS = 20  # of a table of numbers
KINDS = {  # an outcome: its sign and colour
    **dict.fromkeys((RIGHT, HOLDS, CHECKED), "right"),
    **dict.fromkeys((WRONG, CONTRADICTED, REFUTED), "wrong"),
    OTHER_REASON: "reason",
    CONDITION: "condition",
    NO_DIFFERENCE: "equal",
    INCONCLUSIVE: "open",
}
MINUS = "\u2212"  # read aloud, where a hyphen is not


class Bar(NamedTuple):
    """Where the margin, zero and an interval lie across a drawing of it, in percent."""

    left: float  # of the margin, and its width
    width: float
    zero: float
    value: float
    low: float
    high: float


class Summary(NamedTuple):
    """Rows of a table, as words."""

    columns: list[str]
    right: set[str]  # columns of numbers
    rows: list[list[str]]
    total: int  # rows of the whole table


def write(
    entries: Sequence[Entry],
    judged: Sequence[Judgement],
    output: Path,
    about: Mapping[str, str],
    absent: Sequence[str] = (),
    fields: Sequence[Group] = (),
    inputs: str = "",
) -> Path:
    """Write output/index.html about the files <name>.png, .svg, .pdf, .csv and -runs.csv in `output`.

    Of the files only the PNG must be there. `judged` are the chapter's statements with their atoms; `about` is shown last, a
    line for each key; `absent` names experiments that have no runs at all; `fields` are those of the store; `inputs`, a digest of
    all this, ends the page.
    """
    templates = environment()
    templates.filters |= {
        "anchor": lambda claim: "claim-" + re.sub(r"[^\w-]", "-", claim.name),
        "background": background,
        "bar": bar,
        "duration": duration,
        "effect": interval,
        "kind": lambda outcome: KINDS.get(outcome, "none"),
        "said": said,
        "sentence": sentence,
        "sources": sources,
        "strongest": strongest,
        "summary": summary,
        "tally": lambda outcomes: Counter(outcome for _, outcome in outcomes).most_common(),
        "thousands": "{:,}".format,
    }
    corrected = {atom: outcome for found in judged for atom, outcome in zip(found.atoms, found.outcomes, strict=True)}
    counts = Counter(found.outcome for found in judged)
    page = templates.get_template("report.html.j2").render(
        entries=sorted(entries, key=place),
        judged=judged,
        against=against(judged),
        beyond=beyond(entries),
        about=about,
        absent=absent,
        fields=fields,
        inputs=inputs,
        counts=[(counts[outcome], outcome) for outcome in OUTCOMES if counts[outcome]],
        outcomes=lambda told: [(atom, corrected.get(atom) or atom.outcome()) for atom in told.atoms],
        picture=lambda name, width=SCREEN: picture(output / f"{name}.png", width),
        drawing=partial(drawing, output),
        small=lambda name: picture(output / f"{name}-card.png", CARD),
        there=lambda name: (output / name).is_file(),
        live=ingredients(),
        **script("network.js", "live.js", "curves.js", "field.js"),
    )
    path = output / FILE
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def is_of(path: Path, inputs: str) -> bool:
    """Whether the page is there, to its end, and was made from these."""
    return path.exists() and path.read_bytes().endswith(f"<!-- {inputs} -->".encode())


def environment() -> Environment:
    """The templates of pages: what is put into them is text, and what is missing an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def script(*names: str) -> dict[str, str]:
    """A page's script, and the digest by which its content security policy allows this script and no other."""
    text = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    return {"script": text, "digest": b64encode(sha256(text.encode()).digest()).decode()}


def background(claim: Claim) -> list[str]:
    """What the claim's docstring says beyond the claim and its section, in paragraphs."""
    paragraphs = [" ".join(text.split()) for text in claim.docstring.split("\n\n")[1:]]
    return [text for text in paragraphs if text and not re.fullmatch(r"Section: .*", text)]


def interval(atom: Atom, moved: float = 0.0) -> str:
    """An atom's effect to the two digits that its interval's width warrants, with its unit and what was left out.

    Fewer where they would show what `moved`: the effect's change under rounding, which is named where these would be coarser than the margin.
    """
    if atom.value is None:
        return ""
    lost = f", {atom.lost} of {atom.pairs} pairs lost" if atom.lost else ""
    if atom.low is None or atom.high is None:
        return f"{signed(atom.value, '.4g')} {atom.unit}, no interval{lost}"
    digits = [1 - floor(log10(atom.high - atom.low))] if atom.high > atom.low else []
    still = [-1 - floor(log10(2 * moved))] if moved else []
    matters = moved and (not atom.margin or still[0] < -floor(log10(atom.margin)))
    rounding = f", which rounding moves by {moved:.1g}" if matters else ""
    digits += [] if matters else still
    spec = f".{min(6, max(0, min(digits)))}f" if digits else ".4g"
    value, low, high = (signed(number, spec) for number in (atom.value, atom.low, atom.high))
    return f"{value} [{low}, {high}] {atom.unit}{rounding}{lost}"


def sentence(found: Judgement) -> str:
    """Of a statement: its condition, and the strongest that speaks for it, and against it or else the weakest."""
    deciding = [(a, o) for a, o in zip(found.atoms, found.outcomes, strict=True) if a.role in DECIDING]
    measured = [(a, o) for a, o in deciding if a.value is not None]
    held, failed = (sorted((a for a, o in measured if o in kinds), key=strength) for kinds in (FOR, AGAINST))
    chosen = {"strongest": held[-1:], "weakest": held[:-1][:1] if not failed else [], "against it": failed[-1:]}
    words = [f"{name}: {_scope(a)} {interval(a)}" for name, atoms in chosen.items() for a in atoms]
    words = words or [a.detail or a.text for a, _ in deciding[:1]] or ["no runs yet"]
    return f"{found.condition} {_begin('; '.join(words))}.".strip()


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]


def _scope(atom: Atom) -> str:
    return f"{atom.scope} (its reason)" if atom.role == "reason" else atom.scope


def said(entry: Entry, judged: Sequence[Judgement]) -> list[Judgement]:
    """The statements that it helps to decide."""
    numbers = {atom.statement for atom in entry.atoms if atom.role in DECIDING}
    return [found for found in judged if found.statement.number in numbers]


def place(entry: Entry) -> int:
    """Of an experiment in the chapter's order: that of the first statement it helps to decide, or else speaks of."""
    numbers = list(chapter())
    speaks = [atom for atom in entry.atoms if atom.statement]
    decides = [atom for atom in speaks if atom.role in DECIDING]
    return min((numbers.index(atom.statement) for atom in decides or speaks), default=len(numbers))


def strength(atom: Atom) -> float:
    """The effect in margins; of one that is to be small, how far it stays from its margin."""
    effect = abs(atom.value or 0.0) / atom.margin if atom.margin else 0.0
    return effect if atom.expects in ("above", "below") else abs(1 - effect)


def strongest(entry: Entry) -> Atom | None:
    """Of what it says of the chapter."""
    return max((a for a in entry.atoms if a.role == "stated" and a.value is not None), key=strength, default=None)


def against(judged: Sequence[Judgement]) -> list[tuple[Judgement, Atom]]:
    """The strongest effect that speaks against each statement that is not simply right, wrong ones first."""
    found = []
    for one in judged:
        deciding = zip(one.atoms, one.outcomes, strict=True)
        mine = [a for a, o in deciding if o in (CONTRADICTED, NO_DIFFERENCE) and a.role in DECIDING]
        if mine and one.outcome in (WRONG, CONDITION, OTHER_REASON):
            found.append((one, max(mine, key=strength)))
    ranked = sorted(found, key=lambda pair: (pair[0].outcome != WRONG, -strength(pair[1])))
    return ranked[:FEW]


def beyond(entries: Sequence[Entry]) -> list[tuple[Entry, Atom]]:
    """The strongest of each experiment's own findings, the strongest first."""
    found = [(entry, a) for entry in entries for a in entry.atoms if a.role == "extension" and a.outcome() == HOLDS]
    ranked = sorted(found, key=lambda pair: -strength(pair[1]))
    return list({entry.claim.name: (entry, a) for entry, a in reversed(ranked)}.values())[::-1][:FEW]


def sources(found: Judgement, entries: Sequence[Entry]) -> list[Claim]:
    """The experiments that its atoms come from."""
    return [entry.claim for entry in entries if set(entry.atoms) & set(found.atoms)]


def signed(value: float, spec: str) -> str:
    return f"{value:+{spec}}".replace("-", MINUS)


def bar(atom: Atom) -> Bar | None:
    """None where there is no interval to draw."""
    if atom.value is None or atom.low is None or atom.high is None:
        return None
    start, end = min(-atom.margin, atom.low), max(atom.margin, atom.high)

    def across(position: float) -> float:
        return round(3 + 94 * (position - start) / (end - start), 2)

    left, *rest = map(across, (-atom.margin, 0.0, atom.value, atom.low, atom.high))
    return Bar(left, round(across(atom.margin) - left, 2), *rest)


def summary(numbers: pd.DataFrame) -> Summary:
    """The last row of each curve, known by its words, of those with a measure if any; else rows from all over."""
    total = len(numbers)
    if "measure" in numbers and numbers["measure"].notna().any():
        numbers = numbers[numbers["measure"].notna()]  # summaries over runs, rather than the points of one
    labels = list(numbers.select_dtypes(exclude="number"))
    if labels:
        numbers = numbers.drop_duplicates(labels, keep="last")
    if len(numbers) > ROWS:
        numbers = numbers.iloc[[i * (len(numbers) - 1) // (ROWS - 1) for i in range(ROWS)]]
    numbers = numbers.dropna(axis="columns", how="all")
    numbers = numbers[
        [*(label for label in labels if label in numbers), *numbers.columns.difference(labels, sort=False)]
    ]
    rows = [[cell(value) for value in row] for row in numbers.itertuples(index=False, name=None)]
    right = {str(column) for column in numbers if column not in labels}
    return Summary([str(column) for column in numbers], right, rows, total)


def cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, str | bool):
        return str(value)
    whole = isfinite(value) and value == round(value) and abs(value) < 1e7
    return f"{value:{'.0f' if whole else '.4g'}}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """The two largest units that count."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s" if rest else f"{seconds:.1f} s"
