"""Tracked runs -> figures, numbers and verdicts: report/index.html, <name>.{png,svg,pdf,csv}, claims.json and claims.csv.

A figure is drawn from the runs that its experiment's YAML composes now, the newest FINISHED one of each fingerprint. It
carries where it comes from in its metadata, and beside it lie its numbers and its runs. claims.json remembers what each
entry was made from, so that only what changed is drawn again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb

from shallowexp.claims.claim import Claim
from shallowexp.errors import Interrupted, RunsFailed, TrackingError, UserError
from shallowexp.report import entries, fields, plans, publishing
from shallowexp.report.entries import Entry
from shallowexp.report.nothing import NothingToReport, command
from shallowexp.report.plans import Plan, plan
from shallowexp.report.reading import Selection, Tracked, select, tracked
from shallowexp.report.terminal import say
from shallowexp.report.training import train
from shallowexp.tracking.store import Store


def write_report(known: Mapping[str, Claim], asked: Sequence[str], output: Path, launch: bool = False) -> int:
    """Plan, train what is missing if it may be launched, read, make and publish: each claim `asked` for that has runs.

    Entries of the others, from an earlier report, stay. Returns the exit status: 1 if a claim's own files are at fault, the
    others coming out all the same. Raises NothingToReport, TrackingError and Interrupted.
    """
    if launch:
        _make_folder(output)  # rather before the training than after it
    store, before, failed = Store.open(create=launch), entries.read(output, known), Failed()
    there = {name: tracked(known[name], store) for name in asked}
    planned = _plan([known[name] for name in asked if launch or there[name].runs], output, failed)
    if launch:
        there |= _train(planned, there, store, failed)
    selections = [select(plan, there[plan.claim.name]) for plan in planned]
    _say_missing(selections, [name for name in asked if not there[name].runs and name not in failed])
    chosen = [found for found in selections if found.runs]
    shown = fields.groups(store, failed.unless)
    if not (chosen or failed or (shown and len(asked) == len(known))):
        raise NothingToReport(store.uri, asked, store.experiments())
    if chosen or shown:
        _make_folder(output)
    made = _make(chosen, before, store, output, failed)
    if made or shown:
        plans.remember(planned, output)
        publishing.in_mlflow(made.values(), store)
        kept = {name: entry for name, entry in before.items() if name not in asked} | made
        absent = [name for name in asked if name not in made and name not in failed]
        publishing.in_files([kept[name] for name in known if name in kept], absent, shown, output)
    return int(bool(failed))


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output} cannot be made a folder: {error.strerror}") from error


class Failed(dict[str, str]):
    """Claims whose own files are at fault, each with what is wrong."""

    @contextmanager
    def unless(self, claim: Claim) -> Iterator[None]:
        """Says and keeps what a claim's own files do wrong, so that the others go on."""
        try:
            yield
        except (Interrupted, TrackingError):
            raise
        except (Exception, SystemExit) as error:
            self.add(claim.name, _where(error, claim))

    def add(self, name: str, error: str) -> None:
        self[name] = error
        say(f"{name}: {error}", "red")


def _plan(claims: Iterable[Claim], output: Path, failed: Failed) -> list[Plan]:
    memory, found = plans.recall(output), []
    for claim in claims:
        with failed.unless(claim):
            found.append(plan(claim, memory))
    return found


def _train(planned: Iterable[Plan], there: Mapping[str, Tracked], store: Store, failed: Failed) -> dict[str, Tracked]:
    found = {}
    for each in planned:
        with failed.unless(each.claim):
            found[each.claim.name], failures = train(each, there[each.claim.name], store)
            if failures:
                failed.add(each.claim.name, str(RunsFailed(failures)))
    return found


def _say_missing(selections: Iterable[Selection], untouched: Sequence[str]) -> None:
    if untouched:
        say(f"no runs of {', '.join(untouched)}; to get them: shallowexp-report --train [names]", "yellow")
    for found in selections:
        if found.missing:
            others = f"; {found.others} of another version or configuration are left out" if found.others else ""
            counts = f"{found.missing} of {found.planned} runs are missing{others}"
            say(f"{found.claim.name}: {counts}; to get them: {command(found.claim.name)}", "yellow")


def _make(
    selections: Iterable[Selection], before: Mapping[str, Entry], store: Store, output: Path, failed: Failed
) -> dict[str, Entry]:
    """The entry of each: the one from before where it is of the same inputs."""
    made: dict[str, Entry] = {}
    for found in selections:
        entry = before.get(found.claim.name)
        if entry is None or not entry.is_of(found.inputs):
            from shallowexp.report.making import make  # which imports matplotlib and SciPy

            with failed.unless(found.claim):
                made[found.claim.name] = make(found, found.read(store), output)
        else:
            made[found.claim.name] = entry
    return made


def _where(error: BaseException, claim: Claim) -> str:
    """The error, with the line of the claim's own file that led to it."""
    if isinstance(error, UserError):
        return str(error)
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(claim.path)]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return f"{claim.path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}"
