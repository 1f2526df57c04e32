"""Tracked runs -> figures, numbers and verdicts: report/<name>.{png,svg,pdf,csv}, claims.json and claims.csv.

A figure is drawn from the runs that its experiment's YAML composes now, the newest finished one of each fingerprint. It
carries where it comes from in its metadata, and beside it lie its numbers and its runs.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from traceback import extract_tb

import pandas as pd
from rich.console import Console
from rich.table import Table

from shallowexp import figures
from shallowexp.claims import Claim, Runs, Verdict, what_to_see
from shallowexp.composition import compose_experiment
from shallowexp.config import plan
from shallowexp.errors import UserError
from shallowexp.tracking import Store

COLOURS = {"supported": "green", "refuted": "red", "conditional": "yellow"}


@dataclass(frozen=True)
class Entry:
    """A claim with what its runs say."""

    claim: Claim
    sees: str
    verdict: Verdict
    runs: int
    missing: int
    diverged: int
    digest: str  # of the sorted fingerprints of the runs

    def row(self) -> dict[str, object]:
        """Flat, for claims.json and claims.csv."""
        verdict = asdict(self.verdict) | {"effect": self.verdict.effect.value}
        interval = {"low": self.verdict.effect.low, "high": self.verdict.effect.high}
        counts = {name: getattr(self, name) for name in ("runs", "missing", "diverged", "digest")}
        about = {"name": self.claim.name, "section": self.claim.section, "claim": self.claim.sentence}
        return about | verdict | interval | counts | {"command": command(self.claim)}


class NothingToReport(UserError):
    """No experiment has runs."""


def command(claim: Claim) -> str:
    return f"shallowexp -m +experiment={claim.name}"


def write_report(claims: Sequence[Claim], output: Path) -> int:
    """Draw and judge each claim that has runs; returns the exit status: 1 if a claim's own code failed."""
    console = Console(soft_wrap=True, highlight=False)
    store, entries, failures = Store.open(), [], 0
    for claim in claims:
        try:
            entry = _entry(claim, store, output)
        except UserError:
            raise
        except Exception as error:
            failures += 1
            console.print(f"{claim.name}: {_where(error, claim)}", style="red")
            continue
        if entry is None:
            console.print(f"{claim.name}: no runs yet; to get them: {command(claim)}", style="yellow")
            continue
        if entry.missing:
            there = f"{entry.missing} of {entry.runs + entry.missing} runs are missing"
            console.print(f"{claim.name}: {there}; to get them: {command(claim)}", style="yellow")
        entries.append(entry)
    if not entries:
        raise NothingToReport(f"no tracked runs in {store.uri}: launch a sweep first, e.g. {command(claims[0])}")
    _write_verdicts(entries, output, console)
    return int(failures > 0)


def _entry(claim: Claim, store: Store, output: Path) -> Entry | None:
    """None where nothing is tracked. Raises what the claim's own file raises."""
    module = claim.load()
    wanted = [run.fingerprint for run in plan((job.config, job.choices) for job in compose_experiment(claim.name))]
    runs = store.read(claim.name, wanted)
    if runs.table.empty:
        return None
    digest = sha256("".join(runs.table.index).encode()).hexdigest()[:32]
    _draw(claim, module, runs, digest, output)
    diverged = int((runs.table.outcome == "diverged").sum())
    count = len(runs.table)
    return Entry(claim, what_to_see(module), module.verdict(runs), count, len(wanted) - count, diverged, digest)


def _draw(claim: Claim, module, runs: Runs, digest: str, output: Path) -> None:
    figure, numbers = module.figure(runs)
    output.mkdir(parents=True, exist_ok=True)
    commits = ", ".join(sorted(runs.table.commit.dropna().unique()))
    metadata = {"Title": claim.sentence, "Runs": digest, "Commit": commits, "Command": command(claim)}
    figures.save(figure, output / claim.name, metadata)
    numbers.to_csv(output / f"{claim.name}.csv", index=False)
    runs.table[["run_id"]].to_csv(output / f"{claim.name}-runs.csv")


def _write_verdicts(entries: Sequence[Entry], output: Path, console: Console) -> None:
    rows = [entry.row() for entry in entries]
    (output / "claims.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    pd.DataFrame(rows).to_csv(output / "claims.csv", index=False)
    table = Table("experiment", "verdict", "effect [95% interval]", "runs")
    for entry in entries:
        outcome, (value, low, high) = entry.verdict.outcome, entry.verdict.effect
        coloured = f"[{COLOURS[outcome]}]{outcome}[/]"
        table.add_row(entry.claim.name, coloured, f"{value:.4g} [{low:.4g}, {high:.4g}]", str(entry.runs))
    console.print(table)
    console.print(f"written to {output}/")


def _where(error: Exception, claim: Claim) -> str:
    """The error, with the line of the claim's own file that led to it."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(claim.path)]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return f"{claim.path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}"
