"""Jobs of Hydra's other launchers join one parent run, and so do a search's trials."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from shallowexp.cli.multirun import PARENT
from shallowexp.config.composition import Workers, compose_run
from shallowexp.config.runs import to_run
from shallowexp.errors import RunsFailed
from shallowexp.network.initializers import Parameters, Random
from shallowexp.sweeps.multirun import launched, study
from shallowexp.sweeps.sweep import ExperimentTracker
from tests import held
from tests.commands import ROOT, Forked, command, forked, until
from tests.searching import SEARCH
from tests.tracking.test_lost_stores import finished, runs, sweeps

SMALL = ("train.steps=20", "log.points=3", "data.samples=20")
LAUNCHERS = {  # the plugin that each comes from, if not from Hydra, and what else it is told
    "basic": ("hydra", ()),
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ("hydra.launcher.n_jobs=2",)),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", ("hydra.launcher.timeout_min=5",)),
}


@dataclass(frozen=True)
class Fragile(Random):
    """Cannot train seed 2 before there is a file `mended`."""

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        if seed == 2 and not Path("mended").exists():
            raise ValueError("broken")
        return super().__call__(n_x, n_h, n_y, seed)


@pytest.fixture(params=LAUNCHERS)
def launcher(request) -> tuple[str, ...]:
    """The words that choose it."""
    plugin, more = LAUNCHERS[request.param]
    pytest.importorskip(plugin)
    return (f"hydra/launcher={request.param}", *more)


def only_sweep(place: Path) -> tuple[str, str]:
    """The run id and the status of the one parent that there is; all finished runs are its children."""
    (parent,) = sweeps(place)
    assert {run.data.tags["mlflow.parentRunId"] for run in finished(place)} <= {parent.info.run_id}
    return parent.info.run_id, parent.info.status


def test_jobs_of_other_launchers_join_one_parent_that_the_same_command_completes(workplace, launcher):
    words = ("shallowexp", "-m", f"init._target_={__name__}.Fragile", "seed=1,2", *SMALL, *launcher)
    failed = command(*words, cwd=workplace, PYTHONPATH=str(ROOT))
    assert failed.returncode == 1
    assert failed.stderr.endswith(
        "1 runs failed:\n  tanh · random ×0.01 · 4 units · seed 2: ValueError: broken (test_multirun.py, line 38)\n"
    )
    assert "Traceback" not in failed.stderr
    assert "2 runs: 0 already there, 1 trained, 1 failed" in failed.stdout
    parent, status = only_sweep(workplace)
    assert (status, len(finished(workplace))) == ("FAILED", 1)

    (workplace / "mended").touch()
    done = command(*words, cwd=workplace, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert "2 runs: 1 already there, 1 trained." in done.stdout
    assert f"over 2 runs\nsee it: shallowexp-report --sweep {parent[:8]}" in done.stdout
    assert only_sweep(workplace) == (parent, "FINISHED")
    table = (workplace / "mlruns" / "1" / parent / "artifacts" / "runs.csv").read_text()
    assert len(finished(workplace)) == 2 and all(f"{run.info.run_id}," in table for run in finished(workplace))

    before = [vars(run.info) for run in runs(workplace, "")]
    for again in (
        words,
        words[: -len(launcher)],
    ):  # the batched launcher's sweep is the same one, to the weights that are kept
        done = command(*again, cwd=workplace)
        assert "2 runs: 2 already there, 0 trained." in done.stdout
        assert f"see it: shallowexp-report --sweep {parent[:8]}" in done.stdout
    assert [vars(run.info) for run in runs(workplace, "")] == before


@dataclass(frozen=True)
class Changing(Random):
    """With seed 1 a job changes the data that the next one trains on."""

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        if seed == 1 and PARENT in os.environ:
            with Path("points.csv").open("a") as file:
                file.write("0.5,1\n")
        return super().__call__(n_x, n_h, n_y, seed)


def test_a_job_that_would_train_another_network_than_planned_is_refused(workplace):
    (workplace / "points.csv").write_text("x,label\n" + "0.1,0\n0.2,1\n" * 10)
    words = ("data=csv", "data.path=points.csv", "data.target=label", f"init._target_={__name__}.Changing")
    done = command("shallowexp", "-m", "hydra/launcher=basic", *words, *SMALL[:2], "seed=1,2", cwd=workplace)
    assert done.returncode == 1
    refused = "seed 2 is not the network that its sweep planned: source files or data have changed since"
    assert refused in done.stderr and "Traceback" not in done.stderr
    assert only_sweep(workplace)[1] == "FAILED" and len(finished(workplace)) == 1


def test_a_run_that_no_job_has_ended_has_failed(workplace):
    tracked = ExperimentTracker.open("lost")
    mine, theirs = (to_run(*compose_run({"train.steps": "20", "seed": seed})) for seed in "12")
    with launched(tracked, [mine, theirs], [mine, theirs], {}, False) as (parent, summary):
        tracked.one(theirs, [theirs])  # by another command
    assert str(summary) == "2 runs: 1 already there, 0 trained, 1 failed"
    assert summary.failures == {mine.fingerprint: (mine.name, "its job ended without it")}
    assert [(run.info.run_id, run.info.status) for run in sweeps(workplace, "lost")] == [(parent, "FAILED")]


def test_what_an_earlier_attempt_left_is_not_this_ones(workplace):
    tracked = ExperimentTracker.open("again")
    (run,) = [to_run(*compose_run({"train.steps": "20", "init._target_": f"{__name__}.Fragile", "seed": "2"}))]
    for trained in (True, False):  # it fails, and then no job comes to it
        with launched(tracked, [run], [run], {}, False) as (parent, summary), suppress(RunsFailed):
            if trained:
                tracked.one(run, [run], parent)
        assert ("broken" in summary.failures[run.fingerprint][1]) == trained


def test_a_search_of_which_another_process_has_trained_the_first_trials_meanwhile_logs_the_best_of_all(workplace):
    keys = {"train.steps": "20", "log.model": "best"}
    asked = [to_run(*compose_run({**keys, "seed": seed})) for seed in "1234"]
    other = ExperimentTracker.open("searched")
    losses = {f: found.metrics["train/loss"] for f, found in other.sweep(asked, asked).results.items()}
    asked.sort(key=lambda run: losses[run.fingerprint], reverse=True)
    looks = count()

    class Late(ExperimentTracker):
        """Looks for the first time before the other process has trained."""

        def missing(self, runs, fresh=False):
            return super().missing(runs, fresh) if next(looks) else list(runs)

    with study(Late.open("searched"), "train/loss", "key") as found:
        for trials in (asked[:2], asked[2:]):
            found.train([[run] for run in trials], Workers(), {}, False)
    models = other.store.client.search_logged_models([other.experiment_id])
    assert [model.tags["shallowexp.fingerprint"] for model in models] == [asked[-1].fingerprint]


def held_job(workplace: Path) -> Forked:
    """A sweep whose second job waits for `go`."""
    words = [word.replace(f"range({held.FIRST - held.CORES},", f"range({held.FIRST - 1},") for word in held.SWEEP]
    return forked(*words, "hydra/launcher=basic", cwd=workplace)


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [(signal.SIGTERM, "KILLED", 143), (signal.SIGINT, "KILLED", 130), (signal.SIGKILL, "RUNNING", -signal.SIGKILL)],
)
def test_a_launching_process_that_is_stopped_is_resumed_under_the_same_parent(workplace, number, status, code):
    with held_job(workplace) as sweep:
        for _ in until(sweep):
            if (workplace / f"begun-{held.FIRST}").exists():
                break
        sweep.send_signal(number)
        (workplace / "go").touch()
        _, err = sweep.communicate()
    assert sweep.returncode == code, err
    parent, ended = only_sweep(workplace)
    assert ended == status
    assert ("The same command resumes it" in err) == (status == "KILLED") and "Traceback" not in err
    with held_job(workplace) as sweep:
        out, err = sweep.communicate()
    assert sweep.returncode == 0, err
    assert only_sweep(workplace) == (parent, "FINISHED")
    assert len({run.data.tags["shallowexp.fingerprint"] for run in finished(workplace)}) == held.CORES + 1


def test_what_other_launchers_would_train_is_planned_before_any_job(workplace):
    words = ("shallowexp", "-m", "hydra/launcher=basic", *SMALL)
    dry = command(*words, "seed=1,2", "objective.seeds=2", "dry_run=true", cwd=workplace)
    assert dry.returncode == 0 and dry.stdout.startswith("3 runs: 0 already there, 3 to train, about")
    refused = command(*words, "hidden_size=2,0", cwd=workplace)
    assert refused.returncode == 1 and refused.stderr.startswith("shallowexp: hidden_size=0 is not possible")
    assert not runs(workplace, "") and not list(workplace.glob("multirun/*/*/0"))


def test_a_search_has_one_parent_and_ends_with_its_best_trial(workplace):
    """Two batches of two trials, each over two seeds."""
    words = ("tests.searching:main", "-m", *SEARCH, *SMALL, "init.scale=0.01,0.5,1,2", "train.learning_rate=0.3")
    words = (*words, "objective.seeds=2", "objective.metric=test/loss", "hydra.sweeper.max_batch_size=2")
    done = command(*words, cwd=workplace)
    assert done.returncode == 0, done.stderr
    parent, status = only_sweep(workplace)
    assert (status, len(finished(workplace))) == ("FINISHED", 8)
    worth = [float(line) for line in (workplace / "worth.txt").read_text().splitlines()]
    best = dict(zip(worth, ("0.01", "0.5", "1", "2"), strict=True))[min(worth)]
    assert "8 runs: 0 already there, 8 trained." in done.stdout
    assert f"best of 4 trials: init.scale={best} · test/loss {min(worth):.4g} over 2 runs\n" in done.stdout
    assert done.stdout.rstrip().endswith(f"shallowexp-ui {parent[:8]}")
    artifacts = workplace / "mlruns" / "1" / parent / "artifacts"
    assert (artifacts / "runs.csv").read_text().count(",finished,") == 8
    assert (artifacts / "overrides.yaml").read_text().count("init.scale=") == 4
    assert len(list(workplace.glob("multirun/*/*/*/.hydra/overrides.yaml"))) == 4


def test_a_search_that_dies_is_resumed_under_the_same_parent(workplace):
    words = [word for word in held.SWEEP if word.partition("=")[0] not in ("shallowexp", "-m", "seed")]
    words = [
        "tests.searching:main",
        "-m",
        *SEARCH,
        f"seed={held.FIRST - 1},{held.FIRST}",
        "hydra.sweeper.max_batch_size=1",
        *words,
    ]
    with forked(*words, cwd=workplace) as search:
        for _ in until(search):
            if (workplace / f"begun-{held.FIRST}").exists():
                break
    (workplace / "go").touch()
    parent, status = only_sweep(workplace)
    assert (status, len(finished(workplace))) == ("RUNNING", 1)
    done = command(*words, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "2 runs: 1 already there, 1 trained (1 of them diverged)." in done.stdout
    assert "best of 2 trials: none has finished · train/loss inf" in done.stdout
    assert only_sweep(workplace) == (parent, "FINISHED")


@pytest.mark.parametrize(
    "words",
    [
        ("shallowexp", "-m"),
        ("shallowexp", "-m", "hydra/launcher=basic"),
        ("tests.searching:main", "-m", *SEARCH, "hydra.sweeper.max_batch_size=1"),
        ("tests.searching:main", "-m", *SEARCH, "hydra/launcher=basic"),
    ],
    ids=["batched", "basic", "searched", "searched, basic"],
)
def test_a_runs_name_holds_what_is_swept_whoever_trains_it(workplace, words):
    done = command(*words, "train.learning_rate=0.25,0.5", *SMALL, cwd=workplace)
    assert done.returncode == 0, done.stderr
    names = {run.info.run_name for run in finished(workplace)}
    assert names == {f"tanh · random ×0.01 · 4 units · learning_rate {rate} · seed 0" for rate in (0.25, 0.5)}
