"""Tracked runs -> figures, numbers and verdicts: report/index.html, <name>.{png,svg,pdf,csv}, claims.json and claims.csv.

A figure is drawn from the runs that its experiment's YAML composes now, the newest FINISHED one of each fingerprint. It
carries where it comes from in its metadata, and beside it lie its numbers and its runs. claims.json remembers what each
entry was made from, so that only what changed is drawn again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from math import nan
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shallowexp import provenance
from shallowexp.claims import figures
from shallowexp.claims.claim import Claim, find, first_paragraph
from shallowexp.claims.verdict import INCONCLUSIVE, Estimate, Inconclusive, Verdict
from shallowexp.errors import TrackingError, UserError
from shallowexp.report import page, plans
from shallowexp.report.entries import Entry, beside, plain, read, write
from shallowexp.runs import Runs
from shallowexp.sweeps import pages
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store

COLORS = {"supported": "green", "refuted": "red", "conditional": "yellow", INCONCLUSIVE: "dim"}
FIGURE = "shallowexp.figure"  # tag of a sweep: what its figure was made from
SUFFIXES = (".png", ".svg", ".pdf", ".csv", "-runs.csv")
console = Console(soft_wrap=True, highlight=False)


class NothingToReport(UserError):
    """No experiment has runs."""


def write_report(claims: Sequence[Claim], output: Path, train: bool = False) -> int:
    """Draw and judge each claim that has runs; with `train`, train first what is missing.

    Returns the exit status: 1 if a claim's own code failed, the others being drawn all the same.
    """
    store, before = Store.open(create=train), read(output)
    entries, absent, failed = {}, [], 0
    for claim in claims:
        try:
            entry = _entry(claim, store, output, before.pop(claim.name, None), train)
        except UserError:
            raise
        except Exception as error:
            failed += 1
            console.print(f"[red]{claim.name}: {escape(_where(error, claim))}[/]")
        else:
            entries |= {claim.name: entry} if entry else {}
            absent += [] if entry else [claim.name]
    if entries:
        together = before | entries
        _write([together[name] for name in find() if name in together], absent, output)
    elif not failed:
        raise NothingToReport(f"no runs of these sweeps in {store.uri}: launch one first, e.g. {command(claims[0])}")
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
    inputs = _digest(
        [
            *there,
            *(finished[fingerprint] for fingerprint in there),
            plans.code(),
            claim.path.read_text(encoding="utf-8"),
        ]
    )
    if not (before and before.inputs == inputs and all(beside(output, claim, end).exists() for end in SUFFIXES)):
        before = _make(claim, store.read(claim.name, there), len(planned), inputs, output)
    try:
        _show_in_mlflow(before, store)
    except TrackingError as error:  # a report needs no more than to read
        console.print(f"[yellow]{claim.name}: the figure is not in MLflow: {escape(str(error))}[/]")
    return before


def _show_in_mlflow(entry: Entry, store: Store) -> None:
    """The figure and the verdict, once decided, on the page of the sweep that trained its newest run, once for a change."""
    if entry.sweep is None or entry.verdict.outcome == INCONCLUSIVE:
        return
    sweep = store.sweep(entry.sweep)
    tags = sweep.tags()
    if tags.get(FIGURE) == entry.inputs:
        return
    figure = beside(entry.folder, entry.claim, ".png")
    verdict = json.dumps(plain(entry.verdict), indent=1, ensure_ascii=False)
    small = f"{entry.claim.name}-small.png"
    files = {figure.name: figure.read_bytes(), small: figures.small(figure), "verdict.json": verdict.encode()}
    sweep.log_artifacts(files)
    note = pages.with_figure(tags.get(pages.NOTE, ""), small, sweep.run_id, entry.verdict)
    sweep.set_tags({pages.NOTE: note, FIGURE: entry.inputs})


def _finished(store: Store, claim: Claim) -> dict[str, str]:
    experiment_id = store.find(claim.name)
    return store.finished(experiment_id) if experiment_id else {}


def _train(claim: Claim, store: Store) -> None:
    (runs, files), tracked = plans.sweep(claim.name), ExperimentTracker.open(claim.name, store)
    missing = tracked.missing(runs)
    console.print(f"[bold]{claim.name}[/]: {len(missing)} of {len(runs)} runs to train")
    tracked.sweep(runs, missing, None, files)


def _say_missing(claim: Claim, missing: int, planned: int, left_out: int) -> None:
    others = f"; {left_out} of another version or configuration are left out" if left_out else ""
    console.print(
        f"[yellow]{claim.name}: {missing} of {planned} runs are missing{others}; to get them: {command(claim)}[/]"
    )


def _make(claim: Claim, runs: Runs, planned: int, inputs: str, output: Path) -> Entry:
    module = claim.load()
    table, digest = runs.table, _digest(runs.table.index)
    verdict = _judge(module, runs)
    commits, versions = (sorted(set(table.get(tag, default=pd.Series()).dropna())) for tag in ("commit", "version"))
    metadata = {"Title": claim.sentence, "Runs": digest, "Commit": ", ".join(commits), "Command": command(claim)}
    output.mkdir(parents=True, exist_ok=True)
    figure, numbers = module.figure(runs)
    figures.save(figure, output / claim.name, metadata)
    numbers.to_csv(beside(output, claim, ".csv"), index=False)
    table[["run_id"]].to_csv(beside(output, claim, "-runs.csv"))
    batches = table[["start_time", "end_time"]].drop_duplicates()
    _animate(module, runs, beside(output, claim, ".gif"), metadata)
    return Entry(
        claim=claim,
        folder=output,
        caption=first_paragraph(module.figure),
        hypothesis=first_paragraph(module.verdict),
        command=command(claim),
        verdict=verdict,
        runs=len(table),
        missing=planned - len(table),
        diverged=int((table.outcome == "diverged").sum()),
        digest=digest,
        inputs=inputs,
        sweep=_newest_sweep(table),
        commits=commits,
        versions=versions,
        started=_date(table.start_time.min()),
        ended=_date(table.end_time.max()),
        seconds=float((batches.end_time - batches.start_time).sum() / 1000),
    )


def _newest_sweep(table: pd.DataFrame) -> str | None:
    """None where the newest run was launched alone."""
    newest = table.sort_values("start_time", kind="stable").iloc[-1]
    return newest["sweep"] if isinstance(newest.get("sweep"), str) else None


def _judge(module: ModuleType, runs: Runs) -> Verdict:
    """The one place where runs that cannot decide a claim become the verdict that says so."""
    try:
        return module.verdict(runs)
    except Inconclusive as lack:
        return Verdict({}, "the claim cannot be judged yet", Estimate(nan, nan, nan), f"Not decided: {lack}.")


def _animate(module: ModuleType, runs: Runs, path: Path, metadata: Mapping[str, str]) -> None:
    """Where the experiment has frames to show; else nothing is left of an animation from before."""
    frames = module.animation(runs) if hasattr(module, "animation") else []
    if frames:
        figures.save_animation(frames, path, metadata)
    else:
        path.unlink(missing_ok=True)


def _write(entries: Sequence[Entry], absent: Sequence[str], output: Path) -> None:
    write(entries, output)
    path = page.write(entries, output, provenance.about(), absent)
    table = Table("experiment", "verdict", "parts", "effect [95% interval]", "runs")
    for entry in entries:
        outcome, parts = entry.verdict.outcome, entry.verdict.parts.values()
        table.add_row(
            entry.claim.name,
            f"[{COLORS[outcome]}]{outcome}[/]",
            f"{sum(parts)}/{len(parts)}" if outcome != INCONCLUSIVE else "",
            escape(page.interval(entry.verdict.effect)),
            str(entry.runs),
        )
    console.print(table)
    console.print(f"written: {path}")


def _digest(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _date(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _where(error: Exception, claim: Claim) -> str:
    """The error, with the line of the claim's own file that led to it."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(claim.path)]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return f"{claim.path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}"
