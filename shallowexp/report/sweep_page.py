"""A sweep's own page: figures chosen by what varied, its best cells, what diverged, and a table of its runs. No verdict is invented."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from os import environ
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from shallowexp import provenance
from shallowexp.analysis import LOSS, POOLED, Lacking, Runs, cell_params, confounded, direction, undefined
from shallowexp.claims import figures
from shallowexp.claims.choice import Choice
from shallowexp.claims.page import PANEL, Page
from shallowexp.claims.plots import TooManyPanels, as_words, plot
from shallowexp.claims.replay import replay
from shallowexp.errors import RunDamaged, UserError
from shallowexp.report import sweeps
from shallowexp.report.drawing import drawing
from shallowexp.report.page import cell, environment, script
from shallowexp.report.picture import SCREEN, picture
from shallowexp.report.terminal import say
from shallowexp.sweeps.cells import ranked
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import TrackedSweep

SHOWN = (LOSS, "train/accuracy", "test/accuracy", "train/r2", "test/r2")
MEASURED = {  # what is drawn where it varies: the words for it
    "symmetry/effective_units": "How many hidden units differ",
    "saturation/fraction": "How much of the hidden layer is saturated",
}
CELLS, ROWS, PANELS, NUMERIC, PLANES = 12, 500, 6, 3, 6  # at most, on the page
KINDS = ("png", "svg", "pdf", "csv")
SERVER = "http://127.0.0.1:5000"  # where `mlflow ui` serves a local store


class Figure(NamedTuple):
    name: str  # of its files
    title: str
    page: Page | None
    fault: str = ""  # where there is no page

    @property
    def kinds(self) -> list[str]:
        """Of its files: numbers where there are any, which boundaries have not."""
        return [kind for kind in KINDS if self.page and (kind != "csv" or len(self.page.numbers))]


def write(references: Sequence[str], output: Path | None, log: bool = False) -> Path:
    """Write <output>/index.html with its figures, their numbers and runs.csv beside it; a folder below report/ is the default.

    With `log` all of it is among the artifacts of each sweep too, in its folder report/.
    """
    store = Store.open(create=False)
    found, runs = sweeps.read(references, store, {*SHOWN, *MEASURED})
    if log and (whole := [sweep.name for sweep in found if not sweep.run_id]):
        raise UserError(
            f"--log: {', '.join(whole)} is an experiment, name one of its sweeps (shallowexp-runs lists them)"
        )
    runs = runs.once()
    folder = output or Path("report") / _file("-".join(["sweep", *(sweep.name for sweep in found)]))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {folder} cannot be made a folder: {error.strerror}") from error
    objective = _objective(found, runs)
    drawn = list(draw(runs, objective))
    saved = []
    for figure in drawn:
        if figure.page is not None:
            figures.save(figure.page.figure, folder / figure.name, sweeps.source(found, runs, figure.title))
            numbers = folder / f"{figure.name}.csv"
            numbers.unlink(missing_ok=True)  # an earlier page's
            if "csv" in figure.kinds:
                figure.page.numbers.to_csv(numbers, index=False)
            saved.append(figure)
    runs.table.to_csv(folder / "runs.csv")
    path = folder / "index.html"
    path.write_text(_page(found, runs, drawn, folder, objective), encoding="utf-8", newline="\n")
    made = [path, folder / "runs.csv", *(folder / f"{figure.name}.{kind}" for figure in saved for kind in figure.kinds)]
    for sweep in found:
        if log and sweep.run_id:
            store.sweep(sweep.run_id).log_artifacts({f"report/{file.name}": file.read_bytes() for file in made})
    return path


def _objective(found: Sequence[TrackedSweep], runs: Runs) -> str:
    """By what runs are ranked: what these sweeps named, if they name one that is there."""
    named = {sweep.objective for sweep in found}
    return named.pop() if len(named) == 1 and named <= {*runs.table} else LOSS


def draw(runs: Runs, objective: str = LOSS) -> Iterator[Figure]:
    """What there is to see, by what varied."""
    cells = _cells(runs)
    numeric = [
        name for name in cells if pd.api.types.is_numeric_dtype(runs.table[name]) and runs.table[name].nunique() > 2
    ]
    measures = [name for name in SHOWN if name in runs.table and name != LOSS][:1]
    asked = [("loss", "The loss while training", Choice())]
    asked += [("score", f"{name} while training", Choice(y=name)) for name in measures]
    asked += [(f"final-{name}", f"The last loss against {name}", Choice(x=name)) for name in numeric[:NUMERIC]]
    for x, y in combinations(numeric[:NUMERIC], 2):
        asked.append((f"map-{x}-{y}", f"The last loss over {x} and {y}", Choice(x=x, y=y, z=LOSS)))
    if cells and not numeric:
        most = max(cells, key=lambda name: runs.table[name].nunique())
        asked.append((f"final-{most}", f"The last loss of each run, by {most}", Choice(x=most)))
    for name, title in MEASURED.items():
        if name in runs.table and runs.table[name].round(3).nunique() > 1:
            asked.append((name, title, Choice(y=name)))
    for name, title, choice in asked:
        yield _attempt(name, title, partial(_fitting, runs, choice))
    title = f"Boundary and hidden units of the best cells by {objective} whose weights were kept"
    planes = _attempt("planes", title, partial(_planes, runs, cells, objective))
    if planes.page is not None or planes.fault:
        yield planes


def _attempt(name: str, title: str, drawn: Callable[[], Page | None]) -> Figure:
    """The figure, or in its place what went wrong: the page has the others."""
    try:
        return Figure(_file(name), title, drawn())
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        say(f"{name}: {fault}", "red")
        return Figure(_file(name), title, None, fault)


def _file(name: str) -> str:
    """As one part of a path: experiments and parameters may have any name."""
    return name.replace("/", "-")


def _fitting(runs: Runs, choice: Choice) -> Page:
    """With medians over what has most values, until one figure can show the rest; the figure names what it pools."""
    try:
        return plot(runs, choice, most=PANELS)
    except TooManyPanels as many:
        largest = max(many.facets, key=lambda name: runs.table[name].nunique(dropna=False))
        return _fitting(runs, choice._replace(pool=[*choice.pool, largest]))


def _planes(runs: Runs, cells: Sequence[str], objective: str) -> Page | None:
    """One run of each of the best cells, where inputs are points of the plane."""
    runs = as_words(runs, cells)
    kept = runs.table[runs.table.index.isin(set(runs.weights)) & (runs.table["outcome"] == "finished")]
    replays = []
    first = _best_first(kept, objective).drop_duplicates(cells or None).index[:PLANES] if len(kept) else ()
    for fingerprint in first:
        try:
            found = replay(runs, fingerprint)
        except (Lacking, ImportError, AttributeError):  # of a user's own data or module that is no longer what it was
            continue
        except RunDamaged as damage:
            say(str(damage), "red")
            continue
        if found.in_plane:
            replays.append((fingerprint, found))
    if not replays:
        return None
    width = PANEL[1] * len(replays)
    page = Page([[str(i) for i in range(len(replays))]], (max(width, 2 * PANEL[0]), PANEL[1] + 0.6))
    for i, (fingerprint, found) in enumerate(replays):
        page.plane(str(i), found, int(found.steps[-1]))
        values = {name: kept.loc[fingerprint, name] for name in cells}
        words = [value if isinstance(value, str) else f"{name} {cell(value)}" for name, value in values.items()]
        page[str(i)].set_title("\n".join(words), fontsize=8)
    return page


def _cells(runs: Runs) -> list[str]:
    """What varies, and is not known to follow from the rest."""
    params = runs.table[runs.params]
    cells = cell_params(params)
    return [*cells, *confounded(params, cells)]


def _best_first(table: pd.DataFrame, objective: str) -> pd.DataFrame:
    return table.sort_values(objective, ascending=direction(objective) == 1)


def _page(found: Sequence[TrackedSweep], runs: Runs, drawn: Sequence[Figure], folder: Path, objective: str) -> str:
    cells = _cells(runs)
    measures = [objective, *(name for name in SHOWN if name in runs.table and name != objective)]
    best = ranked(as_words(runs, cells).table, cells, measures)
    lost = best.loc[best["diverged"] > 0, [*cells, "runs", "diverged"]]
    varied = runs.varied()
    told = [*cells, *(name for name in POOLED if name in varied)]
    columns = [*told, "outcome", *measures]
    rows = _best_first(runs.table, objective)[:ROWS]
    return environment().get_template("sweep.html.j2").render(
        sweeps=found,
        counts=_counts(found, runs),
        varied={name: _values(name, values) for name, values in varied.items() if name in told},
        objective=objective,
        highest=direction(objective) == -1,
        figures=drawn,
        picture=lambda name: picture(folder / f"{name}.png", SCREEN),
        drawing=partial(drawing, folder),
        best=_words(best[:CELLS].drop(columns="diverged" if not best["diverged"].any() else [])),
        more=max(0, len(best) - CELLS),
        lost=_words(lost.sort_values("diverged", ascending=False, kind="stable")[:CELLS]),
        table=_words(rows[columns]),
        links=[_link(run_id, found) for run_id in rows["run_id"]],
        total=len(runs.table),
        command=sweeps.command(found),
        about=provenance.about(),
        **script("sweep.js", "curves.js"),
    )  # fmt: skip


def _values(name: str, values: Iterable[Any]) -> list[str]:
    words = [undefined(name) if pd.isna(value) else cell(value) for value in values]
    return [word for word in words if word != "–"]


def _counts(found: Sequence[TrackedSweep], runs: Runs) -> dict[str, int]:
    """How the runs ended; those that failed are not among them, but counted by their sweep."""
    ended = runs.table["outcome"].value_counts()
    failed = sum(int(sweep.tags.get("shallowexp.failed", 0)) for sweep in found)
    return {"runs": len(runs.table), "diverged": int(ended.get("diverged", 0)), "failed": failed}


def _words(table: pd.DataFrame) -> Mapping[str, object]:
    numbers = {str(name) for name in table if pd.api.types.is_numeric_dtype(table[name])}
    rows = [[cell(value) for value in row] for row in table.itertuples(index=False, name=None)]
    return {"columns": [str(name) for name in table], "numbers": numbers, "rows": rows}


def _link(run_id: str, found: Sequence[TrackedSweep]) -> str:
    """The run's page in MLflow, in its model-training mode."""
    server = environ.get("MLFLOW_TRACKING_URI", "")
    server = re.sub("//[^/]*@", "//", server.rstrip("/")) if server.startswith("http") else SERVER  # nobody's password
    return f"{server}/#/experiments/{found[0].experiment_id}/runs/{run_id}?workflowType=machine_learning"
