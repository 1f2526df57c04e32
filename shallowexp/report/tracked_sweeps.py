"""The sweeps and fields of a store as a table, and one of them deleted."""

from datetime import UTC, datetime, timedelta

from rich.table import Column, Table

from shallowexp.claims.statement import enumerate_names
from shallowexp.errors import UserError
from shallowexp.report.terminal import console, say, words
from shallowexp.tracking import sweeps
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import TrackedSweep

COUNTS = ("reused", "diverged", "failed")


def show() -> None:
    """A row for each: its name for other commands, how its runs ended, its best run by its objective, its age and its command."""
    store = Store.open(create=False)
    short = [Column(name, no_wrap=True) for name in ("name", "experiment", "status", "runs", "best", "age")]
    table = Table(*short, Column("command", overflow="fold", min_width=24))
    found = sweeps.sweeps_and_fields(store)
    for sweep in found:
        best = sweeps.best(store, sweep)
        told = "" if best is None else f"{sweep.objective} {best:.4g}"
        table.add_row(
            sweep.name, words(sweep.experiment), sweep.status, _counts(sweep), told, _age(sweep), words(sweep.command)
        )
    if not found:
        return say(f"no sweeps in {store.uri}: launch one with shallowexp -m")
    console.print(table)


def delete(reference: str, sure: bool, shared: bool) -> None:
    """Raises UserError where the user does not want it after all, or others may, and TrackingError for a sweep that is running."""
    store = Store.open(create=False)
    sweep = sweeps.find(store, reference, fields=True)
    if not sweep.run_id:
        raise UserError(
            f"{reference} is an experiment: delete it with `mlflow experiments delete`, or name one of its sweeps"
        )
    if not store.uri.startswith("sqlite") and not (shared and sweep.run_id.startswith(reference)):
        raise UserError(
            f"{store.uri} may be shared: `shallowexp-runs delete {sweep.name} --shared` deletes {sweep.kind} {sweep}, which "
            f"{sweep.tags.get('mlflow.user', 'somebody')} launched, for all who use it"
        )
    runs = len(sweeps.ended_children(store, sweep))
    own = f" with {runs} runs and their artifacts" if sweep.kind == "sweep" else " with its artifacts"
    if others := [other.name for other in sweeps.sharing(store, sweep)]:
        own += f", some of them also of {enumerate_names(others)}"
    if not sure and _answer(f"delete {sweep.kind} {sweep}{own}? [y/N] ") != "y":
        raise UserError("nothing was deleted")
    sweeps.delete(store, sweep)
    say(f"deleted: {sweep.kind} {sweep.name}{own}; `mlflow gc` frees their rows in the database")


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:
        return ""


def _counts(sweep: TrackedSweep) -> str:
    few = [f"{n} {name}" for name in COUNTS if (n := sweep.tags.get(f"shallowexp.{name}", "0")) != "0"]
    listed = f" ({', '.join(few)})" if few else ""
    return sweep.size.removesuffix(" runs") + listed


def _age(sweep: TrackedSweep) -> str:
    """In its largest unit."""
    age = datetime.now(UTC) - sweep.started
    for unit, size in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if age >= size:
            return f"{age // size} {unit}"
    return f"{age.seconds} s"
