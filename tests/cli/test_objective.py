"""What a run is worth to a sweeper that searches: a metric's last value, over several seeds, the worst where it diverged."""

import math
import re
from pathlib import Path

import pytest

from shallowexp.tracking.store import Store
from tests.commands import command
from tests.searching import SEARCH

SMALL = ("train.steps=20", "log.points=3", "hidden_size=2")


@pytest.fixture
def searched(workplace):
    """Runs a sweep with a sweeper that wants to know what its jobs are worth."""

    def run(*overrides: str) -> list[float]:
        done = command("tests.searching:main", "-m", *SEARCH, *SMALL, *overrides, cwd=workplace)
        assert done.returncode == 0, done.stderr
        return [float(line) for line in (workplace / "worth.txt").read_text().splitlines()]

    return run


def table(workplace: Path):
    store = Store.open(f"sqlite:///{workplace}/mlflow.db")
    return store.read("shallowexp", store.finished(store.find("shallowexp"))).table


def test_a_run_is_worth_the_last_value_of_its_metric(searched, workplace):
    found = searched("seed=3,1,2", "objective.metric=test/accuracy")
    assert found == [table(workplace).set_index("seed")["test/accuracy"][seed] for seed in (3, 1, 2)]


def test_over_seeds_it_is_their_mean_and_twice_the_same_is_trained_once(searched, workplace):
    found = searched("init.scale=0.01,1", "objective.seeds=3", "seed=5")
    runs = table(workplace)
    assert sorted(runs["seed"]) == [5, 5, 6, 6, 7, 7]
    assert found == [pytest.approx(runs[runs["init.scale"] == scale]["train/loss"].mean()) for scale in (0.01, 1)]
    assert searched("init.scale=1,0.01", "objective.seeds=3", "seed=5") == found[::-1]
    assert len(table(workplace)) == 6


@pytest.mark.parametrize(("metric", "worst"), [("train/loss", math.inf), ("train/accuracy", -math.inf)])
def test_what_diverges_is_the_worst_there_is(searched, metric, worst):
    diverging = ("activation=relu", "init.scale=10", "train.steps=300")
    found = searched("train.learning_rate=0.01,1e6", f"objective.metric={metric}", *diverging)
    assert math.isfinite(found[0]) and found[1] == worst


def test_what_fails_is_the_worst_there_is_and_the_search_goes_on(searched, workplace):
    assert searched("data=wine", "data.test_size=0.2,0.99")[1] == math.inf
    failing = ("data=wine", "data.test_size=0.3,0.99", *SMALL)
    assert command("shallowexp", "-m", *failing, cwd=workplace).returncode == 1  # of a sweep that does not search


@pytest.mark.parametrize(("metric", "best"), [("test/accuracy", "max"), ("test/loss", "min"), ("train/loss", "min")])
def test_a_sweep_s_runs_are_ranked_by_the_objective_that_it_named(workplace, metric, best):
    named = () if metric == "train/loss" else (f"objective.metric={metric}",)
    words = ("data=moons", "train.learning_rate=0.001,0.3,8", "seed=0,1", "train.steps=200", "log.points=3")
    done = command("shallowexp", "-m", *words, *named, cwd=workplace)
    assert done.returncode == 0, done.stderr
    runs = table(workplace)
    means = runs.groupby("train.learning_rate")[metric].mean()
    rate, worth = getattr(means, f"idx{best}")(), getattr(means, best)()
    assert f"best cell: train.learning_rate={rate} · {metric} {worth:.4g} [" in done.stdout
    listed = command("shallowexp-runs", cwd=workplace, COLUMNS="200").stdout
    assert f"│ {metric} {getattr(runs[metric], best)():.4g} │" in listed.replace("  ", " ")
    made = command("shallowexp-report", "--sweep", "latest", "--output", "page", cwd=workplace)
    assert made.returncode == 0, made.stderr
    page = (workplace / "page" / "index.html").read_text(encoding="utf-8")
    cells, rows = (re.split("<tr>", part)[1:] for part in re.findall("(?s)<tbody>(.*?)</tbody>", page))
    assert f">{rate:g}<" in cells[0] and f">{worth:.4g}<" in cells[0]
    ranked = runs.sort_values(metric, ascending=best == "min")[metric]
    assert [re.findall(">([^<>]+)</td>", row)[3] for row in rows] == [f"{value:.4g}" for value in ranked]
    assert f"mean of the last <code>{metric}</code>" in page and f"best cells by {metric}" in page


def test_a_single_run_returns_it_too(workplace):
    done = command("shallowexp", *SMALL, "objective.seeds=2", "seed=4", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert sorted(table(workplace)["seed"]) == [4, 5]
    assert not [name for name in table(workplace) if name.startswith("objective")]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("objective.metric=train/los", "did you mean train/loss"),
        ("objective.metric=train/r2", "objective.metric=train/r2 is not a choice"),
        ("objective.seeds=0", "1 to 10,000"),
        ("objective.seed=3", "did you mean"),
    ],
)
def test_an_objective_that_no_run_logs_is_named(workplace, override, words):
    refused = command("shallowexp", "-m", "seed=0,1", *SMALL, override, cwd=workplace)
    assert refused.returncode == 1 and words in refused.stderr and "Traceback" not in refused.stderr
