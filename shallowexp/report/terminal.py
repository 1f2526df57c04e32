"""What the report says on the terminal while it is made."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shallowexp.claims.statement import CHAPTER, CONDITION, INCONCLUSIVE, OTHER_REASON, RIGHT, WRONG, Judgement
from shallowexp.errors import shown

COLORS = {RIGHT: "green", OTHER_REASON: "blue", CONDITION: "yellow", WRONG: "red", INCONCLUSIVE: "dim"}
console = Console(soft_wrap=True, highlight=False)


def say(text: str, style: str = "") -> None:
    """A line, as it stands."""
    console.print(words(text), style=style)


def words(text: str) -> str:
    """Text of any origin, for Rich."""
    return escape(shown(text))


def show(judged: Sequence[Judgement]) -> None:
    """A row for each statement that has atoms, and those without; nothing where none has any, as of a user's own experiments."""
    if not any(found.atoms for found in judged):
        return
    table = Table("no.", "statement", "outcome", "atoms")
    for found in judged:
        if found.atoms:
            color = COLORS[found.outcome]
            number, title = found.statement.number, found.statement.title
            table.add_row(number, escape(title), f"[{color}]{found.outcome}[/]", str(len(found.atoms)))
    console.print(table)
    if lacking := [found.statement for found in judged if not found.atoms]:
        numbers, lines = (
            ", ".join(map(str, found)) for found in zip(*((one.number, one.line) for one in lacking), strict=True)
        )
        say(f"no atoms yet of statements {numbers}: lines {lines} of {CHAPTER}", "dim")
