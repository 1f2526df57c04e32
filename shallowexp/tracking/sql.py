"""Runs as bulk rows of MLflow's own tables, for a store that is a SQL database (SQLite, PostgreSQL, ...).

MLflow's client spends 30 to 100 ms on a run, nearly all of it on objects and on a transaction for each call. The same
rows through its own table definitions, many runs in one transaction, cost 3 to 5 ms. What the rows look like is
MLflow's own business: so they are written only into tables with the very columns (TESTED) whose rows were compared with
the client's, under MLflow 3.14 to 3.18. A table that a later client writes besides, which no column tells, fails a test.
"""

import logging
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pandas as pd

from shallowexp.tracking.artifacts import delete_artifacts, local_names, put_artifacts
from shallowexp.tracking.client import CHUNK
from shallowexp.tracking.creation import in_turn
from shallowexp.tracking.records import (
    CONTEXT,
    FINGERPRINT,
    POINT_COLUMNS,
    RUN_COLUMNS,
    TEXT_COLUMNS,
    DatasetInput,
    Frames,
    Record,
    owner_of,
)

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import Column, MetaData
    from sqlalchemy.orm import Session

Rows = dict[type[Any], list[dict[str, Any]]]  # table -> rows
Used = Sequence[tuple[str, DatasetInput]]  # run id, what it was trained on

TESTED = {  # the tables that are written; * in the primary key, ? may be null
    "runs": "run_uuid str*, name str?, source_type str?, source_name str?, entry_point_name str?, user_id str?, status str?, "
    "start_time int?, end_time int?, deleted_time int?, source_version str?, lifecycle_stage str?, artifact_uri str?, "
    "experiment_id int?",
    "tags": "run_uuid str*, key str*, value str?",
    "params": "run_uuid str*, key str*, value str",
    "metrics": "run_uuid str*, key str*, step int*, timestamp int*, value float*, is_nan bool*",
    "latest_metrics": "run_uuid str*, key str*, step int, timestamp int?, value float, is_nan bool",
    "datasets": "dataset_uuid str, experiment_id int*, name str*, digest str*, dataset_source_type str, dataset_source str, "
    "dataset_schema str?, dataset_profile str?",
    "inputs": "input_uuid str, source_type str*, source_id str*, destination_type str*, destination_id str*, step int",
    "input_tags": "input_uuid str*, name str*, value str",
}
OWN = 16  # digits of its owner with which a run's id begins
log = logging.getLogger(__name__)


def sql_backend(uri: str) -> "SqlBackend | None":
    """The tables behind a tracking URI, or None if it is no SQL database or one whose tables are not as in TESTED."""
    from mlflow import __version__
    from mlflow.store.tracking.dbmodels.models import SqlRun
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _get_store

    store = _get_store(uri)
    if type(store) is not SqlAlchemyStore:  # a subclass (workspaces) has rows of its own
        return None
    if changes := _changes(SqlRun.metadata):  # the database has these tables: MLflow refuses another revision's
        slower = "runs are written one by one, about 20 times slower"
        log.warning("MLflow %s has tables that are new to shallowexp (%s): %s", __version__, ", ".join(changes), slower)
        return None
    return SqlBackend(store, uri)


def _changes(metadata: "MetaData") -> list[str]:
    """The columns that are in TESTED or in MLflow's definitions and not alike in both."""
    found = []
    for name, tested in TESTED.items():
        columns = metadata.tables[name].columns if name in metadata.tables else ()
        found += [f"{name}.{column}" for column in sorted({*map(_described, columns)} ^ {*tested.split(", ")})]
    return found


def _described(column: "Column[Any]") -> str:
    key, null = "*" if column.primary_key else "", "?" if column.nullable else ""
    return f"{column.name} {column.type.python_type.__name__}{key}{null}"


class SqlBackend:
    """Bulk writing and reading for one SQL store of MLflow's, always inside its own sessions."""

    lock_timeout = 20.0  # seconds for a database that is locked or restarts

    def __init__(self, store: "SqlAlchemyStore", uri: str):
        self._store, self._uri = store, uri

    def write(self, experiment: "Experiment", records: Sequence[Record]) -> None:
        """Write all records or none: their artifacts, then their rows in one transaction."""
        from mlflow.utils.uri import append_to_uri_path

        runs = []
        # sorted: MLflow lists runs that began together by id, so in the sweep's order
        ends = sorted(uuid4().hex[OWN:] for _ in records)
        for end, record in zip(ends, records, strict=True):
            run_id = owner_of(record.tags)[:OWN] + end
            artifact_uri = append_to_uri_path(experiment.artifact_location, run_id, "artifacts")
            put_artifacts(artifact_uri, self._uri, record.artifacts)
            runs.append((run_id, artifact_uri, record))
        used = [(run_id, record.data) for run_id, _, record in runs if record.data]
        self._insert_with_retries(_rows(experiment.experiment_id, runs), int(experiment.experiment_id), used)

    def _insert_with_retries(self, rows: Rows, experiment_id: int, used: Used) -> None:
        deadline, wait = time.monotonic() + self.lock_timeout, 0.5
        while True:
            try:
                return self._insert(rows, experiment_id, used)
            except Exception as error:
                if not _transient(error) or time.monotonic() + wait > deadline:
                    raise
            time.sleep(wait)
            wait *= 2

    def _insert(self, rows: Rows, experiment_id: int, used: Used) -> None:
        from sqlalchemy import insert, text

        with self._store.ManagedSessionMaker(read_only=False) as session:
            if self._store.db_type == "sqlite":
                session.execute(text(f"PRAGMA busy_timeout = {int(self.lock_timeout * 1000)}"))
            elif self._exists(session, rows):  # an earlier attempt was committed and only its answer lost
                return
            for table, values in rows.items():
                session.execute(insert(table.__table__), values)  # the class itself would send them through the ORM
            for table, values in _input_rows(session, experiment_id, used).items():
                session.execute(insert(table.__table__), values)

    @staticmethod
    def _exists(session: "Session", rows: Rows) -> bool:
        table, values = next(iter(rows.items()))
        return session.get(table, values[0]["run_uuid"]) is not None

    def remove_orphans(self, experiment: "Experiment", owners: Iterable[str]) -> None:
        """Their folders on this machine begin with the digits of their owner, whose process is gone, and have no run."""
        from mlflow.store.tracking.dbmodels.models import SqlRun
        from mlflow.utils.uri import append_to_uri_path
        from sqlalchemy import select

        begins = {owner[:OWN] for owner in owners}
        left = [name for name in local_names(experiment.artifact_location)
                if name[:OWN] in begins and re.fullmatch("[0-9a-f]{32}", name)]  # fmt: skip
        with self._store.ManagedSessionMaker() as session:
            for i in range(0, len(left), CHUNK):
                names = left[i : i + CHUNK]
                known = session.scalars(select(SqlRun.run_uuid).where(SqlRun.run_uuid.in_(names)))
                for name in {*names} - {*known}:
                    delete_artifacts(append_to_uri_path(experiment.artifact_location, name), self._uri)

    def finished(self, experiment_id: str) -> list[tuple[int, str, str]]:
        """(start, run id, fingerprint) of every FINISHED run of the experiment."""
        from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
        from sqlalchemy import select

        columns: list[Any] = [SqlRun.start_time, SqlRun.run_uuid, SqlTag.value]
        query = (
            select(*columns)
            .join(SqlTag, SqlTag.run_uuid == SqlRun.run_uuid)
            .where(SqlRun.experiment_id == int(experiment_id), SqlRun.status == "FINISHED")
            .where(SqlRun.lifecycle_stage == "active", SqlTag.key == FINGERPRINT)
        )
        with self._store.ManagedSessionMaker() as session:
            return [tuple(row) for row in session.execute(query)]

    def last(self, experiment_id: str, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Run id -> the last value of each metric."""
        from mlflow.store.tracking.dbmodels.models import SqlLatestMetric

        found: dict[str, dict[str, float]] = {run_id: {} for run_id in run_ids}
        with self._store.ManagedSessionMaker() as session:
            for run_id, key, value in _read(session, SqlLatestMetric, ["run_id", "key", "value"], run_ids).values:
                found[run_id][key] = value
        return found

    def frames(self, experiment_id: str, run_ids: Sequence[str], metrics: Collection[str] | None = None) -> Frames:
        from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
        from sqlalchemy import func

        keys, others = SqlMetric.__table__.c.key, SqlLatestMetric.__table__.c.key
        with self._store.ManagedSessionMaker() as session:
            runs = _read(session, SqlRun, RUN_COLUMNS, run_ids)
            run_ids = [*runs["run_id"]]
            # An expression, since SQLite would otherwise read the index that begins with the key, whole, for each chunk
            chosen = None if metrics is None else func.coalesce(keys, "").in_(metrics)
            points = [_read(session, SqlMetric, POINT_COLUMNS, run_ids, chosen)]
            if metrics is not None:
                points.append(_read(session, SqlLatestMetric, POINT_COLUMNS, run_ids, others.not_in(metrics)))
            return Frames(
                runs,
                _read(session, SqlParam, TEXT_COLUMNS, run_ids),
                _read(session, SqlTag, TEXT_COLUMNS, run_ids),
                pd.concat(points, ignore_index=True),
            )

    def tag(self, key: str, values: Mapping[str, str]) -> None:
        """All of them or none."""
        from mlflow.store.tracking.dbmodels.models import SqlTag
        from sqlalchemy import delete, insert

        run_ids, c = [*values], SqlTag.__table__.c
        with self._store.ManagedSessionMaker(read_only=False) as session:
            for i in range(0, len(run_ids), CHUNK):
                chunk = run_ids[i : i + CHUNK]
                session.execute(delete(SqlTag.__table__).where(c.key == key, c.run_uuid.in_(chunk)))
                rows = [{"run_uuid": run_id, "key": key, "value": values[run_id]} for run_id in chunk]
                session.execute(insert(SqlTag.__table__), rows)

    def locked(self) -> AbstractContextManager[None]:
        return in_turn(self._store.engine, "sweeps")

    def analyze(self) -> None:
        """Let SQLite look at its tables again: MLflow's charts then get a history in 5 ms rather than 40."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy import text

        if self._store.db_type == "sqlite":
            # It only saves time: where the database is locked or full, the next one does it
            with suppress(MlflowException), self._store.ManagedSessionMaker(read_only=False) as session:
                session.execute(text("PRAGMA analysis_limit = 1000"))
                session.execute(text("ANALYZE"))


def _transient(error: Exception) -> bool:
    """Whether trying again may help: the database was away, or another process has inserted the same data set meanwhile."""
    from sqlalchemy.exc import IntegrityError

    cause = error.__cause__
    same = isinstance(cause, IntegrityError) and str(cause.statement).startswith("INSERT INTO datasets")
    return same or getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE"


def _read(
    session: "Session", table: Any, columns: list[str], run_ids: Sequence[str], condition: Any = None
) -> pd.DataFrame:
    from sqlalchemy import false, select

    c = table.__table__.c
    selected = select(c.run_uuid, *(c[column] for column in columns[1:]))
    if condition is not None:
        selected = selected.where(condition)
    if "is_nan" in c:
        selected = selected.where(c.is_nan == false())
    if "lifecycle_stage" in c:
        selected = selected.where(c.lifecycle_stage == "active")
    parts = []
    for i in range(
        0, len(run_ids), CHUNK
    ):  # each becomes columns at once: as rows, those of 10,000 runs take gigabytes
        rows = session.execute(selected.where(c.run_uuid.in_(run_ids[i : i + CHUNK]))).all()
        if rows:
            parts.append(pd.DataFrame(dict(zip(columns, zip(*rows, strict=True), strict=True))))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _rows(experiment_id: str, runs: Iterable[tuple[str, str, Record]]) -> Rows:
    """Table -> rows, in the order of the foreign keys, as MLflow's create_run, log_batch, set_terminated leave them."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
    from mlflow.utils.validation import _validate_metric_name, _validate_param, _validate_tag

    rows: Rows = defaultdict(list)
    for run_id, artifact_uri, record in runs:
        key = {"run_uuid": run_id}
        rows[SqlRun].append(key | _run(experiment_id, artifact_uri, record))
        tags = [_validate_tag(*tag) for tag in record.tags.items()]
        rows[SqlTag] += [key | {"key": tag.key, "value": tag.value} for tag in tags]
        params = [_validate_param(*param) for param in record.params.items()]
        rows[SqlParam] += [key | {"key": param.key, "value": param.value} for param in params]
        for name, points in record.points().items():
            _validate_metric_name(name)
            constant = key | {"key": name, "timestamp": record.end, "is_nan": False}
            values = [constant | {"step": step, "value": value} for step, value in points]
            rows[SqlMetric] += values
            rows[SqlLatestMetric].append(values[-1])
    return {table: values for table, values in rows.items() if values}


def _input_rows(session: "Session", experiment_id: int, used: Used) -> Rows:
    """Table -> rows that tie (run id, data set) pairs together, as MLflow's log_inputs leaves them.

    A data set is there once in an experiment: SQLite's lock, taken by the runs' rows, keeps it so, elsewhere its primary key.
    """
    from mlflow.store.tracking.dbmodels.models import SqlDataset, SqlInput, SqlInputTag
    from sqlalchemy import select

    c = SqlDataset.__table__.c
    names = {data.name for _, data in used}
    there = select(c.name, c.digest, c.dataset_uuid).where(c.experiment_id == experiment_id, c.name.in_(names))
    known = {(name, digest): uuid for name, digest, uuid in session.execute(there)} if names else {}
    rows: Rows = defaultdict(list)
    for run_id, data in used:
        key = data.name, data.digest
        if key not in known:
            known[key] = uuid4().hex
            rows[SqlDataset].append(_dataset(experiment_id, known[key], data))
        use = {"input_uuid": uuid4().hex}
        ends = {"source_type": "DATASET", "source_id": known[key], "destination_type": "RUN", "destination_id": run_id}
        rows[SqlInput].append(use | ends | {"step": 0})
        rows[SqlInputTag].append(use | dict(zip(("name", "value"), CONTEXT, strict=True)))
    return rows


def _dataset(experiment_id: int, uuid: str, data: DatasetInput) -> dict[str, Any]:
    key = {"experiment_id": experiment_id, "dataset_uuid": uuid, "name": data.name, "digest": data.digest}
    text = {"source_type": data.source_type, "source": data.source, "schema": data.schema, "profile": data.profile}
    return key | {f"dataset_{name}": value for name, value in text.items()}


def _run(experiment_id: str, artifact_uri: str, record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "user_id": record.tags["mlflow.user"],
        "status": record.status,
        "start_time": record.start,
        "end_time": record.end,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": artifact_uri,
        "experiment_id": int(experiment_id),
    }
