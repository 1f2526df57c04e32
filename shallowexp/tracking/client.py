"""Reaching MLflow through its public client: quietly, with few retries, one run at a time.

`ClientBackend` writes and reads runs in any store; `sql.SqlBackend` does it in bulk where the store is a SQL database.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import TYPE_CHECKING

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

HISTORIES = "/api/2.0/mlflow/metrics/get-history-bulk-interval"
AT_ONCE, SAMPLED = 100, 2500  # runs in one such request, and steps that it answers: the most that a server takes
CHUNK = 1000  # run ids in one query: SQLite takes 32,766 variables, SQL Server 2,100
Point = tuple[str, str, int, int, float]  # as POINT_COLUMNS names them
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


def _sampled(uri: str, key: str, run_ids: Sequence[str]) -> list[Point]:
    """A metric of runs on a server, with at most SAMPLED of its steps; MLflow's client has no word for this part of its REST API."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request_safe

    asked = {"run_ids": run_ids, "metric_key": key, "max_results": SAMPLED}
    response = http_request_safe(get_default_host_creds(uri), HISTORIES, "GET", params=asked)
    found = response.json().get("metrics", [])
    return [(m["run_id"], key, m.get("step", 0), m["timestamp"], float(m["value"])) for m in found]


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
        return Frames(
            pd.DataFrame(infos, columns=RUN_COLUMNS),
            pd.DataFrame(params, columns=TEXT_COLUMNS),
            pd.DataFrame(tags, columns=TEXT_COLUMNS),
            pd.DataFrame(self._points(runs, metrics), columns=POINT_COLUMNS).dropna(),
        )

    def _points(self, runs: Sequence["Run"], metrics: Collection[str] | None) -> list[Point]:
        """Of each metric that is asked for its history, of another the last value, which comes with the run."""
        having, points = defaultdict[str, list[str]](list), list[Point]()
        for run in runs:
            for last in run.data.to_proto().metrics:
                if metrics is None or last.key in metrics:
                    having[last.key].append(run.info.run_id)
                else:
                    points.append((run.info.run_id, last.key, last.step, last.timestamp, last.value))
        asked = [(key, ids[i : i + AT_ONCE]) for key, ids in having.items() for i in range(0, len(ids), AT_ONCE)]
        with ThreadPoolExecutor(8) as pool:
            return [*points, *chain.from_iterable(pool.map(lambda part: self._histories(*part), asked))]

    def _histories(self, key: str, run_ids: Sequence[str]) -> list[Point]:
        """Of one metric; in one request where this is a server, and sends all."""
        if self._uri.startswith("http"):
            points = _sampled(self._uri, key, run_ids)
            if len({step for _, _, step, *_ in points}) < SAMPLED:
                return points
        histories = {run_id: self._client.get_metric_history(run_id, key) for run_id in run_ids}
        return [(run_id, key, m.step, m.timestamp, m.value) for run_id, found in histories.items() for m in found]

    def tag(self, key: str, values: Mapping[str, str]) -> None:
        for run_id, value in values.items():
            self._client.set_tag(run_id, key, value)

    def locked(self) -> AbstractContextManager[None]:
        """A server has no word for it."""
        return nullcontext()

    def analyze(self) -> None:
        """Nothing: how a server keeps its database is its own business."""
