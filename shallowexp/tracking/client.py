"""Reaching MLflow through its public client: quietly, with few retries, one run at a time.

`ClientBackend` writes and reads runs in any store; `sql.SqlBackend` does it in bulk where the store is a SQL database.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from shallowexp.tracking.artifacts import put_artifacts
from shallowexp.tracking.records import (
    CONTEXT,
    FINGERPRINT,
    POINT_COLUMNS,
    RUN_COLUMNS,
    TEXT_COLUMNS,
    DatasetInput,
    Frames,
    Record,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput as LoggedInput
    from mlflow.entities import Experiment, Run

CHUNK = 1000  # run ids in one query: SQLite takes 32,766 variables, SQL Server 2,100
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # waits of 0, 4 and 8 s; MLflow's own 7 retries take four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "PGCONNECT_TIMEOUT": "10",
}


def quiet_environment() -> None:
    """Set what MLflow reads from the environment where the user has not; before MLflow is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def search(client: "MlflowClient", experiment_id: str, condition: str) -> Iterator["Run"]:
    """Every run of the experiment for which an MLflow filter holds, newest first, over all pages."""
    token = None
    while token != "":
        page = client.search_runs([experiment_id], condition, 1, 1000, page_token=token)
        yield from page
        token = page.token or ""


def _input(data: DatasetInput) -> "LoggedInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(Dataset(**vars(data)), [InputTag(*CONTEXT)])


class ClientBackend:
    """Writing and reading runs in any store, through MlflowClient."""

    def __init__(self, client: "MlflowClient", uri: str):
        self._client, self._uri = client, uri

    def write(self, experiment: "Experiment", records: Sequence[Record]) -> None:
        """Write each record: RUNNING first, FINISHED when all of it is there."""
        for record in records:
            self._write(experiment.experiment_id, record)

    def _write(self, experiment_id: str, record: Record) -> None:
        from mlflow.entities import Metric, Param

        run = self._client.create_run(experiment_id, record.start, record.tags, record.name)
        points = record.points().items()
        metrics = [Metric(name, value, record.end, step) for name, values in points for step, value in values]
        self._client.log_batch(run.info.run_id, metrics, [Param(*param) for param in record.params.items()])
        if record.data:
            self._client.log_inputs(run.info.run_id, [_input(record.data)])
        put_artifacts(run.info.artifact_uri, self._uri, record.artifacts)
        self._client.set_terminated(run.info.run_id, record.status, record.end)

    def remove_orphans(self, experiment: "Experiment", owners: Iterable[str]) -> None:
        """None: a run is there before its artifacts."""

    def finished(self, experiment_id: str) -> list[tuple[int, str, str]]:
        """(start, run id, fingerprint) of every FINISHED run of the experiment."""
        runs = self._finished(experiment_id)
        return [(run.info.start_time, run.info.run_id, run.data.tags[FINGERPRINT]) for run in runs]

    def _finished(self, experiment_id: str) -> Iterator["Run"]:
        return search(self._client, experiment_id, f"attributes.status = 'FINISHED' AND tags.`{FINGERPRINT}` LIKE '%'")

    def last(self, experiment_id: str, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Run id -> the last value of each metric."""
        found: dict[str, dict[str, float]] = {}
        for i in range(0, len(run_ids), CHUNK):
            ids = ", ".join(f"'{run_id}'" for run_id in run_ids[i : i + CHUNK])
            runs = search(self._client, experiment_id, f"attributes.run_id IN ({ids})")
            found |= {run.info.run_id: run.data.metrics for run in runs}
        return found

    def frames(self, experiment_id: str, run_ids: Sequence[str], metrics: Collection[str] | None = None) -> Frames:
        wanted = set(run_ids)
        runs = [run for run in self._finished(experiment_id) if run.info.run_id in wanted]
        infos = [[getattr(run.info, column) for column in RUN_COLUMNS] for run in runs]
        params = [(run.info.run_id, *item) for run in runs for item in run.data.params.items()]
        tags = [(run.info.run_id, *item) for run in runs for item in run.data.tags.items()]
        names = [(run.info.run_id, name) for run in runs for name in run.data.metrics]
        with ThreadPoolExecutor(8) as pool:  # a request each: there is no public call for many
            points = [point for history in pool.map(self._history, names) for point in history]
        return Frames(
            pd.DataFrame(infos, columns=RUN_COLUMNS),
            pd.DataFrame(params, columns=TEXT_COLUMNS),
            pd.DataFrame(tags, columns=TEXT_COLUMNS),
            pd.DataFrame(points, columns=POINT_COLUMNS),
        )

    def analyze(self) -> None:
        """Nothing: how a server keeps its database is its own business."""

    def _history(self, name: tuple[str, str]) -> list[tuple[str, str, int, int, float]]:
        found = self._client.get_metric_history(*name)
        return [(*name, m.step, m.timestamp, m.value) for m in found if not np.isnan(m.value)]
