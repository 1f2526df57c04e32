"""Entries, where they are read: the page with its tables, and MLflow's page of the sweep that trained the newest run."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from shallowexp import provenance
from shallowexp.claims.verdict import INCONCLUSIVE
from shallowexp.errors import TrackingError
from shallowexp.report import entries, page
from shallowexp.report.entries import Entry, beside, plain
from shallowexp.report.terminal import say, show
from shallowexp.sweeps import pages
from shallowexp.tracking.store import Store

FIGURE = "shallowexp.figure"  # tag of a sweep: what its figure was made from


def in_mlflow(found: Iterable[Entry], store: Store) -> None:
    """Each figure with its verdict, once decided; once for a change. A report needs no more than to read: else it says so."""
    for entry in found:
        if entry.sweep and entry.verdict.outcome != INCONCLUSIVE:
            try:
                _in_mlflow(entry, entry.sweep, store)
            except TrackingError as error:
                say(f"{entry.claim.name}: the figure is not in MLflow: {error}", "yellow")


def _in_mlflow(entry: Entry, run_id: str, store: Store) -> None:
    sweep = store.sweep(run_id)
    tags = sweep.tags()
    if tags.get(FIGURE) == entry.inputs:
        return
    from shallowexp.claims.figures import small_png  # which imports matplotlib

    figure = beside(entry.folder, entry.claim, ".png")
    verdict = json.dumps(plain(entry.verdict), indent=1, ensure_ascii=False)
    small = f"{entry.claim.name}-small.png"
    files = {figure.name: figure.read_bytes(), small: small_png(figure), "verdict.json": verdict.encode()}
    sweep.log_artifacts(files)
    note = pages.with_figure(tags.get(pages.NOTE, ""), small, sweep.run_id, entry.verdict)
    sweep.set_tags({pages.NOTE: note, FIGURE: entry.inputs})


def in_files(found: Sequence[Entry], absent: Sequence[str], output: Path) -> None:
    """claims.json, claims.csv and index.html; `absent` are experiments without runs."""
    entries.write(found, output)
    path = page.write(found, output, provenance.about(), absent)
    show(found)
    say(f"written: {path}")
