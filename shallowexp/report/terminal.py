"""What the report says on the terminal while it is made."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shallowexp.claims.verdict import INCONCLUSIVE
from shallowexp.report.entries import Entry
from shallowexp.report.page import interval

COLORS = {"supported": "green", "refuted": "red", "conditional": "yellow", INCONCLUSIVE: "dim"}
console = Console(soft_wrap=True, highlight=False)


def say(text: str, style: str = "") -> None:
    """A line, as it stands."""
    console.print(escape(text), style=style)


def show(entries: Iterable[Entry]) -> None:
    """A row for each entry."""
    table = Table("experiment", "verdict", "parts", "effect [95% interval]", "runs")
    for entry in entries:
        outcome, parts = entry.verdict.outcome, entry.verdict.parts.values()
        table.add_row(
            entry.claim.name,
            f"[{COLORS[outcome]}]{outcome}[/]",
            f"{sum(parts)}/{len(parts)}" if outcome != INCONCLUSIVE else "",
            escape(interval(entry.verdict.effect)),
            str(entry.runs),
        )
    console.print(table)
