"""What tells runs apart, and the best of their cells."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.config.composition import compose_experiment, compose_sweep
from shallowexp.config.runs import plan
from shallowexp.sweeps import cells
from shallowexp.tracking.store import RunResult


def test_cells_are_told_apart_by_the_fewest_parameters():
    runs = plan((job.config, job.choices) for job in compose_experiment("symmetry", ["seed=100,101"])[1])
    assert cells.cell_params(runs) == ["activation", "init", "hidden_size", "data.positive_rate", "train.engine"]
    assert cells.cell_params(runs[:1]) == []


def test_the_best_cell_counts_those_of_its_runs_that_diverged():
    runs = plan((job.values, job.choices) for job in compose_sweep(["init.scale=0.1,1", "seed=range(3)"])[1])
    ended = {"train/loss": 0.5}, {"train/loss": 0.3}, {"train/loss": 0.1, "diverged/step": 7}
    results = {run.fingerprint: RunResult("", ended[1 if run.job.seed else 0]) for run in runs}
    results[runs[3].fingerprint] = RunResult("", ended[2])
    said = cells.best_cell(runs, results, "0123456789").splitlines()[0]
    assert said == "best cell: init.scale=1 · train/loss 0.3 [0.3, 0.3] over 2 runs, 1 more diverged"
    lost = {run.fingerprint: RunResult("", ended[2]) for run in runs}
    assert cells.best_cell(runs, lost, "0123456789").startswith("no best cell: every run diverged\nsee it: ")


@pytest.mark.parametrize(
    ("metric", "values", "interval"),
    [
        ("train/loss", [0.01, 0.02, 0.3], "[0, "),  # the t interval begins at -0.3
        ("train/loss", [1.0, 1.1, 1.2], "[0.8516, 1.348]"),
        ("test/accuracy", [0.5, 0.99, 1.0], ", 1]"),
        ("test/r2", [-3.0, 0.9, 1.0], ", 1]"),
        ("symmetry/cosine", [-1.0, 0.0, 1.0], "[-2.484, 2.484]"),
    ],
)
def test_an_interval_ends_where_its_metric_does(metric, values, interval):
    table = pd.DataFrame({metric: values, "outcome": "finished"})
    (row,) = cells.ranked(table, [], [metric]).to_dict("records")
    assert interval in f"[{row['95% from']:.4g}, {row['to']:.4g}]"
    assert row[f"mean {metric}"] == pytest.approx(np.mean(values))


def test_cells_are_ranked_by_what_is_better_higher_or_lower():
    table = pd.DataFrame({"cell": list("aabbcc"), "outcome": "finished"})
    table["test/r2"], table["train/loss"] = [0.1, 0.3, 0.5, 0.9, -2.0, 0.0], [3.0, 3.0, 2.0, 2.0, 1.0, 1.0]
    by_r2, by_loss = (cells.ranked(table, ["cell"], [name, "train/loss"]) for name in ("test/r2", "train/loss"))
    assert by_r2["cell"].tolist() == ["b", "a", "c"] and by_loss["cell"].tolist() == ["c", "b", "a"]
    assert by_r2["mean test/r2"].tolist() == pytest.approx([0.7, 0.2, -1.0])
    assert (by_r2["95% from"] < by_r2["mean test/r2"]).all() and (by_r2["mean test/r2"] < by_r2["to"]).all()
    assert by_r2["mean train/loss"].tolist() == [2.0, 3.0, 1.0]


def test_a_sweep_ends_with_the_best_cell_by_its_objective():
    words = ["init.scale=0.1,1", "seed=range(2)", "objective.metric=test/accuracy"]
    runs = plan((job.values, job.choices) for job in compose_sweep(words)[1])
    ended = {0.1: {"train/loss": 0.2, "test/accuracy": 0.75}, 1: {"train/loss": 0.3, "test/accuracy": 0.875}}
    results = {run.fingerprint: RunResult("", ended[float(run.params["init.scale"])]) for run in runs}
    said = cells.best_cell(runs, results, "0123456789").splitlines()[0]
    assert said == "best cell: init.scale=1 · test/accuracy 0.875 [0.875, 0.875] over 2 runs"


def test_a_cell_without_a_value_is_null_and_one_whose_choice_has_no_such_key_says_nothing():
    runs = plan((job.values, job.choices) for job in compose_sweep(["train.batch_size=32,null", "init=random,zero"])[1])
    losses = {(32, "random"): 0.5, (None, "random"): 0.3, (32, "zero"): 0.4, (None, "zero"): 0.2}
    keys = [(run.job.batch_size, run.params["init"]) for run in runs]
    results = {run.fingerprint: RunResult("", {"train/loss": losses[key]}) for run, key in zip(runs, keys, strict=True)}
    said = cells.best_cell(runs, results, "0123456789").splitlines()[0]
    assert said == "best cell: init=zero train.batch_size=null · train/loss 0.2 over 1 runs"
