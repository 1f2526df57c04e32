"""The view that MLflow saves with an experiment; tests/sweeps/test_pages.py opens it in a browser."""

import json
from base64 import b64decode
from zlib import decompress

import pytest

from shallowexp.config.composition import compose_experiment, compose_sweep
from shallowexp.config.runs import plan
from shallowexp.sweeps import view

RATES = ",".join(str(2**n) for n in range(-10, 11))


def planned(name, *overrides):
    return plan((job.config, job.choices) for job in compose_experiment(name, overrides)[1])


@pytest.fixture(scope="module")
def runs():
    return planned("symmetry", "seed=100,101")


def test_a_view_of_several_data_sets_holds_one():
    runs = planned("effective_units", "seed=100,101")  # with parameters that only some of the data sets have
    assert view._held(runs) == {"data": "flower"}
    assert view._held(runs[:20]) == {}


def test_a_view_is_packed_as_mlflow_reads_it(runs, monkeypatch):
    (packed,) = view.tags("symmetry", runs).values()
    state = json.loads(decompress(b64decode(json.loads(packed)["state"].removeprefix("deflate;"))))
    assert state["searchFilter"] == (
        "params.activation LIKE '%' AND params.`data.positive_rate` = '0.3' AND params.`hidden_size` = '8'"
    )
    assert [key["groupByData"] for key in state["groupBy"]["groupByKeys"]] == ["activation", "init", "train.engine"]
    assert [chart["metricKey"] for chart in state["compareRunCharts"]] == list(view.CHARTS)
    assert len(packed) < 5000  # the longest tag of an experiment
    monkeypatch.setattr(view, "version", lambda name: "3.14.1")
    assert view.tags("symmetry", runs) == {}


@pytest.mark.parametrize(("objective", "rising"), [("test/loss", True), ("test/accuracy", False)])
def test_a_view_of_the_best_runs_ranks_them_by_the_objective_and_says_so(objective, rising):
    words = [f"train.learning_rate={RATES}", "init.scale=1,10", f"objective.metric={objective}"]
    runs = plan((job.values, job.choices) for job in compose_sweep(words)[1])
    state = view._state(runs)
    assert (state["orderByKey"], state["orderByAsc"]) == (f"metrics.`{objective}`", rising)
    assert state["orderByKey"] in state["selectedColumns"]
    parallel, contour, *scatters = state["compareRunCharts"]
    assert parallel["selectedMetrics"] == [objective] and contour["zaxis"]["key"] == objective
    assert [chart["yaxis"]["key"] for chart in scatters] == [objective] * 2
    (packed,) = view.tags("mine", runs).values()
    assert json.loads(packed)["name"] == f"mine: best runs by {objective}"


@pytest.mark.parametrize(
    ("swept", "charts"),
    [
        (["init.scale=0.01,0.1", "activation=tanh,relu"], ["LINE"] * 3),
        ([f"train.learning_rate={RATES}"], ["PARALLEL", "SCATTER"]),
        ([f"train.learning_rate={RATES}", "init.scale=1,10", "activation=tanh,relu"], ["PARALLEL", "CONTOUR", *["SCATTER"] * 2]),
        (["data=moons,circles,xor", "hidden_size=range(1,16)"], ["LINE"] * 3),
        (["data=moons,circles,xor", "hidden_size=range(1,31)"], ["PARALLEL", "SCATTER"]),
    ],
)  # fmt: skip
def test_what_a_view_draws_depends_on_how_many_cells_there_are(swept, charts):
    runs = plan((job.values, job.choices) for job in compose_sweep([*swept, "seed=1,2"])[1])
    assert [chart["type"] for chart in view._state(runs)["compareRunCharts"]] == charts
