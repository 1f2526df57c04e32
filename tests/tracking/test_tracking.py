"""Real stores: SQLite files, an MLflow server on loopback, PostgreSQL where it is installed."""

import io
import logging
import os
import pwd
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import sqlalchemy as sa

from shallowexp.errors import TrackingError
from shallowexp.tracking import client, parents, sql
from shallowexp.tracking.records import DatasetInput, Record
from shallowexp.tracking.store import Store
from tests.commands import process

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")
ROOT = Path(__file__).parents[2]


def record(i: int, **changes) -> Record:
    """A small run: some undefined values, a metric that is never defined, weights for every second run."""
    random = np.random.RandomState(i)
    loss, cosine = random.rand(3), np.array([np.nan, 0.5, np.inf])
    weights = ARTIFACTS if i % 2 == 0 else {}
    values = {
        "fingerprint": f"{i:04x}",
        "name": f"tanh h={i}",
        "params": {"activation": "tanh", "init.scale": f"{0.01 * (i + 1)}", "hidden_size": str(i + 1)},
        "tags": {
            "shallowexp.outcome": "finished",
            "mlflow.source.git.commit": "c0ffee",
            "mlflow.note.content": "A *note*",
        },
        "steps": np.array([0, 10, 100]),
        "metrics": {"train/loss": loss, "symmetry/cosine": cosine, "never": np.full(3, np.nan)},
        "start": 1_700_000_000_000 + i,
        "end": 1_700_000_001_000 + i,
        "artifacts": weights,
        "data": DatasetInput("moons", f"d{i % 2}", '{"tags": {}}', '{"mlflow_colspec": []}', '{"num_rows": 9}'),
    }
    return Record(**values | changes)


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


ARTIFACTS = {"weights.npz": npz(steps=np.array([0, 100]), W1=np.arange(4.0).reshape(2, 2, 1)), "deep/er.txt": b"x"}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """An MLflow database: 3 s to make, so it is made once and copied."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    Store.open(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(empty_database, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))


@pytest.fixture
def store(database) -> Store:
    return Store.open(f"sqlite:///{database}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start_server(folder: Path, database: Path, port: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(folder / "artifacts")]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    env.pop("MLFLOW_TRACKING_URI", None)
    with open(folder / "server.log", "w") as log:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)


def wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(600):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the server ended"
        time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def server(empty_database, tmp_path_factory):
    """The URI of an `mlflow server` with a store of its own."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    process = start_server(folder, Path(shutil.copy(empty_database, folder / "mlflow.db")), port)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The URI of a PostgreSQL database on loopback; the server may not run as root, so it runs as `postgres` then."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver psycopg2 is not installed")
    if not binaries:
        pytest.skip("PostgreSQL is not installed under /usr/lib/postgresql")
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    as_user = {"user": user} if os.getuid() == 0 else {}
    folder, port = Path(f"/tmp/shallowexp-postgres-{os.getpid()}"), free_port()
    folder.mkdir()
    if as_user:
        shutil.chown(folder, user)
    data, bin_ = folder / "data", binaries[-1].parent
    init = [bin_ / "initdb", "-D", data, "-U", "tester", "--auth=trust", "--no-sync"]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user)
    command = [bin_ / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True, **as_user)
    try:
        wait_for(port, process)
        yield f"postgresql+psycopg2://tester:secret@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


def by_client(uri: str) -> Store:
    """The store at `uri`, written and read through MlflowClient whatever it is."""
    store = Store.open(uri)
    return Store(store.uri, store.client, client.ClientBackend(store.client, store.uri))


def everything(store: Store, experiment_id: str) -> tuple[dict, pd.DataFrame]:
    """All that MLflow says of an experiment's runs, by run name, but for ids."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    try:
        found = mlflow.search_runs([experiment_id], order_by=["attributes.start_time"])
    finally:
        mlflow.set_tracking_uri(None)
    runs = {}
    for run_id in found["run_id"]:
        run = store.client.get_run(run_id)
        histories = {name: store.client.get_metric_history(run_id, name) for name in run.data.metrics}
        points = {name: [(m.step, m.timestamp, m.value) for m in history] for name, history in histories.items()}
        files = [(f.path, f.file_size) for d in (None, "deep") for f in store.client.list_artifacts(run_id, d)]
        info = {k: v for k, v in dict(run.info).items() if k not in ("run_id", "run_uuid", "experiment_id")}
        location = store.client.get_experiment(experiment_id).artifact_location
        info["artifact_uri"] = info["artifact_uri"].replace(run_id, "RUN").removeprefix(location)
        runs[run.info.run_name] = [info, run.data.params, run.data.tags, run.data.metrics, points, files]
        runs[run.info.run_name].append(run.inputs.to_dictionary())
    table = found.drop(columns=["run_id", "experiment_id", "artifact_uri"])
    return runs, table[sorted(table)]


def raw_rows(store: Store, experiment_id: str) -> dict[str, list]:
    """The rows of the experiment's runs in MLflow's own tables, by run name, but for ids."""
    engine, query = (
        store.client._tracking_client.store.engine,
        "SELECT name, t.* FROM runs r JOIN {0} t USING (run_uuid)",
    )
    rows = {}
    with engine.connect() as connection:
        runs = connection.execute(sa.text(f"SELECT * FROM runs WHERE experiment_id = {int(experiment_id)}")).mappings()
        rows["runs"] = [{k: v for k, v in run.items() if k not in IDS} for run in runs]
        for table, key in INPUTS.items():
            joined = f"SELECT t.* FROM runs r JOIN inputs i ON i.destination_id = run_uuid JOIN {table} t ON {key}"
            found = connection.execute(sa.text(f"{joined} WHERE r.experiment_id = {int(experiment_id)}"))
            rows[table] = [{k: v for k, v in row.items() if k not in IDS} for row in found.mappings()]
        for table in ("tags", "params", "metrics", "latest_metrics"):
            found = connection.execute(sa.text(f"{query.format(table)} WHERE experiment_id = {int(experiment_id)}"))
            rows[table] = [{k: v for k, v in row.items() if k not in IDS} for row in found.mappings()]
    return {table: sorted(map(repr, found)) for table, found in rows.items()}


IDS = ("run_uuid", "experiment_id", "artifact_uri", "dataset_uuid", "input_uuid", "source_id", "destination_id")
INPUTS = {
    "datasets": "t.dataset_uuid = i.source_id",
    "inputs": "t.input_uuid = i.input_uuid",
    "input_tags": "t.input_uuid = i.input_uuid",
}


def assert_same_runs(one, other) -> None:
    pd.testing.assert_frame_equal(one.table.drop(columns="run_id"), other.table.drop(columns="run_id"))
    pd.testing.assert_frame_equal(one.histories, other.histories)
    assert list(one.weights) == list(other.weights)
    for fingerprint in one.weights:
        np.testing.assert_equal(one.weights[fingerprint], other.weights[fingerprint])


@pytest.fixture(params=["sqlite", "postgres"])
def sql_store(request) -> Store:
    if request.param == "sqlite":
        return request.getfixturevalue("store")
    request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
    return Store.open(request.getfixturevalue("postgres"))


def test_importing_tracking_does_not_import_mlflow():
    code = "import sys, shallowexp.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


@pytest.mark.parametrize("other", ["client", "server"])
def test_bulk_rows_and_the_client_leave_the_same(sql_store, other, request):
    records = [record(i) for i in range(3)] + [record(3, status="FAILED", metrics={}, params={})]
    assert isinstance(sql_store._backend, sql.SqlBackend)
    other_store = by_client(sql_store.uri) if other == "client" else Store.open(request.getfixturevalue("server"))
    assert isinstance(other_store._backend, client.ClientBackend)
    ids = []
    for store, name in ((sql_store, f"bulk {other}"), (other_store, f"single {other} {sql_store.uri[:6]}")):
        ids.append(store.experiment(name))
        store.write(ids[-1], records, parent="f" * 32)
    (bulk, bulk_table), (single, single_table) = everything(sql_store, ids[0]), everything(other_store, ids[1])
    assert len(bulk) == 4
    assert bulk == single
    pd.testing.assert_frame_equal(bulk_table, single_table)
    for store, experiment in zip((sql_store, other_store), ids, strict=True):
        store.write(experiment, [record(4)])  # its data set is known there
    if other == "client":
        assert raw_rows(sql_store, ids[0]) == raw_rows(other_store, ids[1])


def test_undefined_values_are_not_in_the_store(sql_store):
    experiment = sql_store.experiment("undefined")
    sql_store.write(experiment, [record(1)])
    run = sql_store.client.get_run(sql_store.finished(experiment)["0001"])
    assert set(run.data.metrics) == {"train/loss", "symmetry/cosine"}
    history = sql_store.client.get_metric_history(run.info.run_id, "symmetry/cosine")
    assert [(m.step, m.value) for m in history] == [(10, 0.5)]
    assert run.data.metrics["symmetry/cosine"] == 0.5


def test_runs_of_a_batch_are_listed_in_the_sweeps_order(sql_store):
    experiment = sql_store.experiment("in order")
    sql_store.write(experiment, [record(i, start=7) for i in range(9)])
    for order in (None, ["params.activation"]):
        runs = sql_store.client.search_runs([experiment], order_by=order)
        assert [run.data.params["hidden_size"] for run in runs] == [str(i + 1) for i in range(9)]


def test_a_bulk_write_is_all_or_nothing(sql_store):
    experiment = sql_store.experiment("all or nothing")
    with pytest.raises(TrackingError, match="bad name"):
        sql_store.write(experiment, [record(0), record(1, metrics={"bad name?": np.zeros(3)})])
    with pytest.raises(TrackingError):  # the second one only fails inside the transaction
        sql_store.write(experiment, [record(0), record(1, status="HALF")])
    assert sql_store.client.search_runs([experiment]) == []


def test_finished_gives_the_newest_finished_run_of_each_fingerprint(sql_store):
    experiment, other = sql_store.experiment("finished"), sql_store.experiment("other")
    old, new = record(0, start=5, name="old"), record(0, start=9, name="new")
    for batch in ([new], [old], [record(0, start=11, status="FAILED")], [record(1, status="FAILED")]):
        sql_store.write(experiment, batch)
    sql_store.write(other, [record(2)])
    found = sql_store.finished(experiment)
    assert by_client(sql_store.uri).finished(experiment) == found
    assert list(found) == ["0000"]
    assert sql_store.client.get_run(found["0000"]).info.run_name == "new"
    sql_store.client.delete_run(found["0000"])
    assert sql_store.client.get_run(sql_store.finished(experiment)["0000"]).info.run_name == "old"


def test_more_runs_than_a_page(store):
    experiment = store.experiment("pages")
    store.write(experiment, [record(i, metrics={}, artifacts={}) for i in range(1100)])
    assert len(store.finished(experiment)) == 1100
    assert by_client(store.uri).finished(experiment) == store.finished(experiment)
    assert len(store.read("pages", store.finished(experiment)).table) == 1100


def test_read_gives_tables_by_fingerprint(sql_store):
    runs = [record(i) for i in (3, 0, 2)] + [record(1, metrics={}), record(9)]
    sql_store.write(sql_store.experiment("read"), runs, parent="f" * 32)
    found = sql_store.read("read", ["0003", "0000", "0002", "0001", "absent"])
    assert list(found.table.index) == ["0000", "0001", "0002", "0003"]
    first = found.table.loc["0000"].to_dict()
    assert first.pop("run_id") in sql_store.finished(sql_store.experiment("read")).values()
    assert first == {
        "start_time": 1_700_000_000_000,
        "end_time": 1_700_000_001_000,
        "activation": "tanh",
        "hidden_size": 1,
        "init.scale": 0.01,
        "outcome": "finished",
        "commit": "c0ffee",
        "sweep": "f" * 32,
        "symmetry/cosine": 0.5,
        "train/loss": record(0).metrics["train/loss"][-1],
    }
    assert np.isnan(found.table.loc["0001", "train/loss"])
    rows = found.histories.query("fingerprint == '0002'")
    assert list(rows["step"]) == [0, 10, 100]
    np.testing.assert_equal(rows["train/loss"].to_numpy(), record(2).metrics["train/loss"])
    np.testing.assert_equal(rows["symmetry/cosine"].to_numpy(), [np.nan, 0.5, np.nan])
    assert list(rows["hidden_size"]) == [3, 3, 3]
    assert list(found.weights) == ["0000", "0002"]
    np.testing.assert_equal(found.weights["0002"]["W1"], np.arange(4.0).reshape(2, 2, 1))


def test_bulk_and_client_read_the_same(sql_store, server):
    records = [record(i) for i in range(5)] + [record(5, metrics={})]
    remote = Store.open(server)
    for store in (sql_store, remote):
        store.write(store.experiment("both ways"), records, parent="f" * 32)
    fingerprints = [r.fingerprint for r in records]
    bulk = sql_store.read("both ways", fingerprints)
    assert_same_runs(bulk, by_client(sql_store.uri).read("both ways", fingerprints))
    assert_same_runs(bulk, remote.read("both ways", fingerprints))
    asked = [*fingerprints[1:], "absent"]
    for store in (sql_store, by_client(sql_store.uri), remote):
        results = store.results(store.experiment("both ways"), asked)
        assert {key: ended.metrics for key, ended in results.items()} == {
            r.fingerprint: {name: points[-1][1] for name, points in r.points().items()} for r in records[1:]
        }


def test_nothing_found_reads_as_nothing(sql_store):
    sql_store.write(sql_store.experiment("nothing"), [record(0)])
    for store in (sql_store, by_client(sql_store.uri)):
        found = store.read("nothing", ["absent"])
        assert (len(found.table), len(found.histories), len(found.weights)) == (0, 0, 0)
        assert found.table.index.name == "fingerprint"


# Sweeps


@pytest.fixture(params=["bulk", "client", "server"])
def any_store(request) -> Store:
    if request.param == "server":
        return Store.open(request.getfixturevalue("server"))
    store = request.getfixturevalue("store")
    return store if request.param == "bulk" else by_client(store.uri)


def sweep_of(store: Store, name: str, digest: str = "d1") -> tuple[str, parents.Sweep]:
    experiment = store.experiment(name)
    return experiment, store.open_sweep(experiment, digest, "a sweep", {"shallowexp.command": "-m x"}, "What it is")


def claim_for(store: Store, run_id: str, pid: int, start: str, host: str | None = None) -> None:
    """Make the run another process's."""
    owner = {"pid": pid, "process_start": start, "host": host or socket.gethostname()}
    for key, value in owner.items():
        store.client.set_tag(run_id, f"shallowexp.{key}", str(value))


@pytest.fixture
def dead() -> tuple[int, str]:
    """Pid and start of a process that has ended."""
    process = subprocess.Popen(["sleep", "60"])
    start = parents._started(process.pid)
    process.kill()
    process.wait()
    return process.pid, start


def test_a_sweep_is_a_parent_run(any_store):
    experiment, sweep = sweep_of(any_store, "parent")
    run = any_store.client.get_run(sweep.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.tags["shallowexp.pid"] == str(os.getpid())
    assert run.data.tags["mlflow.note.content"] == "What it is"
    any_store.write(experiment, [record(0)], sweep.run_id)
    sweep.log_artifacts({"list.csv": b"1,2"})
    sweep.close("FINISHED", {"shallowexp.failed": "0"})
    run = any_store.client.get_run(sweep.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time
    assert run.data.tags["shallowexp.failed"] == "0"
    assert [file.path for file in any_store.client.list_artifacts(sweep.run_id)] == ["list.csv"]
    children = any_store.client.search_runs([experiment], f"tags.mlflow.parentRunId = '{sweep.run_id}'")
    assert [child.info.run_name for child in children] == ["tanh h=0"]
    assert sweep_of(any_store, "parent")[1].run_id != sweep.run_id  # a finished sweep is not opened again


def test_a_dead_sweep_is_taken_up_again(any_store, dead):
    for state, owner in (("killed -9", dead), ("pid reused", (os.getpid(), dead[1]))):
        _, sweep = sweep_of(any_store, f"dead {state}")
        claim_for(any_store, sweep.run_id, *owner)
        _, again = sweep_of(any_store, f"dead {state}")
        assert again.run_id == sweep.run_id
        run = any_store.client.get_run(sweep.run_id)
        assert (run.info.status, run.data.tags["shallowexp.pid"]) == ("RUNNING", str(os.getpid()))


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_an_interrupted_sweep_is_taken_up_again(store, status):
    _, sweep = sweep_of(store, "interrupted")
    sweep.close(status)
    assert sweep_of(store, "interrupted")[1].run_id == sweep.run_id
    assert store.client.get_run(sweep.run_id).info.status == "RUNNING"


def test_a_sweep_of_another_host_is_refused_until_the_user_says_that_it_is_gone(store, dead, tmp_path):
    _, sweep = sweep_of(store, "elsewhere")
    claim_for(store, sweep.run_id, *dead, host="restarted-container")
    with pytest.raises(TrackingError, match="on restarted-container") as refused:
        sweep_of(store, "elsewhere")
    advice = shlex.split(str(refused.value).partition("start again: ")[2])
    done = process(*advice, cwd=tmp_path, MLFLOW_TRACKING_URI=store.uri)
    assert done.returncode == 0, done.stderr
    assert sweep_of(store, "elsewhere")[1].run_id == sweep.run_id


def test_a_sweep_that_goes_on_is_left_alone(any_store, dead):
    _, sweep = sweep_of(any_store, "going on")
    with pytest.raises(TrackingError, match=f"already running: process {os.getpid()}"):
        sweep_of(any_store, "going on")
    claim_for(any_store, sweep.run_id, *dead, host="elsewhere")
    with pytest.raises(TrackingError, match="on elsewhere"):
        sweep_of(any_store, "going on")
    assert sweep_of(any_store, "going on", "d2")[1].run_id != sweep.run_id  # another sweep may run beside it
    assert any_store.client.get_run(sweep.run_id).info.status == "RUNNING"


def test_a_living_sweep_lives_on_when_the_clock_is_set(store, tmp_path, monkeypatch):
    """Linux then moves the time when it began, in /proc/stat, and leaves those of the processes, which count from there."""
    began = psutil.boot_time()
    _, sweep = sweep_of(store, "clock")
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    for hour in (3600, -3600):
        (tmp_path / "stat").write_text(f"btime {int(began) + hour}\n")
        with pytest.raises(TrackingError, match=f"already running: process {os.getpid()}"):
            sweep_of(store, "clock")
    assert store.client.get_run(sweep.run_id).info.status == "RUNNING"


@pytest.mark.parametrize("before", ["none", "one that was stopped"])
def test_of_equal_sweeps_in_the_same_instant_one_goes_on(any_store, before):
    experiment = any_store.experiment(f"race after {before}")
    if before != "none":
        any_store.open_sweep(experiment, "d1", "a sweep", {}).close("KILLED")
    together = threading.Barrier(4)

    def start(_) -> str:
        together.wait()
        try:
            return any_store.open_sweep(experiment, "d1", "a sweep", {}).run_id
        except TrackingError as refused:
            return str(refused).partition(":")[0]

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(start, range(4)))
    (parent,) = any_store.client.search_runs([experiment])
    assert sorted(ended) == sorted([parent.info.run_id, *["This sweep is already running"] * 3])


def test_what_the_dead_left_running_is_killed_and_nothing_else(any_store, dead):
    client = any_store.client
    experiment, mine = sweep_of(any_store, "graves", "d0")
    _, theirs = sweep_of(any_store, "graves", "d1")
    _, elsewhere = sweep_of(any_store, "graves", "d2")
    child = {
        parent.run_id: client.create_run(experiment, tags=record(0).complete(parent.run_id).tags).info.run_id
        for parent in (mine, theirs, elsewhere)
    }
    strangers = [client.create_run(experiment, tags=tags).info.run_id for tags in ({}, record(1).complete(None).tags)]
    claim_for(any_store, theirs.run_id, *dead)
    claim_for(any_store, elsewhere.run_id, *dead, host="elsewhere")
    sweep_of(any_store, "graves", "d3")
    for run_id in (theirs.run_id, child[theirs.run_id]):
        assert client.get_run(run_id).info.status == "KILLED"
        assert client.get_run(run_id).info.end_time
    for run_id in (mine.run_id, child[mine.run_id], elsewhere.run_id, child[elsewhere.run_id], *strangers):
        assert client.get_run(run_id).info.status == "RUNNING"
    mine.close("KILLED")
    assert client.get_run(child[mine.run_id]).info.status == "KILLED"


MOMENTS = {  # of the 68 and 342 that writing RECORDS takes, and the 8 around its files
    "bulk": range(12, 67, 5),
    "client": range(5, 340, 28),
    "client files": range(1, 8, 2),
}
RECORDS = [record(i) for i in range(4)]


def victims(uri: str, kind: str) -> None:
    """In processes of their own: write RECORDS in two batches, and die at the n-th statement, commit or file."""
    Store.open(uri).client._tracking_client.store._dispose_engine()  # all imports, once; no connection survives a fork
    for moment in MOMENTS[kind]:
        if os.fork() == 0:
            _die(uri, kind, moment)
            os._exit(1)  # outlived its moment
        _, status = os.wait()
        assert os.WTERMSIG(status) == signal.SIGKILL, (kind, moment, status)


def _die(uri: str, kind: str, moment: int) -> None:
    store = Store.open(uri) if kind == "bulk" else by_client(uri)
    experiment, sweep = sweep_of(store, f"{kind} {moment}")
    left, write_bytes = [moment], Path.write_bytes

    def tick(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = store.client._tracking_client.store.engine
    events = () if "files" in kind else ("before_cursor_execute", "after_cursor_execute", "commit")
    for event in events:
        sa.event.listen(engine, event, tick)
    Path.write_bytes = lambda path, content: (tick(), write_bytes(path, content), tick())
    for batch in (RECORDS[:2], RECORDS[2:]):
        store.write(experiment, batch, sweep.run_id)


def assert_whole(store: Store, run_id: str) -> None:
    run = store.client.get_run(run_id)
    (wanted,) = (r.complete(run.data.tags["mlflow.parentRunId"]) for r in RECORDS if r.name == run.info.run_name)
    written_by = {"mlflow.source.name": run.data.tags["mlflow.source.name"]}
    assert (run.data.params, run.data.tags) == (wanted.params, wanted.tags | written_by)
    assert run.info.end_time == wanted.end
    histories = {name: store.client.get_metric_history(run_id, name) for name in run.data.metrics}
    assert {name: [(m.step, m.value) for m in history] for name, history in histories.items()} == wanted.points()
    folder = Path(run.info.artifact_uri)
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert files == wanted.artifacts


@pytest.mark.parametrize("kind", MOMENTS)
def test_killed_at_any_moment_a_run_is_whole_or_not_finished(database, kind):
    uri = f"sqlite:///{database}"
    code = f"from tests.tracking import test_tracking; test_tracking.victims({uri!r}, {kind!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    store = Store.open(uri) if kind == "bulk" else by_client(uri)
    seen = set()
    for moment in MOMENTS[kind]:
        experiment = store.experiment(f"{kind} {moment}")
        before = store.client.search_runs([experiment])
        _, sweep = sweep_of(store, f"{kind} {moment}")
        assert sweep.run_id in {run.info.run_id for run in before}
        children = [run for run in before if run.info.run_id != sweep.run_id]
        assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {sweep.run_id}
        seen |= {run.info.status for run in children}
        assert {store.client.get_run(run.info.run_id).info.status for run in children} <= {"FINISHED", "KILLED"}
        found = store.finished(experiment)
        store.write(experiment, [r for r in RECORDS if r.fingerprint not in found], sweep.run_id)
        sweep.close()
        finished = [run.info.run_id for run in store.client.search_runs([experiment], "attributes.status = 'FINISHED'")]
        assert len(finished) == 1 + len(RECORDS)
        for run_id in set(finished) - {sweep.run_id}:
            assert_whole(store, run_id)
    assert seen == ({"FINISHED"} if kind == "bulk" else {"FINISHED", "RUNNING"})


# Failures


def test_a_deleted_or_missing_experiment_is_named(store):
    experiment = store.experiment("gone", {"mlflow.note.content": "was here"})
    assert store.client.get_experiment(experiment).tags["mlflow.note.content"] == "was here"
    store.experiment("gone", {"mlflow.note.content": "is here"})
    assert store.client.get_experiment(experiment).tags["mlflow.note.content"] == "is here"
    store.client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match="restore --experiment-id"):
        store.experiment("gone")
    assert store.find("gone") is store.find("never was") is None
    for name in ("gone", "never was"):
        with pytest.raises(TrackingError, match="run its sweep"):
            store.read(name, [])


def test_a_locked_database_is_waited_for_and_then_named(store, database):
    experiment = store.experiment("locked")
    store._backend.lock_timeout = 1
    with sqlite3.connect(database) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(TrackingError, match="locked.*\n.*nothing is lost"):
            store.write(experiment, [record(0)])
        assert time.monotonic() - began < 10
    other.close()
    store.write(experiment, [record(0)])
    assert len(store.finished(experiment)) == 1


def test_a_reader_does_not_stop_the_writer(store, database):
    experiment = store.experiment("mlflow ui")
    reader = sqlite3.connect(database, check_same_thread=False)
    cursor = reader.execute("SELECT a.name FROM experiments a, sqlite_master b")
    cursor.fetchone()  # a read transaction is open now
    threading.Timer(0.5, cursor.fetchall).start()
    store.write(experiment, [record(0)])
    reader.close()
    assert len(store.finished(experiment)) == 1


def test_a_closed_sweep_leaves_statistics_for_the_charts(store, database):
    experiment, sweep = sweep_of(store, "statistics")
    store.write(experiment, [record(0)], sweep.run_id)
    sweep.close()
    with sqlite3.connect(database) as connection:
        analysed = connection.execute("SELECT DISTINCT tbl FROM sqlite_stat1").fetchall()
    connection.close()
    assert ("metrics",) in analysed


def test_an_older_schema_is_refused(database):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'acf3f17fdcc7'")
    connection.close()
    with pytest.raises(TrackingError, match="mlflow db upgrade"):
        Store.open(f"sqlite:///{database}")


def another_mlflow(monkeypatch, change) -> None:
    """MLflow's table definitions, changed."""
    from mlflow.store.tracking.dbmodels.models import SqlRun

    metadata = sa.MetaData()
    for table in SqlRun.metadata.tables.values():
        table.to_metadata(metadata)
    change(metadata.tables)
    monkeypatch.setattr(SqlRun, "metadata", metadata)


CHANGES = {
    "runs.owner int": lambda tables: tables["runs"].append_column(sa.Column("owner", sa.Integer, nullable=False)),
    "input_tags.value str": lambda tables: tables["input_tags"]._columns.remove(tables["input_tags"].c.value),
    "tags.value str, tags.value str?": lambda tables: setattr(tables["tags"].c.value, "nullable", False),
    "metrics.is_nan bool, metrics.is_nan bool*": lambda tables: setattr(
        tables["metrics"].c.is_nan, "primary_key", False
    ),
    "runs.end_time int?, runs.end_time str?": lambda tables: setattr(tables["runs"].c.end_time, "type", sa.String(30)),
    "params.key str*, params.run_uuid str*, params.value str": lambda tables: tables["params"].metadata.remove(
        tables["params"]
    ),
}


@pytest.mark.parametrize(("named", "change"), CHANGES.items(), ids=CHANGES)
def test_tables_with_other_columns_are_left_to_the_client(database, monkeypatch, caplog, named, change):
    another_mlflow(monkeypatch, change)
    with caplog.at_level(logging.WARNING):
        store = Store.open(f"sqlite:///{database}")
    assert isinstance(store._backend, client.ClientBackend)
    (message,) = [r.message for r in caplog.records if r.name.startswith("shallowexp")]
    assert f"({named})" in message


def test_another_revision_with_the_same_columns_is_written_in_bulk(database, monkeypatch, caplog):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'another'")
    connection.close()
    monkeypatch.setattr("mlflow.store.db.utils._get_latest_schema_revision", lambda: "another")
    another_mlflow(monkeypatch, lambda tables: setattr(tables["tags"].c.value, "type", sa.String(16_000)))
    store = Store.open(f"sqlite:///{database}")
    assert isinstance(store._backend, sql.SqlBackend)
    assert not caplog.records


def test_the_client_writes_into_no_further_table(sql_store):
    engine = sql_store.client._tracking_client.store.engine

    def sizes() -> dict[str, int]:
        with engine.connect() as connection:
            tables = sa.inspect(connection).get_table_names()
            return {name: connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar() for name in tables}

    experiment = sql_store.experiment("further")
    before = sizes()
    by_client(sql_store.uri).write(experiment, [record(0)])
    assert {name for name, size in sizes().items() if size != before[name]} == {*sql.TESTED}


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2"])
def test_a_server_that_is_not_there_is_named(scheme):
    uri = f"{scheme}://me:secret@127.0.0.1:{free_port()}/x"
    began = time.monotonic()
    with pytest.raises(TrackingError, match="Is it running") as error:
        Store.open(uri)
    assert time.monotonic() - began < 5
    assert "secret" not in str(error.value)
    assert "me:***@127.0.0.1" in str(error.value)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stops_midway_is_named(server):
    store = Store.open(server)
    experiment, sweep = sweep_of(store, "stopped midway")
    pid = next(c.pid for c in psutil.net_connections() if c.laddr.port == int(server[-5:].lstrip(":")) and c.pid)
    group = os.getpgid(pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        with pytest.raises(TrackingError, match="nothing is lost"):
            store.write(experiment, [record(0)], sweep.run_id)
    finally:
        os.killpg(group, signal.SIGCONT)


@pytest.mark.usefixtures("impatient")
def test_a_refused_login_is_named():
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(401)
            self.end_headers()

        do_GET = do_POST
        log_message = lambda *args: None  # noqa: E731

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever).start()
        try:
            with pytest.raises(TrackingError, match="MLFLOW_TRACKING_USERNAME"):
                Store.open(f"http://127.0.0.1:{refusing.server_port}")
        finally:
            refusing.shutdown()


def test_a_missing_driver_is_named():
    with pytest.raises(TrackingError, match="Install that package"):
        Store.open("mysql+pymysql://me@127.0.0.1/x")


# Quietly


def test_two_processes_make_the_default_database_at_once_and_print_nothing(tmp_path):
    code = "from shallowexp.tracking.store import Store; print(Store.open().uri)"
    env = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    start = [
        subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in start] == [f"sqlite:///{tmp_path}/mlflow.db\n"] * 2


def test_the_users_environment_stays(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    client.quiet_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_relative_database_stays_the_same_file_elsewhere(database, monkeypatch, tmp_path):
    store = Store.open("sqlite:///mlflow.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.client._tracking_client.store._dispose_engine()  # the next connection is a new one
    store.experiment("same file")
    assert Store.open(f"sqlite:///{database}").client.get_experiment_by_name("same file")
    assert not (tmp_path / "elsewhere" / "mlflow.db").exists()
