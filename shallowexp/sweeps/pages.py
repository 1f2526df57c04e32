"""What MLflow's pages show besides the numbers: descriptions, colours, tags and a saved view of each experiment.

All of it is tags, made here from runs and claims; none of it enters a fingerprint.
"""

import csv
import io
import json
import math
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from html import escape
from importlib.metadata import version
from textwrap import indent
from typing import Any
from zlib import compress

import pandas as pd

from shallowexp import analysis
from shallowexp.analysis import SEEDS
from shallowexp.claims.claim import Claim, find
from shallowexp.claims.palette import color
from shallowexp.claims.statistics import ranked_cells
from shallowexp.config.runs import Run
from shallowexp.provenance import command
from shallowexp.tracking.store import RunResult

NOTE, RUN_COLOR, VIEW = "mlflow.note.content", "mlflow.runColor", "mlflow.sharedViewState."
OVERVIEW = "shallowexp-overview"
VIEWS_SINCE = (3, 15)  # of MLflow
LOSS = "train/loss"
CHARTS = {LOSS: "log", "symmetry/effective_units": "linear", "saturation/fraction": "linear"}  # y axis
SHOWN = ("train/accuracy", "train/r2")  # last values, in columns after the charted ones
GROUPS = 20  # nobody can read more lines than these, and MLflow draws no more at once
LOADED = 100  # runs that MLflow loads at a time
AXES = 3  # numeric parameters against which they are drawn
HELD = ("data", "data.positive_rate", "hidden_size")  # at one value, in this order, while there are more groups
LISTED = 12  # values of a parameter in a description
SWEPT = "### What was swept\n\n"
KIND = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": LOSS,
    "mlflow.experiment.primaryMetric.greaterIsBetter": "false",
}


def experiment_tags(name: str) -> dict[str, str]:
    claim = find().get(name)
    note = _claim_note(claim) if claim else "Runs and sweeps that belong to no claim of the chapter."
    return KIND | {NOTE: note}


def _claim_note(claim: Claim) -> str:
    own = claim.docstring.replace(claim.docstring.split("\n\n")[0], f"**{claim.sentence}**", 1)
    own = escape(own, quote=False)  # MLflow's pages drop what looks like a tag, words and all
    return f"""{own}

**How to read it.** A run is one network; runs that differ only in their seed form a cell. The saved view *{_title(claim.name)}*
groups the runs into cells and draws each cell's mean over seeds, with a band from the lowest to the highest. A sweep's
own page says what was swept and, after `shallowexp-report`, shows the figure and what the runs say of the chapter's statements.

**In the report:** section *{claim.name}* of `report/index.html`, made by `shallowexp-report {claim.name}`. To run the sweep again:
`shallowexp -m +experiment={claim.name}`."""


def run_tags(run: Run) -> dict[str, str]:
    """Tags to filter by and the activation's colour."""
    tags = {name: run.params[name] for name in ("activation", "init", "data")}
    return tags | {RUN_COLOR: color(tags["activation"])}


def diverged(run: Run, step: int) -> str:
    """The description of a run that diverged."""
    return f"""**Diverged at step {step} of {run.job.steps}.** From then on the parameters or the loss were not finite (learning rate
{run.job.learning_rate:g}, {run.job.dtype}). This is a result, not a failure: the history ends with the last finite values,
the tag `outcome` is `diverged`, and the metric `diverged/step` is {step}."""


def sweep_note(runs: Sequence[Run], counts: Mapping[str, int], experiment_id: str) -> str:
    """What was swept, how the runs ended, where to see them, and the command."""
    rows = [f"| `{name}` | {_listed(values)} |" for name, values in varied(runs).items() if len(values) > 1]
    table = "\n".join(["| swept | values |", "| --- | --- |", *rows]) if rows else "One configuration."
    outcome = " · ".join(f"{name} {n}" for name, n in counts.items() if n)
    place = f"#/experiments/{experiment_id}/runs?viewStateShareKey={OVERVIEW}&compareRunsMode=CHART&workflowType=machine_learning"
    link = f"[Charts of its cells]({place}) · " if saved_views() else ""
    return f"{SWEPT}{link}{outcome}\n\n{table}\n\nCommand:\n\n{indent(command(), '    ')}"


def table(runs: Sequence[Run], results: Mapping[str, RunResult], failures: Container[str]) -> str:
    """CSV of a sweep's runs, `failures` by fingerprint: id and outcome, then what varies, then the last value of each metric."""
    names = list(varied(runs))
    metrics = sorted({name for ended in results.values() for name in ended.metrics})
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["run_id", "name", "outcome", "fingerprint", *names, *metrics])
    for run in runs:
        ended = results.get(run.fingerprint, RunResult("", {}))
        outcome = ended.outcome if ended.run_id else "failed" if run.fingerprint in failures else "missing"
        values = [run.params.get(name, "") for name in names] + [ended.metrics.get(name, "") for name in metrics]
        rows.writerow([ended.run_id, run.name, outcome, run.fingerprint, *values])
    return file.getvalue()


def best_cell(runs: Sequence[Run], results: Mapping[str, RunResult], parent: str) -> str:
    """What to say at a sweep's end: the cell with the lowest mean loss, with its interval over seeds, and what draws them all."""
    ended = [(run.params, results[run.fingerprint]) for run in runs if run.fingerprint in results]
    table = pd.DataFrame([{**params, **result.metrics, "outcome": result.outcome} for params, result in ended])
    drawn = seen(parent)
    if LOSS not in table:
        return drawn
    cells = cell_params(runs)
    best = ranked_cells(table.fillna(dict.fromkeys(cells, "")), cells, [LOSS]).iloc[0]
    words = " ".join(f"{name}={best[name]}" for name in cells if best[name]) or "the one there is"
    seeds = int(best["runs"] - best["diverged"])
    if not seeds:
        return f"no best cell: every run diverged\n{drawn}"
    interval = f" [{best['95% from']:.4g}, {best['to']:.4g}]" if seeds > 1 else ""
    lost = f", {best['diverged']} more diverged" if best["diverged"] else ""
    return f"best cell: {words} · train/loss {best['mean train/loss']:.4g}{interval} over {seeds} runs{lost}\n{drawn}"


def searched(runs: Sequence[Run], best: Run) -> str:
    """What tells the best of a search's runs from the others, as overrides."""
    names = [name for name in varied(runs) if name not in SEEDS and name in best.params]
    return " ".join(f"{name}={best.params[name]}" for name in names) or "the one there is"


def seen(parent: str) -> str:
    """How to look at a sweep."""
    return f"see it: shallowexp-report --sweep {parent[:8]}, or in MLflow: shallowexp-ui {parent[:8]}"


def plain(text: str) -> str:
    """Words that MLflow's pages show as they are: neither Markdown nor HTML, nor the border of a table's cell."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escape(text, quote=False))


def _listed(values: Sequence[str]) -> str:
    values = [*map(plain, values)]
    if len(values) <= LISTED:
        return ", ".join(values)
    return f"{', '.join(values[: LISTED - 2])}, … {values[-1]} ({len(values)} values)"


def varied(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The parameters that differ between runs, each with its values in the order of the sweep."""
    names = dict.fromkeys(name for run in runs for name in run.params)
    values = {name: list(dict.fromkeys(run.params.get(name, "") for run in runs)) for name in names}
    return {name: [value for value in found if value] for name, found in values.items() if len(found) > 1}


def with_figure(note: str, path: str, run_id: str, findings: str) -> str:
    """A sweep's description under what was found and the figure among its artifacts, in place of earlier ones.

    MLflow shows a long description's first lines only, so these come first; it cannot scale an image.
    """
    image = f"![{path}](get-artifact?path={path}&run_uuid={run_id})"
    return f"{findings}\n\n{image}\n\n{SWEPT}{note.split(SWEPT)[-1]}"


def view_tags(name: str, runs: Sequence[Run]) -> dict[str, str]:
    """The saved view of an experiment's newest sweep, under one tag; none if this MLflow has no saved views.

    The form of the state is not documented: it is what the page of MLflow 3.17 writes, and tests open it there.
    """
    if not saved_views():
        return {}
    state = _state(runs)
    packed = f"deflate;{b64encode(compress(json.dumps(state, separators=(',', ':')).encode())).decode()}"
    title = _title(name) if "groupBy" in state else f"{name}: best runs"
    return {VIEW + OVERVIEW: json.dumps({"name": title, "createdAt": 0, "state": packed})}


def saved_views() -> bool:
    return tuple(map(int, version("mlflow").split(".")[:2])) >= VIEWS_SINCE


def _title(name: str) -> str:
    return f"{name}: cells"


def _state(runs: Sequence[Run]) -> dict[str, Any]:
    """Children only: cells, the first seed of every one first; or the best runs, where cells are too many to be seen."""
    held = _held(runs)
    runs = _where(runs, held)
    swept = varied(runs)
    seeds = [name for name in SEEDS if name in swept]
    cells = cell_params(runs)
    columns = [f"params.`{name}`" for name in [*cells, *seeds]] + [f"metrics.`{name}`" for name in (*CHARTS, *SHOWN)]
    conditions = ["params.activation LIKE '%'", *(f"params.`{k}` = '{v}'" for k, v in held.items())]
    numeric = {name: found for name, found in swept.items() if name in cells and all(map(_is_number, found))}
    many = _count(runs, cells) > LOADED or any(len(found) > GROUPS for found in numeric.values())
    shown = _best_runs(cells, numeric) if many else _cells(cells, seeds)
    return {
        "searchFilter": " AND ".join(conditions),
        "selectedColumns": [*columns, "tags.`outcome`"],
        "isAccordionReordered": True,
        **shown,
    }


def _cells(cells: Sequence[str], seeds: Sequence[str]) -> dict[str, Any]:
    return {
        "orderByKey": f"params.`{seeds[0]}`" if seeds else "attributes.start_time",
        "orderByAsc": bool(seeds),
        "groupBy": _group_by(cells),
        "useGroupedValuesInCharts": True,
        "runsHiddenMode": f"FIRST_{GROUPS}_RUNS",
        **_section("The claim", [_line(name, scale) for name, scale in CHARTS.items()]),
    }


def _best_runs(cells: Sequence[str], numeric: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Where they lie: MLflow's axes of parameters are linear, so a whole grid of decades would be a heap in a corner."""
    axes = sorted(numeric, key=lambda name: -len(numeric[name]))[:AXES]
    charts = [_chart("PARALLEL", selectedParams=cells, selectedMetrics=[LOSS], showAllRuns=True)]
    if len(axes) > 1:
        charts.append(_chart("CONTOUR", xaxis=_param(axes[0]), yaxis=_param(axes[1]), zaxis=_metric(LOSS)))
    charts += [_chart("SCATTER", xaxis=_param(name), yaxis=_metric(LOSS)) for name in axes]
    order = {"orderByKey": f"metrics.`{LOSS}`", "orderByAsc": True, "runsHiddenMode": "SHOWALL"}
    return order | _section("The best runs", charts)


def _section(name: str, charts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    section = {"uuid": OVERVIEW, "name": name, "display": True, "isReordered": True}
    return {"compareRunCharts": charts, "compareRunSections": [section]}


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _param(name: str) -> dict[str, str]:
    return {"key": name, "type": "PARAM"}


def _metric(name: str) -> dict[str, str]:
    return {"key": name, "type": "METRIC"}


def _held(runs: Sequence[Run]) -> dict[str, str]:
    """What the view holds fixed so that its cells can be told apart: the most frequent value, the last one of equals."""
    held: dict[str, str] = {}
    for name in HELD:
        shown = _where(runs, held)
        if 1 < len(varied(shown).get(name, [])) <= GROUPS and _count(shown, cell_params(shown)) > GROUPS:
            held[name] = Counter(run.params[name] for run in reversed(shown)).most_common(1)[0][0]
    return held


def _where(runs: Sequence[Run], held: Mapping[str, str]) -> list[Run]:
    return [run for run in runs if held.items() <= run.params.items()]


def cell_params(runs: Sequence[Run]) -> list[str]:
    """The fewest varied parameters that tell the cells apart."""
    return analysis.cell_params(pd.DataFrame([run.params for run in runs]))


def _count(runs: Sequence[Run], names: Sequence[str]) -> int:
    return len({tuple(run.params.get(name) for name in names) for run in runs})


def _group_by(names: Sequence[str]) -> dict[str, Any] | None:
    keys = [{"mode": "param", "groupByData": name} for name in names]
    return {"aggregateFunction": "average", "groupByKeys": keys} if keys else None


def _line(metric: str, scale: str) -> dict[str, Any]:
    return _chart(
        "LINE",
        metricKey=metric,
        selectedMetricKeys=[metric],
        xAxisKey="step",
        xAxisScaleType="log",
        scaleType=scale,
        yAxisKey="metric",
        lineSmoothness=0,
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )


def _chart(kind: str, **more: Any) -> dict[str, Any]:
    keys = [str(more[axis]["key"]) for axis in ("xaxis", "yaxis", "zaxis") if axis in more]
    uuid = "-".join([OVERVIEW, more.get("metricKey", kind), *keys])
    return {"type": kind, "uuid": uuid, "metricSectionId": OVERVIEW, "isGenerated": False, "deleted": False, **more}
