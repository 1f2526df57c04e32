"""Tracked runs become an entry: the figure, its numbers and the animation in files, and what the runs say of the claim."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from shallowexp.analysis import Runs
from shallowexp.claims import figures
from shallowexp.claims.claim import Experiment, first_paragraph, mistaken, state
from shallowexp.claims.page import COLUMN, COLUMNS, PANEL, Page
from shallowexp.report.entries import Entry, beside
from shallowexp.report.nothing import command
from shallowexp.report.reading import Selection, digest
from shallowexp.report.registration import hypotheses, registered


def make(selection: Selection, runs: Runs, output: Path) -> Entry:
    """Draw, state and write the files beside the page. Raises what the claim's own code raises."""
    claim, module = selection.claim, selection.claim.load()
    table, fingerprints = runs.table, digest(runs.table.index)
    atoms, lacks = state(module, runs)
    commits, versions = (sorted(set(table.get(tag, default=pd.Series()).dropna())) for tag in ("commit", "version"))
    source = {
        "Title": claim.sentence,
        "Runs": fingerprints,
        "Commit": ", ".join(commits),
        "Command": command(claim.name),
    }
    with figures.styled:
        drawn = module.figure(runs)
    if not isinstance(drawn, Page):
        raise mistaken(module.figure, f"returns {type(drawn).__name__}: a Page is needed")
    output.mkdir(parents=True, exist_ok=True)
    _save(drawn, module, output / claim.name, source)
    drawn.numbers.to_csv(beside(output, claim, ".csv"), index=False)
    table[["run_id"]].to_csv(beside(output, claim, "-runs.csv"))
    animate(module, runs, beside(output, claim, ".gif"), source)
    batches = table[["start_time", "end_time"]].drop_duplicates()
    return Entry(
        claim=claim,
        folder=output,
        caption=first_paragraph(module.figure),
        headline=getattr(module, "HEADLINE", ""),
        command=command(claim.name),
        atoms=atoms,
        lacks=lacks,
        registered=registered(claim, commits, _date(table.start_time.min())),
        hypotheses=digest([hypotheses(claim.path.read_text(encoding="utf-8"))]),
        runs=len(table),
        missing=selection.planned - len(table),
        diverged=int((table.outcome == "diverged").sum()),
        digest=fingerprints,
        inputs=selection.inputs,
        sweep=_newest_sweep(table),
        commits=commits,
        versions=versions,
        started=_date(table.start_time.min()),
        ended=_date(table.end_time.max()),
        seconds=float((batches.end_time - batches.start_time).sum() / 1000),
    )


def _save(drawn: Page, module: Experiment, stem: Path, source: Mapping[str, str]) -> None:
    """The figure as it is drawn; for a paper's two columns; its card, for one; the panels that a headline shows, in a row."""
    panels = tuple(drawn.axes)
    card = getattr(module, "CARD", panels[0])
    plate = getattr(module, "PLATE", [card])
    drawn.require({card, *plate})  # before anything is written
    figures.save(drawn.figure, stem, source)
    figures.save(drawn.part(panels, COLUMNS), f"{stem}-wide", source, ["pdf"])
    figures.save(drawn.part([card], COLUMN), f"{stem}-card", source)
    if hasattr(module, "HEADLINE"):
        figures.save(drawn.part(plate, len(plate) * PANEL[0]), f"{stem}-plate", source, ["png"])


def animate(module: Experiment, runs: Runs, path: Path, source: Mapping[str, str]) -> None:
    """Where the experiment has frames to show; else nothing is left of an animation from before."""
    frames = module.animation(runs) if hasattr(module, "animation") else []
    if frames:
        figures.save_animation(frames, path, source)
    else:
        path.unlink(missing_ok=True)


def _newest_sweep(table: pd.DataFrame) -> str | None:
    """None where the newest run was launched alone."""
    newest = table.sort_values("start_time", kind="stable").iloc[-1]
    return newest["sweep"] if isinstance(newest.get("sweep"), str) else None


def _date(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
