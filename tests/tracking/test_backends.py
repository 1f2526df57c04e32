"""Bulk rows and MLflow's client write and read the same, and a run that is killed at any moment is whole or not FINISHED."""

import logging
import os
import signal
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from shallowexp.tracking import client, sql
from shallowexp.tracking.store import Store
from tests.commands import command
from tests.tracking.stores import by_client, record, sweep_of

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")


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


@pytest.mark.parametrize("other", ["client", "server"])
def test_bulk_rows_and_the_client_leave_the_same(sql_store, other, request):
    records = [record(i) for i in range(3)] + [record(3, status="FAILED", metrics={}, params={})]
    assert isinstance(sql_store._backend, sql.SqlBackend)
    other_store = by_client(sql_store.uri) if other == "client" else Store.open(request.getfixturevalue("server").url)
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


def test_bulk_and_client_read_the_same(sql_store, server):
    records = [record(i) for i in range(5)] + [record(5, metrics={})]
    remote = Store.open(server.url)
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


@pytest.mark.parametrize("sampled", [client.SAMPLED, 2])
def test_a_server_is_asked_for_many_histories_at_once_and_what_it_leaves_out_is_asked_again(
    store, server, monkeypatch, sampled
):
    """With 2 it leaves out the middle one of three steps."""
    monkeypatch.setattr(client, "SAMPLED", sampled)
    monkeypatch.setattr(client, "AT_ONCE", 3)
    remote = Store.open(server.url)
    history, again = remote.client.get_metric_history, list[str]()
    monkeypatch.setattr(remote.client, "get_metric_history", lambda *run: again.append(run) or history(*run))
    for metrics in (None, {"train/loss"}):
        read = []
        for place in (store, remote):
            experiment = place.experiment(f"at most {sampled} of {metrics}")
            place.write(experiment, [record(i) for i in range(5)])
            read.append(place.runs(experiment, [*place.finished(experiment).values()], metrics))
        assert_same_runs(*read)
    assert bool(again) == (sampled == 2)


def test_an_experiment_that_another_process_makes_meanwhile_is_taken(any_store, monkeypatch):
    experiment, by_name, unseen = any_store.experiment("meanwhile"), any_store.client.get_experiment_by_name, [None]
    monkeypatch.setattr(
        any_store.client, "get_experiment_by_name", lambda name: unseen.pop() if unseen else by_name(name)
    )
    assert any_store.experiment("meanwhile") == experiment


MOMENTS = {  # of the 68 and 342 that writing RECORDS takes, and the 8 around its files
    "bulk": range(12, 67, 5),
    "client": range(5, 340, 28),
    "client files": range(1, 8, 2),
}
RECORDS = [record(i) for i in range(4)]


def victims() -> None:
    """In processes of their own, of the URI and the kind in sys.argv: write RECORDS in two batches, and die at the n-th statement, commit or file."""
    _, uri, kind = sys.argv
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
    done = command("tests.tracking.test_backends:victims", uri, kind, cwd=database.parent)
    assert done.returncode == 0, done.stderr
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
