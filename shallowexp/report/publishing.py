"""Entries, where they are read: the page with its tables, and MLflow's page of the sweep that trained the newest run."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from glob import escape
from pathlib import Path

from shallowexp import provenance
from shallowexp.claims.claim import Claim
from shallowexp.claims.statement import CHAPTER
from shallowexp.errors import TrackingError
from shallowexp.report import entries, page
from shallowexp.report.entries import Entry, beside
from shallowexp.report.fields import Group
from shallowexp.report.plans import code, contents
from shallowexp.report.reading import digest
from shallowexp.report.terminal import say, show
from shallowexp.sweeps import pages
from shallowexp.tracking.store import Store

FIGURE = "shallowexp.figure"  # tag of a sweep: what its figure was made from


def in_mlflow(found: Iterable[Entry], store: Store) -> None:
    """Each figure with what its runs say, once they say anything; once for a change. A report needs no more than to read: else it says so."""
    for entry in found:
        if entry.sweep and entry.atoms:
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
    atoms = json.dumps([vars(atom) for atom in entry.atoms], indent=1, ensure_ascii=False)
    small = f"{entry.claim.name}-small.png"
    files = {figure.name: figure.read_bytes(), small: small_png(figure), "atoms.json": atoms.encode()}
    sweep.log_artifacts(files)
    note = pages.with_figure(tags.get(pages.NOTE, ""), small, sweep.run_id, _findings(entry))
    sweep.set_tags({pages.NOTE: note, FIGURE: entry.inputs})


def _findings(entry: Entry) -> str:
    """Markdown: a line for each atom, for MLflow's page of the sweep; what it amounts to follows from all of a statement's."""
    lines = ["- " + pages.plain(f"{atom.text}: {page.interval(atom) or atom.outcome()}") for atom in entry.atoms]
    return "\n".join(lines)


def in_files(found: Sequence[Entry], absent: Sequence[str], fields: Sequence[Group], output: Path) -> None:
    """claims.json, claims.csv and index.html; `absent` are experiments without runs.

    A page that was made from the same stays: its pictures are half of a report with nothing to do.
    """
    judged = entries.judge_all(found)
    entries.write(found, judged, {f"fields/{group.choice}": group.atoms for group in fields}, output)
    show(judged)
    for group in fields:
        if group.atoms:
            counts = Counter(atom.outcome() for atom in group.atoms)
            say(f"fields/{group.choice}: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()))
    about, path = provenance.about(), output / page.FILE
    claims = [entry.claim for entry in found] + [group.claim for group in fields if group.claim]
    files = contents(_files(claims, output))
    inputs = digest([json.dumps([code(), about, absent, fields, files], default=repr)])
    if page.is_of(path, inputs):
        say(f"up to date: {path}")
    else:
        page.write(found, judged, output, about, absent, fields, inputs)
        say(f"written: {path}")


def _files(claims: Iterable[Claim], output: Path) -> list[str]:
    """What the page reads, and what it links to; of the package what is not in `code`."""
    drawn = {file for claim in claims for file in output.glob(f"{escape(claim.name)}[.-]*") if file.is_file()}
    words = {output / entries.CLAIMS, CHAPTER, *(claim.path for claim in claims), *page.TEMPLATES.iterdir()}
    return sorted(map(str, drawn | words))
