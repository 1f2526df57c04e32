"""Servers that stop and artifact stores that are lost in the middle of a sweep."""

import subprocess
from pathlib import Path

import mlflow
import pytest

from shallowexp.errors import TrackingError
from shallowexp.tracking.artifacts import put_artifacts
from shallowexp.tracking.store import Store
from tests.browser import serving
from tests.commands import command, start, until
from tests.tracking.test_tracking import record

SMALL = ("train.steps=20", "log.points=3", "train.engine=numpy")
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


def runs(place: Path, condition: str, name: str = "shallowexp") -> list:
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    found = client.get_experiment_by_name(name)
    return client.search_runs([found.experiment_id], condition) if found else []


def finished(place: Path) -> list:
    return runs(place, "attributes.status = 'FINISHED' AND tags.`shallowexp.fingerprint` LIKE '%'")


def sweeps(place: Path, name: str = "shallowexp") -> list:
    return runs(place, "tags.`shallowexp.digest` LIKE '%'", name)


def block(folder: Path) -> Path:
    """A file where the folder was: root, too, cannot write there."""
    kept = folder.rename(folder.with_name("kept"))
    folder.touch()
    return kept


def unblock(folder: Path, kept: Path) -> None:
    folder.unlink()
    kept.rename(folder)


def begin(words: tuple, place: Path, url: str) -> subprocess.Popen:
    """The command against the server, when it has tracked three runs."""
    process = start(*words, cwd=place, **IMPATIENT, MLFLOW_TRACKING_URI=url)
    for _ in until(process):
        if len(finished(place)) >= 3:
            return process


def assert_refused(done: subprocess.CompletedProcess, message: str) -> None:
    assert done.returncode == 1
    assert message.count("MLflow artifact store") == 1
    assert "nothing is lost" in message
    assert "Traceback" not in message


def test_a_sweep_without_its_artifact_folder_is_completed_by_the_same_command(workplace):
    assert command("shallowexp", "-m", "seed=1,2", *SMALL, cwd=workplace).returncode == 0
    kept = block(workplace / "mlruns")
    wider = ("shallowexp", "-m", "seed=1,2,3,4", *SMALL)
    done = command(*wider, cwd=workplace)
    assert_refused(done, done.stderr)
    assert len(finished(workplace)) == 2
    assert {sweep.info.status for sweep in sweeps(workplace)} == {"FINISHED", "FAILED"}
    unblock(workplace / "mlruns", kept)
    done = command(*wider, cwd=workplace)
    assert "4 runs: 2 already there, 2 trained" in done.stdout
    assert len(sweeps(workplace)) == 2


def test_a_server_that_loses_its_artifact_store_midway_keeps_what_is_there(workplace):
    words = ("shallowexp", "-m", "seed=range(12)", "log.weights=all", *SMALL)
    with serving(workplace / "mlflow.db") as url:
        process = begin(words, workplace, url)
        kept = block(workplace / "mlartifacts")
        assert_refused(process, process.communicate(timeout=120)[1])
        there = len(finished(workplace))
        assert 3 <= there < 12
        assert not runs(workplace, "attributes.status = 'RUNNING'")
        unblock(workplace / "mlartifacts", kept)
        done = command(*words, cwd=workplace, MLFLOW_TRACKING_URI=url)
    assert f"12 runs: {there} already there, {12 - there} trained" in done.stdout
    assert (
        len({run.data.tags["shallowexp.fingerprint"] for run in finished(workplace)}) == len(finished(workplace)) == 12
    )
    (sweep,) = sweeps(workplace)
    assert sweep.info.status == "FINISHED"


def test_a_sweep_whose_server_stops_is_completed_by_the_same_command(workplace):
    words = ("shallowexp", "-m", "seed=range(30)", "train.steps=500", "train.engine=compiled")
    with serving(workplace / "mlflow.db") as url:
        process = begin(words, workplace, url)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "nothing is lost" in message
    assert "Traceback" not in message
    with serving(workplace / "mlflow.db") as url:
        done = command(*words, cwd=workplace, MLFLOW_TRACKING_URI=url)
    assert done.returncode == 0, done.stderr
    assert (
        len({run.data.tags["shallowexp.fingerprint"] for run in finished(workplace)}) == len(finished(workplace)) == 30
    )
    assert len({run.data.tags["mlflow.parentRunId"] for run in finished(workplace)}) == 1


def test_a_file_that_is_gone_is_named(workplace):
    store = Store.open(f"sqlite:///{workplace / 'mlflow.db'}")
    experiment = store.experiment("gone")
    store.write(experiment, [record(0)])
    [path] = Path(store.client.get_experiment(experiment).artifact_location).rglob("weights.npz")
    path.unlink()
    with pytest.raises(TrackingError, match="artifact store .*No such file.*\n.*fresh=true"):
        store.read("gone", ["0000"]).weights["0000"]


def test_a_kind_of_store_that_is_not_installed_is_named_without_its_password():
    with pytest.raises(TrackingError, match=r"me:\*\*\*@.*boto3") as error:
        put_artifacts("s3://me:secret@bucket/1/artifacts", "sqlite://", {"a": b"b"})
    assert "secret" not in str(error.value)
