"""Views that MLflow saves with an experiment: charts of the cells of a sweep, or of its best runs."""

import json
import math
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any
from zlib import compress

from shallowexp.analysis import LOSS, SEEDS, direction
from shallowexp.sweeps.cells import AnyRun, cell_params, varied
from shallowexp.tracking.sweeps import VIEW

OVERVIEW = "shallowexp-overview"
VIEWS_SINCE = (3, 15)  # of MLflow
CHARTS = {LOSS: "log", "symmetry/effective_units": "linear", "saturation/fraction": "linear"}  # y axis
SHOWN = ("train/accuracy", "train/r2")  # last values, in columns after the charted ones
GROUPS = 20  # nobody can read more lines than these, and MLflow draws no more at once
LOADED = 100  # runs that MLflow loads at a time
AXES = 3  # numeric parameters against which they are drawn
HELD = ("data", "data.positive_rate", "hidden_size")  # at one value, in this order, while there are more groups


def tags(name: str, runs: Sequence[AnyRun], sweep: str = "") -> dict[str, str]:
    """The saved view of this sweep's runs, or of all in the experiment as its newest sweep has them, under one tag; none if this
    MLflow has no saved views.

    The form of the state is not documented: it is what the page of MLflow 3.17 writes, and tests open it there.
    """
    if not saved_views():
        return {}
    state = _state(runs, sweep)
    packed = f"deflate;{b64encode(compress(json.dumps(state, separators=(',', ':')).encode())).decode()}"
    shown = title(sweep or name) if "groupBy" in state else f"{sweep or name}: best runs by {runs[0].objective}"
    return {VIEW + (sweep or OVERVIEW): json.dumps({"name": shown, "createdAt": 0, "state": packed})}


def saved_views() -> bool:
    return tuple(map(int, version("mlflow").split(".")[:2])) >= VIEWS_SINCE


def title(name: str) -> str:
    return f"{name}: cells"


def within(sweep: str) -> str:
    """MLflow's filter for the runs that `Store.gather` has named after this sweep."""
    return f"tags.sweep LIKE '%{sweep}%'"


def _state(runs: Sequence[AnyRun], sweep: str = "") -> dict[str, Any]:
    """Children only: cells, the first seed of every one first; or the best runs, where cells are too many to be seen."""
    held = _held(runs)
    runs = _where(runs, held)
    swept = varied(runs)
    seeds = [name for name in SEEDS if name in swept]
    cells = cell_params(runs)
    metrics = dict.fromkeys((*CHARTS, *SHOWN, runs[0].objective))
    columns = [f"params.`{name}`" for name in [*cells, *seeds]] + [f"metrics.`{name}`" for name in metrics]
    own = within(sweep) if sweep else "params.activation LIKE '%'"
    conditions = [own, *(f"params.`{k}` = '{v}'" for k, v in held.items())]
    numeric = {name: found for name, found in swept.items() if name in cells and all(map(_is_number, found))}
    many = _count(runs, cells) > LOADED or any(len(found) > GROUPS for found in numeric.values())
    shown = _best_runs(cells, numeric, runs[0].objective) if many else _cells(cells, seeds)
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


def _best_runs(cells: Sequence[str], numeric: Mapping[str, Sequence[str]], objective: str) -> dict[str, Any]:
    """Where they lie: MLflow's axes of parameters are linear, so a whole grid of decades would be a heap in a corner."""
    axes = sorted(numeric, key=lambda name: -len(numeric[name]))[:AXES]
    charts = [_chart("PARALLEL", selectedParams=cells, selectedMetrics=[objective], showAllRuns=True)]
    if len(axes) > 1:
        charts.append(_chart("CONTOUR", xaxis=_param(axes[0]), yaxis=_param(axes[1]), zaxis=_metric(objective)))
    charts += [_chart("SCATTER", xaxis=_param(name), yaxis=_metric(objective)) for name in axes]
    rising = direction(objective) == 1
    order = {"orderByKey": f"metrics.`{objective}`", "orderByAsc": rising, "runsHiddenMode": "SHOWALL"}
    return order | _section(f"The best runs by {objective}", charts)


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


def _held(runs: Sequence[AnyRun]) -> dict[str, str]:
    """What the view holds fixed so that its cells can be told apart: the most frequent value, the last one of equals."""
    held: dict[str, str] = {}
    for name in HELD:
        shown = _where(runs, held)
        if 1 < len(varied(shown).get(name, [])) <= GROUPS and _count(shown, cell_params(shown)) > GROUPS:
            held[name] = Counter(run.params[name] for run in reversed(shown)).most_common(1)[0][0]
    return held


def _where(runs: Sequence[AnyRun], held: Mapping[str, str]) -> list[AnyRun]:
    return [run for run in runs if held.items() <= run.params.items()]


def _count(runs: Sequence[AnyRun], names: Sequence[str]) -> int:
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
