"""Any sweep, without a claim: its runs, a figure of them, and where both come from."""

import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from shallowexp.analysis import LOSS, Runs
from shallowexp.claims import figures
from shallowexp.claims.choice import Choice
from shallowexp.claims.plots import WIDTHS, plot
from shallowexp.errors import UserError
from shallowexp.report.reading import digest
from shallowexp.report.terminal import say
from shallowexp.tracking import sweeps
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import TrackedSweep

DRAWN = (".pdf", ".svg", ".png")


def read(
    references: Sequence[str], store: Store | None = None, metrics: Collection[str] | None = None
) -> tuple[list[TrackedSweep], Runs]:
    """The sweeps that these words name and their finished runs, with at least the histories of these metrics.

    Raises TrackingError, and UserError where there are no runs.
    """
    store = store or Store.open(create=False)
    found = [sweeps.find(store, reference) for reference in references]
    runs = sweeps.read(store, found, metrics) if found else None
    if runs is None or runs.table.empty:
        raise UserError(f"no finished runs in {', '.join(sweep.name for sweep in found) or store.uri}")
    return found, runs


def command(found: Iterable[TrackedSweep]) -> str:
    """The command line, by the run ids of its sweeps: the latest is another one tomorrow."""
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--sweep", action="append")
    _, others = parser.parse_known_args(sys.argv[1:])
    names = [word for sweep in found for word in ("--sweep", sweep.name)]
    return shlex.join([Path(sys.argv[0]).name, *names, *others])


def source(found: Iterable[TrackedSweep], runs: Runs, title: str) -> dict[str, str]:
    """A figure's metadata: what it is made from, and by which command."""
    commits = sorted({*runs.table["commit"].dropna()} if "commit" in runs.table else ())
    return {"Title": title, "Runs": digest(runs.table.index), "Commit": ", ".join(commits), "Command": command(found)}


def draw(references: Sequence[str], choice: Choice, output: Path, width: float = WIDTHS["page"]) -> None:
    """Write one figure, or as CSV what it draws, by the suffix of `output`."""
    if output.suffix not in (*DRAWN, ".csv"):
        raise UserError(f"-o {output}: a name that ends in {', '.join(DRAWN)} or .csv is needed")
    if not output.parent.is_dir():
        raise UserError(f"-o {output}: there is no folder {output.parent}")
    found, runs = read(references, metrics=[choice.y, choice.z or LOSS])
    page = plot(runs, choice, width)
    try:
        if output.suffix == ".csv":
            page.numbers.to_csv(output, index=False)
        else:
            title = f"{choice.z or choice.y} of {', '.join(sweep.name for sweep in found)}"
            figures.save(page.figure, output.with_suffix(""), source(found, runs, title), [output.suffix[1:]])
    except OSError as error:
        raise UserError(f"-o {output} cannot be written: {error.strerror}") from None
    say(f"written: {output}")
