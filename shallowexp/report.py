"""Tracked runs -> figures, numbers and verdicts: report/index.html, <name>.{png,svg,pdf,csv}, claims.json and claims.csv.

A figure is drawn from the runs that its experiment's YAML composes now, the newest FINISHED one of each fingerprint. It
carries where it comes from in its metadata, and beside it lie its numbers and its runs. claims.json remembers what each
entry was made from, so that only what changed is drawn again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from traceback import extract_tb

import pandas as pd
from rich.console import Console
from rich.table import Table

from shallowexp import figures, page, plans
from shallowexp.claims import Claim, Estimate, Runs, Verdict, what_to_see
from shallowexp.errors import UserError
from shallowexp.sweep import Tracked
from shallowexp.tracking import Store

COLOURS = {"supported": "green", "refuted": "red", "conditional": "yellow"}
SUFFIXES = (".png", ".svg", ".pdf", ".csv", "-runs.csv")
console = Console(soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class Entry:
    """What the runs say of a claim; all that claims.json holds of it."""

    name: str
    section: str
    sentence: str
    docstring: str
    sees: str
    command: str
    verdict: Verdict
    runs: int
    missing: int
    diverged: int
    digest: str  # of the runs' sorted fingerprints
    inputs: str  # digest of all that the figure and the verdict were made from
    commits: list[str]
    versions: list[str]
    started: str  # the first run's start and the last one's end
    ended: str
    seconds: float  # of the runs' batches, from start to end, without the pauses between sweeps
    animation: str | None

    @classmethod
    def from_json(cls, row: dict) -> "Entry":
        verdict = row["verdict"] | {"effect": Estimate(*row["verdict"]["effect"])}
        return cls(**row | {"verdict": Verdict(**verdict)})

    def flat(self) -> dict[str, object]:
        """A row of claims.csv."""
        effect = self.verdict.effect._asdict()
        about = {"name": self.name, "section": self.section, "claim": self.sentence, "outcome": self.verdict.outcome}
        counts = {"runs": self.runs, "missing": self.missing, "diverged": self.diverged}
        rest = {"condition": self.verdict.condition, "command": self.command, "digest": self.digest}
        return about | {"measure": self.verdict.measure} | effect | counts | rest


class NothingToReport(UserError):
    """No experiment has runs."""


def write_report(claims: Sequence[Claim], output: Path, train: bool = False) -> int:
    """Draw and judge each claim that has runs; with `train`, train first what is missing.

    Returns the exit status: 1 if a claim's own code failed, the others being drawn all the same.
    """
    store, before = Store.open(), _previous(output)
    entries, failed = {}, 0
    for claim in claims:
        try:
            entry = _entry(claim, store, output, before.pop(claim.name, None), train)
        except UserError:
            raise
        except Exception as error:
            failed += 1
            console.print(f"[red]{claim.name}: {_where(error, claim)}[/]")
        else:
            entries |= {claim.name: entry} if entry else {}
    if entries:
        _write([*before.values(), *entries.values()], output)
    elif not failed:
        raise NothingToReport(f"no tracked runs in {store.uri}: launch a sweep first, e.g. {command(claims[0])}")
    return int(failed > 0)


def command(claim: Claim) -> str:
    return f"shallowexp -m +experiment={claim.name}"


def _entry(claim: Claim, store: Store, output: Path, before: Entry | None, train: bool) -> Entry | None:
    """The claim's entry: the one from before where nothing that it was made from has changed, None where nothing ran."""
    planned = plans.fingerprints(claim, output)
    finished = _finished(store, claim)
    if train and planned - finished.keys():
        _train(claim, store)
        finished = _finished(store, claim)
    there = sorted(planned & finished.keys())
    if len(there) < len(planned):
        _say_missing(claim, len(planned) - len(there), len(planned), len(finished.keys() - planned))
    if not there:
        return None
    inputs = _digest([*there, *(finished[fingerprint] for fingerprint in there), plans.code(), claim.path.read_text()])
    if before and before.inputs == inputs and all(_file(output, claim, suffix).exists() for suffix in SUFFIXES):
        return before
    return _make(claim, store.read(claim.name, there), len(planned), inputs, output)


def _finished(store: Store, claim: Claim) -> dict[str, str]:
    experiment_id = store.find(claim.name)
    return store.finished(experiment_id) if experiment_id else {}


def _train(claim: Claim, store: Store) -> None:
    runs, tracked = plans.runs(claim.name), Tracked.open(claim.name, store)
    missing = tracked.missing(runs)
    console.print(f"[bold]{claim.name}[/]: {len(missing)} of {len(runs)} runs to train")
    tracked.sweep(runs, missing, None)


def _say_missing(claim: Claim, missing: int, planned: int, left_out: int) -> None:
    others = f"; {left_out} tracked runs of another version or configuration are left out" if left_out else ""
    console.print(f"[yellow]{claim.name}: {missing} of {planned} runs are missing{others}; to get them: {command(claim)}[/]")


def _make(claim: Claim, runs: Runs, planned: int, inputs: str, output: Path) -> Entry:
    module = claim.load()
    table, digest = runs.table, _digest(runs.table.index)
    verdict = module.verdict(runs)
    commits, versions = (sorted(table[column].dropna().unique()) for column in ("commit", "version"))
    metadata = {"Title": claim.sentence, "Runs": digest, "Commit": ", ".join(commits), "Command": command(claim)}
    output.mkdir(parents=True, exist_ok=True)
    figure, numbers = module.figure(runs)
    figures.save(figure, output / claim.name, metadata)
    numbers.to_csv(_file(output, claim, ".csv"), index=False)
    table[["run_id"]].to_csv(_file(output, claim, "-runs.csv"))
    batches = table[["start_time", "end_time"]].drop_duplicates()
    return Entry(
        **{name: getattr(claim, name) for name in ("name", "section", "sentence", "docstring")},
        sees=what_to_see(module),
        command=command(claim),
        verdict=verdict,
        runs=len(table),
        missing=planned - len(table),
        diverged=int((table.outcome == "diverged").sum()),
        digest=digest,
        inputs=inputs,
        commits=commits,
        versions=versions,
        started=_date(table.start_time.min()),
        ended=_date(table.end_time.max()),
        seconds=float((batches.end_time - batches.start_time).sum() / 1000),
        animation=_animate(module, runs, output / f"{claim.name}.gif"),
    )


def _animate(module, runs: Runs, path: Path) -> str | None:
    if not hasattr(module, "animation"):
        return None
    figures.save_animation(module.animation(runs), path)
    return path.name


def _write(entries: Sequence[Entry], output: Path) -> None:
    rows = [asdict(entry) for entry in entries]
    _claims_json(output).write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    pd.DataFrame([entry.flat() for entry in entries]).to_csv(output / "claims.csv", index=False)
    page.write(entries, output)
    table = Table("experiment", "verdict", "effect [95% interval]", "runs")
    for entry in entries:
        value, low, high = entry.verdict.effect
        coloured = f"[{COLOURS[entry.verdict.outcome]}]{entry.verdict.outcome}[/]"
        table.add_row(entry.name, coloured, f"{value:.4g} \\[{low:.4g}, {high:.4g}]", str(entry.runs))
    console.print(table)
    console.print(f"written: {output / 'index.html'}")


def _previous(output: Path) -> dict[str, Entry]:
    """The entries of the report that is already there; none where it is of another form."""
    try:
        return {row["name"]: Entry.from_json(row) for row in json.loads(_claims_json(output).read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _claims_json(output: Path) -> Path:
    return output / "claims.json"


def _file(output: Path, claim: Claim, suffix: str) -> Path:
    return output / f"{claim.name}{suffix}"


def _digest(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _date(time) -> str:
    return pd.Timestamp(time, unit="ms", tz="UTC").strftime("%Y-%m-%d %H:%M:%S UTC")


def _where(error: Exception, claim: Claim) -> str:
    """The error, with the line of the claim's own file that led to it."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(claim.path)]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return f"{claim.path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}"
