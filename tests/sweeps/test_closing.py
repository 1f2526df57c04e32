"""A sweep whose last run is written is closed: though signals come meanwhile, and after a death by the same command."""

import os
import signal
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import mlflow
import pytest

from shallowexp.cli.app import main
from shallowexp.config.composition import compose_run
from shallowexp.config.runs import to_run
from shallowexp.errors import TrackingError
from shallowexp.pool.worker import trained
from shallowexp.sweeps import pages
from shallowexp.sweeps.ending import concluded, say
from shallowexp.sweeps.sweep import ExperimentTracker, SweepSummary
from tests.brand_new import add_experiment
from tests.commands import command
from tests.tracking.test_lost_stores import finished, runs, sweeps

SWEEP = ("-m", "seed=1,2", "train.steps=20", "log.points=3", "train.engine=numpy")
DONE = {"shallowexp.runs": "2", "shallowexp.failed": "0"}


def dies_before_its_close() -> None:
    ExperimentTracker._close = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    main()


def gets_a_signal_in_its_close() -> None:
    number, table = int(os.environ["NUMBER"]), pages.table

    def interrupted(*arguments):
        signal.raise_signal(number)
        return table(*arguments)

    pages.table = interrupted
    main()


def run(main, place: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    return command(f"{__name__}:{main.__name__}", *(words or SWEEP), cwd=place, **environment)


def assert_closed(place: Path, note: str) -> None:
    (sweep,), there = sweeps(place), finished(place)
    assert sweep.info.status == "FINISHED"
    assert len(there) == 2
    assert {key: sweep.data.tags[key] for key in DONE} == DONE
    assert f"runs 2 · {note}" in sweep.data.tags[pages.NOTE]
    table = (Path(sweep.info.artifact_uri) / "runs.csv").read_text()
    assert all(f"{run.info.run_id}," in table for run in there)


def test_what_died_before_its_close_is_closed_by_the_same_command(workplace):
    assert run(dies_before_its_close, workplace).returncode == -signal.SIGKILL
    (sweep,) = sweeps(workplace)
    assert (sweep.info.status, len(finished(workplace))) == ("RUNNING", 2)
    assert "2 already there, 0 trained" in run(main, workplace).stdout
    assert_closed(workplace, "reused 2")
    before = [vars(run.info) for run in runs(workplace, "")]
    assert run(main, workplace).returncode == 0  # now there is nothing to close
    assert [vars(run.info) for run in runs(workplace, "")] == before


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_what_ended_otherwise_is_closed_once_its_runs_are_there(workplace, status):
    run(main, workplace)
    (sweep,) = sweeps(workplace)
    mlflow.MlflowClient(f"sqlite:///{workplace / 'mlflow.db'}").set_terminated(sweep.info.run_id, status)
    assert "2 already there, 0 trained" in run(main, workplace).stdout
    assert_closed(workplace, "reused 2")


def test_a_dry_run_closes_nothing(workplace):
    run(dies_before_its_close, workplace)
    run(main, workplace, *SWEEP, "dry_run=true")
    assert [sweep.info.status for sweep in sweeps(workplace)] == ["RUNNING"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_sweep_is_closed(workplace, number):
    ended = run(gets_a_signal_in_its_close, workplace, NUMBER=str(int(number)))
    assert ended.returncode == {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM}[number]
    assert_closed(workplace, "finished 2")


class Interrupted:
    """A pool that is stopped after the first batch."""

    def slots(self):
        return None

    def train(self, batches):
        for batch in batches:
            yield batch, trained([run.job for run in batch])
            raise KeyboardInterrupt


def test_a_write_that_fails_while_a_signal_ends_the_sweep_is_told(workplace):
    tracked = ExperimentTracker.open("held")
    asked = [to_run(*compose_run({"train.steps": "20", "train.engine": "numpy"}))]
    parent = tracked.store.open_sweep(tracked.experiment_id, "digest", "held", {})
    tracked.store._backend.lock_timeout = 1
    with closing(sqlite3.connect(workplace / "mlflow.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingError, match="locked"):
            tracked.train(asked, parent, SweepSummary(1), Interrupted(), False)


def test_what_is_said_shows_no_password(capsys):
    say(
        "at postgresql://u:secret@h/db and postgresql://h/db?user=u&password=secret&x=1 or mysql://h/db?password=secret"
    )
    assert capsys.readouterr().err == (
        "at postgresql://u:***@h/db and postgresql://h/db?user=u&password=***&x=1 or mysql://h/db?password=***\n"
    )


def test_a_thread_beside_the_main_one_closes_what_it_has_opened():
    ended = []

    def train():
        with concluded(ended.append, "nothing"):
            raise KeyError

    with ThreadPoolExecutor(1) as beside, pytest.raises(KeyError):
        beside.submit(train).result()
    assert ended == ["FAILED"]


def test_a_report_that_trains_closes_what_died(workplace):
    add_experiment(workplace)
    run(dies_before_its_close, workplace, "-m", "+experiment=brand_new")
    assert [sweep.info.status for sweep in sweeps(workplace, "brand_new")] == ["RUNNING"]
    done = command("shallowexp-report", "--train", "brand_new", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert [sweep.info.status for sweep in sweeps(workplace, "brand_new")] == ["FINISHED"]
