"""Reaching MLflow through its public client: quietly, not for ever, with errors in one sentence, one run at a time.

`OneByOne` writes and reads runs in any store; `tracking_sql.Tables` does it in bulk where the store is a SQL database.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from getpass import getuser
from pathlib import Path

import numpy as np
import pandas as pd

from shallowexp.errors import TrackingError

FINGERPRINT, PARENT, WEIGHTS = "shallowexp.fingerprint", "mlflow.parentRunId", "weights.npz"
CONTEXT = "mlflow.data.context", "training"  # the tag of a run's data set
RUN_COLUMNS, TEXT_COLUMNS = ["run_id", "start_time", "end_time", "artifact_uri"], ["run_id", "key", "value"]
POINT_COLUMNS = ["run_id", "key", "step", "timestamp", "value"]
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # waits of 0, 4 and 8 s; MLflow's own 7 retries take four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "PGCONNECT_TIMEOUT": "10",
}
ADVICE = (  # the first pattern found in MLflow's error says what to do
    (
        "out-of-date database schema",
        "Back it up and run `mlflow db upgrade <uri>`, or use the newer MLflow that made it.",
    ),
    ("locked", "Something else is writing to it: start again when that has ended, nothing is lost."),
    (
        r"\b40[13]\b|UNAUTHENTICATED|PERMISSION_DENIED",
        "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or _TOKEN.",
    ),
    (
        "authentication failed|no password supplied|role .* does not exist",
        "Check the user and the password in the URI.",
    ),
    ("No module named", "Install that package, which MLflow needs for this kind of store."),
    ("readonly|unable to open|[Pp]ermission denied", "Check that you may write there."),
    ("onnect|Max retries|[Tt]imed out", "Is it running, and is the URI right? Start again then, nothing is lost."),
    ("", "Is MLFLOW_TRACKING_URI right?"),
)


def quiet_environment() -> None:
    """Set what MLflow reads from the environment where the user has not; before MLflow is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def system_tags() -> dict[str, str]:
    """What MLflow's fluent interface sets; not the commit, which it finds only from the path of a script."""
    source = Path(sys.argv[0]).name
    return {"mlflow.user": getuser(), "mlflow.source.name": source, "mlflow.source.type": "LOCAL"}


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what MLflow, SQLAlchemy, requests or the disk say into one TrackingError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = re.split(r"\n\[SQL|\n*\(Background on", str(error))[0].strip()
        text = f"{getattr(error, 'error_code', '')} {reason}"
        advice = next(words for pattern, words in ADVICE if re.search(pattern, text))
        message = f"MLflow store {uri}: {reason}\n{advice}"
        raise TrackingError(re.sub(r"(://[^:/@\s]*):[^@/\s]*@", r"\1:***@", message)) from error


def tracked(method: Callable) -> Callable:
    """A method of something with a `uri`, under `explained`."""

    @wraps(method)
    def run(self, *args, **kwargs):
        with explained(self.uri):
            return method(self, *args, **kwargs)

    return run


def search(client, experiment_id: str, condition: str, order: list[str] | None = None, page_size=1000) -> Iterator:
    """Every run of the experiment for which an MLflow filter holds, newest first unless ordered, over all pages."""
    token = None
    while token != "":
        page = client.search_runs([experiment_id], condition, 1, page_size, order, token)
        yield from page
        token = page.token or ""


def _folder(artifact_uri: str) -> Path | None:
    """The folder, if artifacts under this URI are files of this machine."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    local = is_local_uri(artifact_uri, is_tracking_or_registry_uri=False)
    return Path(local_file_uri_to_path(artifact_uri)) if local else None


def _repository(artifact_uri: str, uri: str):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(artifact_uri, tracking_uri=uri)


def put_artifacts(artifact_uri: str, uri: str, artifacts: dict[str, bytes]) -> None:
    """Store path -> content under a run's artifact URI; files of this machine are written directly."""
    if not artifacts:
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder(artifact_uri)
        for path, content in artifacts.items():
            file = (folder or Path(temporary)) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        if folder is None:
            _repository(artifact_uri, uri).log_artifacts(temporary)


def load_arrays(artifact_uri: str, uri: str, path: str) -> dict[str, np.ndarray]:
    """The arrays of an npz artifact."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder(artifact_uri)
        file = folder / path if folder else _repository(artifact_uri, uri).download_artifacts(path, temporary)
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)


def _input(data):
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(Dataset(**vars(data)), [InputTag(*CONTEXT)])


class OneByOne:
    """Writing and reading runs in any store, through MlflowClient."""

    def __init__(self, client, uri: str):
        self._client, self._uri = client, uri

    def write(self, experiment, records: list) -> None:
        """Write each record: RUNNING first, FINISHED when all of it is there."""
        for record in records:
            self._write(experiment.experiment_id, record)

    def _write(self, experiment_id: str, record) -> None:
        from mlflow.entities import Metric, Param

        run = self._client.create_run(experiment_id, record.start, record.tags, record.name)
        points = record.points().items()
        metrics = [Metric(name, value, record.end, step) for name, values in points for step, value in values]
        self._client.log_batch(run.info.run_id, metrics, [Param(*param) for param in record.params.items()])
        if record.data:
            self._client.log_inputs(run.info.run_id, [_input(record.data)])
        put_artifacts(run.info.artifact_uri, self._uri, record.artifacts)
        self._client.set_terminated(run.info.run_id, record.status, record.end)

    def finished(self, experiment_id: str) -> list[tuple[int, str, str]]:
        """(start, run id, fingerprint) of every FINISHED run of the experiment."""
        runs = self._finished(experiment_id)
        return [(run.info.start_time, run.info.run_id, run.data.tags[FINGERPRINT]) for run in runs]

    def _finished(self, experiment_id: str) -> Iterator:
        return search(self._client, experiment_id, f"attributes.status = 'FINISHED' AND tags.`{FINGERPRINT}` LIKE '%'")

    def frames(self, experiment_id: str, run_ids: list[str]) -> tuple[pd.DataFrame, ...]:
        """These runs, their params, tags and metric points, in long form: RUN_, TEXT_, TEXT_ and POINT_COLUMNS."""
        wanted = set(run_ids)
        runs = [run for run in self._finished(experiment_id) if run.info.run_id in wanted]
        infos = [[getattr(run.info, column) for column in RUN_COLUMNS] for run in runs]
        params = [(run.info.run_id, *item) for run in runs for item in run.data.params.items()]
        tags = [(run.info.run_id, *item) for run in runs for item in run.data.tags.items()]
        names = [(run.info.run_id, name) for run in runs for name in run.data.metrics]
        with ThreadPoolExecutor(8) as pool:  # a request each: there is no public call for many
            points = [point for history in pool.map(self._history, names) for point in history]
        columns = (RUN_COLUMNS, TEXT_COLUMNS, TEXT_COLUMNS, POINT_COLUMNS)
        return tuple(map(pd.DataFrame, (infos, params, tags, points), [None] * 4, columns))

    def settle(self) -> None:
        """Nothing: how a server keeps its database is its own business."""

    def _history(self, name: tuple[str, str]) -> list[tuple]:
        found = self._client.get_metric_history(*name)
        return [(*name, m.step, m.timestamp, m.value) for m in found if not np.isnan(m.value)]
