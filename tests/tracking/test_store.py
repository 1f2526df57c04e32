"""Real stores: what is written is read again, and what goes wrong is named."""

import os
import signal
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from shallowexp.errors import TrackingError
from shallowexp.tracking import client, sql
from shallowexp.tracking.store import Store
from tests.commands import PATIENCE, ROOT, process, start
from tests.servers import free_port
from tests.tracking.stores import by_client, record, sweep_of

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")


def test_importing_tracking_does_not_import_mlflow():
    code = "import sys, shallowexp.tracking; sys.exit('mlflow' in sys.modules)"
    assert process("python", "-c", code, cwd=ROOT).returncode == 0


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
        sql_store.write(experiment, batch, fresh=True)
    sql_store.write(other, [record(2)])
    found = sql_store.finished(experiment)
    assert by_client(sql_store.uri).finished(experiment) == found
    assert list(found) == ["0000"]
    assert sql_store.client.get_run(found["0000"]).info.run_name == "new"
    sql_store.client.delete_run(found["0000"])
    assert sql_store.client.get_run(sql_store.finished(experiment)["0000"]).info.run_name == "old"


def test_a_run_alone_that_another_process_has_written_meanwhile_is_not_written_again(any_store):
    experiment = any_store.experiment("once")
    for fresh, there in ((False, 1), (False, 1), (True, 2)):
        any_store.write(experiment, [record(0)], fresh=fresh)
        assert len(any_store.client.search_runs([experiment])) == there
    any_store.write(experiment, [record(0), record(1, status="FAILED")])
    any_store.write(experiment, [record(1)])  # what failed is no hindrance
    assert sorted(any_store.finished(experiment)) == ["0000", "0001"]
    assert len(any_store.client.search_runs([experiment])) == 4


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


def test_of_metrics_that_are_not_asked_for_the_last_values_are_read(sql_store):
    experiment = sql_store.experiment("few")
    sql_store.write(experiment, [record(i) for i in range(3)])
    ids = list(sql_store.finished(experiment).values())
    whole, few = sql_store.runs(experiment, ids), sql_store.runs(experiment, ids, ["symmetry/cosine"])
    pd.testing.assert_frame_equal(few.table, whole.table)
    cosines = [runs.histories.dropna(subset="symmetry/cosine").drop(columns="train/loss") for runs in (whole, few)]
    pd.testing.assert_frame_equal(cosines[0].reset_index(drop=True), cosines[1].reset_index(drop=True))
    assert (whole.histories["train/loss"].count(), few.histories["train/loss"].count()) == (9, 3)


def test_nothing_found_reads_as_nothing(sql_store):
    sql_store.write(sql_store.experiment("nothing"), [record(0)])
    for store in (sql_store, by_client(sql_store.uri)):
        found = store.read("nothing", ["absent"])
        assert (len(found.table), len(found.histories), len(found.weights)) == (0, 0, 0)
        assert found.table.index.name == "fingerprint"


def test_processes_that_set_the_same_tag_at_once_all_end_well(store):
    experiment, together = store.experiment("tags"), threading.Barrier(4)

    def tag(key: str) -> str:
        together.wait()
        return store.experiment("tags", {key: str(threading.get_ident())})

    with ThreadPoolExecutor(4) as pool:
        for key in "abcdefghij":
            assert {*pool.map(tag, [key] * 4)} == {experiment}
    assert sorted(store.client.get_experiment(experiment).tags) == [*"abcdefghij"]


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
        with pytest.raises(TrackingError, match="locked.*\n.*nothing is lost"):
            store.write(experiment, [record(0)])
    other.close()
    store.write(experiment, [record(0)])
    assert len(store.finished(experiment)) == 1


def test_a_write_of_which_only_the_answer_was_lost_is_not_written_twice(postgres, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store, insert, attempts = Store.open(postgres), sql.SqlBackend._insert, []

    def unanswered(*arguments):
        insert(*arguments)
        attempts.append(arguments)
        if len(attempts) == 1:
            raise MlflowException("connection reset", TEMPORARILY_UNAVAILABLE)

    monkeypatch.setattr(sql.SqlBackend, "_insert", unanswered)
    experiment = store.experiment("unanswered")
    store.write(experiment, [record(0), record(1)])
    assert len(attempts) == 2
    assert len(store.client.search_runs([experiment])) == 2


def test_two_that_insert_the_same_data_set_at_once_both_write_their_runs(postgres, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store, other, input_rows, sweep = Store.open(postgres), Store.open(postgres), sql._input_rows, "0" * 32
    experiment = store.experiment("at once")

    def overtaken(*arguments):
        rows = input_rows(*arguments)  # without the data set: it is not there yet
        monkeypatch.setattr(sql, "_input_rows", input_rows)
        other.write(experiment, [record(3)], sweep)
        return rows

    monkeypatch.setattr(sql, "_input_rows", overtaken)
    store.write(experiment, [record(1)], sweep)
    runs = store.client.search_runs([experiment])
    assert len(runs) == 2 and len({run.inputs.dataset_inputs[0].dataset.digest for run in runs}) == 1


def test_a_reader_does_not_stop_the_writer(store, database):
    experiment = store.experiment("mlflow ui")
    reader = sqlite3.connect(database, check_same_thread=False)
    cursor = reader.execute("SELECT a.name FROM experiments a, sqlite_master b")
    cursor.fetchone()  # a read transaction is open now
    threading.Timer(0.5, cursor.fetchall).start()
    store.write(experiment, [record(0)])
    reader.close()
    assert len(store.finished(experiment)) == 1


def test_an_older_schema_is_refused(database):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'acf3f17fdcc7'")
    connection.close()
    with pytest.raises(TrackingError, match="mlflow db upgrade"):
        Store.open(f"sqlite:///{database}")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2"])
def test_a_server_that_is_not_there_is_named(scheme):
    uri = f"{scheme}://me:secret@127.0.0.1:{free_port()}/x"
    with pytest.raises(TrackingError, match="Is it running") as error:
        Store.open(uri)
    assert "secret" not in str(error.value)
    assert "me:***@127.0.0.1" in str(error.value)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stops_midway_is_named(server):
    store = Store.open(server.url)
    experiment, sweep = sweep_of(store, "stopped midway")
    os.killpg(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TrackingError, match="nothing is lost"):
            store.write(experiment, [record(0)], sweep.run_id)
    finally:
        os.killpg(server.pid, signal.SIGCONT)


@pytest.mark.usefixtures("impatient")
def test_an_address_that_is_none_is_named():
    with pytest.raises(TrackingError, match=r"http://\[::1: Invalid IPv6 URL. Is MLFLOW_TRACKING_URI right?"):
        Store.open("http://[::1")


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


def test_two_processes_make_the_default_database_at_once_and_print_nothing(tmp_path):
    code = "from shallowexp.tracking.store import Store; print(Store.open().uri)"
    both = [start("python", "-c", code, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    assert [one.communicate(timeout=PATIENCE) for one in both] == [(f"sqlite:///{tmp_path}/mlflow.db\n", "")] * 2


def test_the_users_environment_stays(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    client.quiet_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_relative_database_stays_the_same_file_elsewhere(database, monkeypatch, tmp_path):
    # MLflow keeps what it has opened by its URI: this one is no other test's
    database = database.rename(tmp_path / "relative.db")
    store = Store.open("sqlite:///relative.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.client._tracking_client.store._dispose_engine()  # the next connection is a new one
    store.experiment("same file")
    assert Store.open(f"sqlite:///{database}").client.get_experiment_by_name("same file")
    assert not (tmp_path / "elsewhere" / "relative.db").exists()


def test_the_runs_of_a_sweep_are_gathered_under_its_name(any_store):
    _gather(any_store)


def test_they_are_in_every_database(sql_store):
    _gather(sql_store)


def _gather(store):
    experiment, sweep = sweep_of(store, "gathered")
    store.write(experiment, [record(0), record(1)], sweep.run_id)
    store.write(experiment, [record(2), record(3)])  # alone
    ids = store.finished(experiment)
    for _ in range(2):
        params = store.gather(experiment, [ids[f"{i:04x}"] for i in (2, 0, 1)], "12345678")
        assert params == [record(i).params for i in (2, 0, 1)]
    tags = [store.client.get_run(ids[f"{i:04x}"]).data.tags.get("sweep") for i in range(4)]
    both = f"{sweep.run_id[:8]} 12345678"
    assert tags == [both, both, "12345678", None]
    assert all(store.client.get_run(run_id).data.tags["shallowexp.outcome"] == "finished" for run_id in ids.values())
