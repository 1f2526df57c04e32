"""Claims with their verdicts -> one page, report/index.html, that needs nothing but itself.

Its figures are inside it, at screen size; the files beside it are only linked to. The same entries and files give the
same bytes. How it looks is all in templates/report.html.j2; how values read is all here.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from math import floor, isfinite, isnan, log10
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from shallowexp.claims.claim import Claim
from shallowexp.claims.verdict import OUTCOMES, REFUTED, SUPPORTED, Estimate, Verdict
from shallowexp.report.entries import Entry

SCREEN, CARD = 1920, 720  # pixels across: a figure in its section, and in the overview; twice what a screen shows
ROWS = 20  # of a table of numbers
MINUS = "\u2212"  # read aloud, where a hyphen is not


class Picture(NamedTuple):
    """An image as the page embeds it."""

    source: str  # a data URI
    width: int
    height: int


class Bar(NamedTuple):
    """Where zero and an interval lie across a drawing of it, in percent."""

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


def write(entries: Sequence[Entry], output: Path, about: Mapping[str, str], absent: Sequence[str] = ()) -> Path:
    """Write output/index.html about the files <name>.png, .svg, .pdf, .csv and -runs.csv in `output`.

    Of the files only the PNG must be there. `about` is shown last, a line for each key; `absent` names experiments
    that have no runs at all.
    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "anchor": lambda claim: "claim-" + re.sub(r"[^\w-]", "-", claim.name),
        "background": background,
        "bar": bar,
        "duration": duration,
        "interval": interval,
        "lists": lists,
        "summary": summary,
        "thousands": "{:,}".format,
    }
    counts = [(sum(entry.verdict.outcome == outcome for entry in entries), outcome) for outcome in OUTCOMES]
    page = templates.get_template("report.html.j2").render(
        entries=entries,
        about=about,
        absent=absent,
        counts=[(count, outcome) for count, outcome in counts if count],
        picture=lambda name, width=SCREEN: picture(output / f"{name}.png", width),
        small=lambda name: picture(output / f"{name}.png", CARD),
        there=lambda name: (output / name).is_file(),
    )
    path = output / "index.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def picture(path: Path, width: int) -> Picture:
    """The image on white, no wider than `width`; in 256 colours, enough for a figure, it has a third of the bytes."""
    with Image.open(path) as file:
        image = Image.new("RGBA", file.size, "white")
        image.alpha_composite(file.convert("RGBA"))
    image = image.convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    content = BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return Picture("data:image/png;base64," + b64encode(content.getvalue()).decode(), *image.size)


def background(claim: Claim) -> list[str]:
    """What the claim's docstring says beyond the claim and its section, in paragraphs."""
    paragraphs = [" ".join(text.split()) for text in claim.docstring.split("\n\n")[1:]]
    return [text for text in paragraphs if text and not re.fullmatch(r"Section: .*", text)]


def interval(effect: Estimate) -> str:
    """An effect to the two digits that its interval's width warrants."""
    if isnan(effect.value):
        return "none yet"
    if not (isfinite(effect.low) and isfinite(effect.high)):
        return f"{signed(effect.value, '.4g')}, no interval"
    width = effect.high - effect.low
    spec = f".{min(6, max(0, 1 - floor(log10(width))))}f" if width > 0 else ".4g"
    value, low, high = (signed(number, spec) for number in effect)
    return f"{value} [{low}, {high}]"


def lists(verdict: Verdict) -> list[tuple[str, str, list[str]]]:
    """The parts that hold and those that do not, each list after its title and the outcome whose sign it bears."""
    titles = ("Holds", SUPPORTED, True), ("Does not hold", REFUTED, False)
    found = [
        (title, sign, [name for name, holds in verdict.parts.items() if holds == held]) for title, sign, held in titles
    ]
    return [row for row in found if row[-1]]


def signed(value: float, spec: str) -> str:
    return f"{value:+{spec}}".replace("-", MINUS)


def bar(effect: Estimate) -> Bar | None:
    """None where there is no interval to draw."""
    if not all(map(isfinite, effect)):
        return None
    start, end = min(0, *effect), max(0, *effect)
    span = end - start or 1
    return Bar(*(round(4 + 92 * (position - start) / span, 2) for position in (0, *effect)))


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
