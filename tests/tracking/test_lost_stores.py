"""Servers that stop and artifact stores that are lost in the middle of a sweep."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pytest
import sqlalchemy as sa

from shallowexp.errors import RunDamaged, TrackingError
from shallowexp.tracking.artifacts import npz, put_artifacts
from shallowexp.tracking.store import Store
from tests import held
from tests.brand_new import add_experiment
from tests.commands import Forked, command, forked, until
from tests.servers import Server, serving
from tests.tracking.stores import record

PICKLED = npz(W1=np.array([None]))  # reading it would run whatever it holds
SMALL = ("train.steps=20", "log.points=3", "train.engine=numpy")
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


def runs(place: Path, condition: str, name: str = "shallowexp") -> list:
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    found = client.get_experiment_by_name(name)
    return client.search_runs([found.experiment_id], condition) if found else []


def finished(place: Path, name: str = "shallowexp") -> list:
    return runs(place, "attributes.status = 'FINISHED' AND tags.`shallowexp.fingerprint` LIKE '%'", name)


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


@contextmanager
def begun(words: Sequence[str], server: Server, name: str) -> Iterator[Forked]:
    """A held sweep against the server, when its first batch is being tracked."""
    with forked(*words, cwd=Path.cwd(), **IMPATIENT, MLFLOW_TRACKING_URI=server.url) as sweep:
        for _ in until(sweep):
            if finished(server.folder, name):
                break
        yield sweep


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


def test_a_report_that_cannot_write_into_mlflow_is_written_and_says_so(workplace):
    add_experiment(workplace)
    command("shallowexp", "-m", "+experiment=brand_new", cwd=workplace)
    block(workplace / "mlruns")
    done = command("shallowexp-report", "brand_new", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "brand_new: the figure is not in MLflow: " in done.stdout
    assert (workplace / "report" / "brand_new.png").is_file()


def test_a_server_that_loses_its_artifact_store_midway_keeps_what_is_there(workplace, server):
    words = (*held.SWEEP, "+experiment=lost", "log.weights=all")
    (workplace / "conf" / "experiment").mkdir(parents=True)
    (workplace / "conf" / "experiment" / "lost.yaml").write_text("# @package _global_\n")
    with begun(words, server, "lost") as sweep:
        kept = block(server.folder / "mlartifacts")
        (workplace / "go").touch()
        message = sweep.communicate()[1]
    assert_refused(sweep, message)
    there = len(finished(server.folder, "lost"))
    assert 0 < there < held.RUNS
    assert not runs(server.folder, "attributes.status = 'RUNNING'", "lost")
    unblock(server.folder / "mlartifacts", kept)
    done = command(*words, cwd=workplace, MLFLOW_TRACKING_URI=server.url)
    assert f"{held.RUNS} runs: {there} already there, {held.RUNS - there} trained" in done.stdout
    assert_complete(server.folder, "lost")
    (sweep,) = sweeps(server.folder, "lost")
    assert sweep.info.status == "FINISHED"


def assert_complete(place: Path, name: str = "shallowexp") -> None:
    """Every run of the held sweep once, under one parent."""
    found = finished(place, name)
    assert len({run.data.tags["shallowexp.fingerprint"] for run in found}) == len(found) == held.RUNS
    assert len({run.data.tags["mlflow.parentRunId"] for run in found}) == 1


def test_a_sweep_whose_server_stops_is_completed_by_the_same_command(workplace):
    with ExitStack() as stopped:
        server = stopped.enter_context(serving(workplace))
        with begun(held.SWEEP, server, "shallowexp") as sweep:
            stopped.close()
            (workplace / "go").touch()
            message = sweep.communicate()[1]
    assert sweep.returncode == 1
    assert "nothing is lost" in message
    assert "Traceback" not in message
    with serving(workplace) as server:
        done = command(*held.SWEEP, cwd=workplace, MLFLOW_TRACKING_URI=server.url)
    assert done.returncode == 0, done.stderr
    assert_complete(workplace)


@pytest.mark.parametrize(
    "left", [None, b"", b"PK\x03\x04 not all of it", PICKLED], ids=["gone", "empty", "cut off", "pickled"]
)
def test_a_file_that_cannot_be_read_is_named(workplace, left):
    store = Store.open(f"sqlite:///{workplace / 'mlflow.db'}")
    experiment = store.experiment("gone")
    store.write(experiment, [record(0)])
    [path] = Path(store.client.get_experiment(experiment).artifact_location).rglob("weights.npz")
    path.unlink() if left is None else path.write_bytes(left)
    runs = store.read("gone", ["0000"])
    with pytest.raises(
        RunDamaged, match=f"{runs.table.run_id.item()}/artifacts/weights.npz cannot be read.*\n.*fresh=true"
    ):
        runs.weights["0000"]


def test_a_kind_of_store_that_is_not_installed_is_named_without_its_password():
    with pytest.raises(TrackingError, match=r"me:\*\*\*@.*boto3") as error:
        put_artifacts("s3://me:secret@bucket/1/artifacts", "sqlite://", {"a": b"b"})
    assert "secret" not in str(error.value)


def test_a_database_without_rights_or_of_another_schema_is_one_message(postgres):
    uri, reader = (
        postgres.replace("/postgres", "/rights").replace("tester:secret", who) for who in ("tester", "reader")
    )
    with sa.create_engine(postgres, isolation_level="AUTOCOMMIT").connect() as server:
        for words in ("CREATE DATABASE rights", "CREATE ROLE reader LOGIN"):
            server.execute(sa.text(words))
    with pytest.raises(TrackingError, match="permission denied for schema public(?s:.*)allowed to write there"):
        Store.open(reader)
    experiment = Store.open(uri).experiment("rights")
    with sa.create_engine(uri, isolation_level="AUTOCOMMIT").connect() as database:
        database.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
        store = Store.open(reader)
        assert store.finished(experiment) == {}
        denied = ": \\(psycopg2.errors.InsufficientPrivilege\\) permission denied for table [a-z_]+\nCheck that .* write there.$"
        for write in (lambda: store.experiment("mine"), lambda: store.open_sweep(experiment, "d", "a sweep", {})):
            with pytest.raises(TrackingError, match=denied):
                write()
        database.execute(sa.text("UPDATE alembic_version SET version_num = '97727af70f4d'"))
        with pytest.raises(TrackingError, match="out-of-date database schema(?s:.*)mlflow db upgrade"):
            Store.open(f"{uri}?application_name=another")  # MLflow remembers stores by their URI
