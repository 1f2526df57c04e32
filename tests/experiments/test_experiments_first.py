"""The first experiments draw what a small sweep has, and their verdicts follow the runs, also against the chapter."""

from dataclasses import replace
from functools import cache

import pandas as pd
import pytest
from matplotlib.figure import Figure
from shallowexp.claims.verdict import CONDITIONAL, REFUTED, SUPPORTED

from shallowexp.claims.claim import find
from shallowexp.config.composition import compose_experiment
from shallowexp.config.runs import plan
from shallowexp.network.diagnostics import METRICS
from shallowexp.runs import Runs
from shallowexp.training.engines import train
from tests.experiments.kept import choices as kept_choices

NAMES = ("hidden_size",)
STEPS = (0, 1, 5, 20)


@cache
def sweep(name):
    return plan((job.config, job.choices) for job in compose_experiment(name)[1])


def small(name, seeds=3, **choices) -> Runs:
    """The sweep's first seeds, trained for a few steps; `choices` name columns with __ for the dot."""
    wanted = {key.replace("__", "."): list(map(str, values)) for key, values in choices.items()}
    chosen = [run for run in sweep(name) if all(run.params.get(key, "None") in wanted[key] for key in wanted)]
    first = sorted({run.job.seed for run in chosen})[:seeds]
    chosen = [run for run in chosen if run.job.seed in first]
    jobs = [replace(run.job, steps=STEPS[-1], log_steps=STEPS) for run in chosen]
    params = pd.DataFrame([run.params for run in chosen], index=[run.fingerprint for run in chosen])
    words = ("data", "activation", "init", "output", "log.weights", "train.dtype", "train.engine", "log.steps")
    params = params.apply(lambda column: column if column.name in words else pd.to_numeric(column))
    results = dict(zip(params.index, train(jobs), strict=True))
    metrics = [pd.DataFrame(result.metrics, columns=METRICS).assign(step=result.steps) for result in results.values()]
    histories = pd.concat(dict(zip(results, metrics, strict=True)), names=["fingerprint", None]).reset_index(level=0)
    table = params.join(histories.groupby("fingerprint")[list(METRICS)].last()).assign(outcome="finished").sort_index()
    jobs_of = dict(zip(results, jobs, strict=True))
    weights = {
        key: {
            "steps": r.steps,
            **r.weights._asdict(),
            "choices": kept_choices(jobs_of[key].data, jobs_of[key].activation),
        }
        for key, r in results.items()
        if r.weights
    }
    return Runs(table, histories.join(params, on="fingerprint").reset_index(drop=True), weights)


def told(runs: Runs, measure: str, tell) -> Runs:
    """The same runs with `tell`, of a row, as their `measure`."""
    frames = [frame.assign(**{measure: frame.apply(tell, axis=1)}) for frame in (runs.table, runs.histories)]
    return Runs(*frames, runs.weights)


def module(name):
    return find()[name].load()


@cache
def hidden_size():
    return small("hidden_size", hidden_size=(1, 5, 50))


RUNS = {"hidden_size": hidden_size}


@pytest.mark.parametrize("name", NAMES)
def test_a_small_sweep_is_drawn_and_judged(name):
    figure, numbers = module(name).figure(RUNS[name]())
    figure.draw_without_rendering()
    assert isinstance(figure, Figure)
    assert len(numbers)
    assert module(name).verdict(RUNS[name]()).effect.low <= module(name).verdict(RUNS[name]()).effect.high


@pytest.mark.parametrize("name", NAMES)
def test_missing_cells_and_weights_leave_panels_empty(name):
    runs = RUNS[name]()
    one = runs.table.index[:1]
    few = Runs(runs.table.loc[one], runs.histories[runs.histories["fingerprint"].isin(one)], {})
    figure, _ = module(name).figure(few)
    figure.draw_without_rendering()


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_measure_is_named(name):
    runs = RUNS[name]()
    without = [frame.drop(columns=["train/accuracy", "train/loss"]) for frame in runs[:2]]
    for function in (module(name).figure, module(name).verdict):
        with pytest.raises(ValueError, match="these runs have no train/"):
            function(Runs(*without, runs.weights))


@pytest.mark.parametrize(
    ("few", "enough", "many", "expected"),
    [(0.6, 0.9, 0.8, SUPPORTED), (0.9, 0.9, 0.9, REFUTED), (0.6, 0.9, 0.95, CONDITIONAL), (0.9, 0.9, 0.8, CONDITIONAL)],
)
def test_hidden_size_follows_the_runs(few, enough, many, expected):
    accuracy = {1: few, 5: enough, 50: many}
    runs = hidden_size()
    for measure in ("train/accuracy", "test/accuracy"):
        runs = told(runs, measure, lambda row: accuracy[row["hidden_size"]])
    assert module("hidden_size").verdict(runs).outcome == expected


def test_hidden_size_compares_with_the_published_accuracies():
    table = hidden_size().table.assign(**{"train.steps": 5000})
    published = {1: 0.675, 5: 0.9125, 50: 0.9}
    runs = told(Runs(table, *hidden_size()[1:]), "train/accuracy", lambda row: published[row["hidden_size"]])
    assert "2 published accuracies here: 0.00 points" in module("hidden_size").verdict(runs).notes
