"""Runs into MLflow and out of it again. With the other tracking_*.py the only code that knows MLflow.

A run is written whole, after its training, or not at all: `Record` is a run as it will stand in MLflow, `Store.write`
puts a batch of them there, and `Store.read` gives them back as the report wants them. A store that is a SQL database is
written and read in bulk, any other through MLflow's public client; both leave the same runs.

A sweep is a parent run. While it is RUNNING its tags name the process that writes it, so that the next process on this
host can tell a sweep that goes on from one that died, and take that one up again.

MLflow is imported late: that alone takes 2 s.
"""

import logging
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from getpass import getuser
from pathlib import Path

import numpy as np
import psutil

from shallowexp import tracking_client, tracking_sql
from shallowexp.claims import Runs
from shallowexp.errors import TrackingError
from shallowexp.tracking_client import FINGERPRINT, PARENT, WEIGHTS, explained, search, tracked
from shallowexp.tracking_frames import runs_of

DIGEST, NOTE = "shallowexp.digest", "mlflow.note.content"


@dataclass(frozen=True)
class Record:
    """One run as it will stand in MLflow, whole."""

    fingerprint: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    steps: np.ndarray  # (p,) int, rising
    metrics: dict[str, np.ndarray]  # name -> (p,); what is not finite is undefined there and not logged
    start: int  # ms since 1970
    end: int
    artifacts: dict[str, bytes] = field(default_factory=dict)  # path -> content
    status: str = "FINISHED"  # or FAILED

    def points(self) -> dict[str, list[tuple[int, float]]]:
        """The finite (step, value) points of each metric that has any."""
        found = {}
        for name, values in self.metrics.items():
            finite = np.isfinite(values)
            found[name] = list(zip(self.steps[finite].tolist(), values[finite].tolist(), strict=True))
        return {name: points for name, points in found.items() if points}

    def complete(self, parent: str | None) -> "Record":
        """The same with all the tags that it will have in MLflow, as a child of the run `parent` if there is one."""
        tags = _system_tags() | {FINGERPRINT: self.fingerprint, "mlflow.runName": self.name}
        if parent:
            tags[PARENT] = parent
        if WEIGHTS in self.artifacts:
            tags["shallowexp.weights"] = WEIGHTS  # spares a reader asking every run for its artifacts
        return replace(self, tags=tags | self.tags)


def _system_tags() -> dict[str, str]:
    """What MLflow's fluent interface sets; not the commit, which it finds only from the path of a script."""
    source = Path(sys.argv[0]).name
    return {"mlflow.user": getuser(), "mlflow.source.name": source, "mlflow.source.type": "LOCAL"}


class Store:
    """An MLflow tracking store. Its methods raise TrackingError when it fails."""

    def __init__(self, uri: str, client, rows):
        self.uri, self.client = uri, client
        self._rows = rows  # Tables or OneByOne: write, finished, frames

    @classmethod
    def open(cls, uri: str | None = None) -> "Store":
        """The store at `uri`, else at MLFLOW_TRACKING_URI, else MLflow's default: ./mlflow.db, made if missing."""
        tracking_client.quiet_environment()
        import mlflow

        # MLflow logs tracebacks of errors that TrackingError reports, and a line for each migration
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        uri = tracking_sql.absolute(uri or mlflow.get_tracking_uri())
        with explained(uri):
            tracking_sql.create_tables(uri)
            client = mlflow.MlflowClient(uri)
            client.search_experiments(max_results=1)  # is it there, and may we in
            return cls(uri, client, tracking_sql.tables_of(uri) or tracking_client.OneByOne(client, uri))

    @tracked
    def experiment(self, name: str, tags: Mapping[str, str] = {}) -> str:
        """The id of the experiment of this name, made if it is missing; sets `tags` on it."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return self.client.create_experiment(name, tags=dict(tags))
        if found.lifecycle_stage == "deleted":
            command = f"mlflow experiments restore --experiment-id {found.experiment_id}"
            raise TrackingError(f"MLflow experiment {name!r} is deleted in {self.uri}: restore it with `{command}`.")
        for key, value in tags.items():
            if found.tags.get(key) != value:
                self.client.set_experiment_tag(found.experiment_id, key, value)
        return found.experiment_id

    @tracked
    def finished(self, experiment_id: str) -> dict[str, str]:
        """Fingerprint -> run id of its newest FINISHED run, over the whole experiment."""
        return {fingerprint: run_id for _, run_id, fingerprint in sorted(self._rows.finished(experiment_id))}

    @tracked
    def write(self, experiment_id: str, records: Iterable[Record], parent: str | None = None) -> None:
        """Write runs, whole, as children of the run `parent` if there is one; a SQL store takes all of them or none."""
        records = [record.complete(parent) for record in records]
        if records:
            self._rows.write(self.client.get_experiment(experiment_id), records)

    @tracked
    def open_sweep(
        self, experiment_id: str, digest: str, name: str, tags: Mapping[str, str], description: str
    ) -> "Sweep":
        """The parent run of the sweep whose fingerprints have this digest, RUNNING: an unfinished one, else a new one.

        First, what dead processes of this host left RUNNING in the experiment is closed as KILLED. TrackingError if a
        living process, or one of another host, is at this very sweep.
        """
        parents = list(
            search(self.client, experiment_id, f"attributes.status != 'FINISHED' AND tags.`{DIGEST}` LIKE '%'")
        )
        same = [parent for parent in parents if parent.data.tags[DIGEST] == digest]
        for parent in same:
            if parent.info.status == "RUNNING" and not _left_behind(parent):
                raise TrackingError(
                    f"This sweep is already running: {_owner(parent)}, run {parent.info.run_id} in {self.uri}."
                )
        self._bury(experiment_id, [parent for parent in parents if _left_behind(parent)])
        tags = {**_system_tags(), **_owner_tags(), DIGEST: digest, NOTE: description, **tags}
        if same:
            self._set_tags(same[0].info.run_id, tags)
            self.client.update_run(same[0].info.run_id, status="RUNNING")
            return Sweep(self, experiment_id, same[0].info.run_id, resumed=True)
        run = self.client.create_run(experiment_id, tags=tags, run_name=name)
        return Sweep(self, experiment_id, run.info.run_id, resumed=False)

    def _bury(self, experiment_id: str, parents: list) -> None:
        """Close as KILLED the RUNNING children of these runs, then those of them that are RUNNING."""
        self._kill_children(experiment_id, {parent.info.run_id for parent in parents})
        for parent in parents:
            if parent.info.status == "RUNNING":
                self.client.set_terminated(parent.info.run_id, "KILLED")

    def _kill_children(self, experiment_id: str, parents: set[str]) -> None:
        condition = f"attributes.status = 'RUNNING' AND tags.`{FINGERPRINT}` LIKE '%'"
        for child in list(search(self.client, experiment_id, condition)):
            if child.data.tags.get(PARENT) in parents:
                self.client.set_terminated(child.info.run_id, "KILLED")

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    @tracked
    def read(self, name: str, fingerprints: Iterable[str]) -> Runs:
        """The newest FINISHED run of each of the fingerprints that has one in the experiment `name`."""
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise TrackingError(
                f"No experiment {name!r} in {self.uri}. Run its sweep first, or set MLFLOW_TRACKING_URI."
            )
        newest = self.finished(experiment.experiment_id)
        run_ids = [newest[fingerprint] for fingerprint in sorted(newest.keys() & set(fingerprints))]
        return runs_of(*self._rows.frames(experiment.experiment_id, run_ids), self.uri)


@dataclass(frozen=True)
class Sweep:
    """A sweep's parent run, RUNNING until it is closed."""

    store: Store
    experiment_id: str
    run_id: str
    resumed: bool  # an earlier process has begun it

    @property
    def uri(self) -> str:
        return self.store.uri

    @tracked
    def log_artifact(self, path: str, content: bytes) -> None:
        """Store `content` as an artifact of the parent run."""
        run = self.store.client.get_run(self.run_id)
        tracking_client.put_artifacts(run.info.artifact_uri, self.uri, {path: content})

    @tracked
    def close(self, status: str = "FINISHED", tags: Mapping[str, str] = {}) -> None:
        """End the sweep as FINISHED, FAILED (on an error) or KILLED (on a signal); no child of it stays RUNNING."""
        self.store._set_tags(self.run_id, tags)
        self.store._kill_children(self.experiment_id, {self.run_id})
        self.store.client.set_terminated(self.run_id, status)


def _owner_tags() -> dict[str, str]:
    process = psutil.Process()
    values = {"host": socket.gethostname(), "pid": process.pid, "process_start": process.create_time()}
    return {f"shallowexp.{key}": str(value) for key, value in values.items()}


def _owner(run) -> str:
    return f"process {run.data.tags['shallowexp.pid']} on {run.data.tags['shallowexp.host']}"


def _left_behind(run) -> bool:
    """Whether the run's process was of this host and is gone or has closed it; its pid may name another by now."""
    tags = run.data.tags
    if tags["shallowexp.host"] != socket.gethostname() or run.info.status != "RUNNING":
        return tags["shallowexp.host"] == socket.gethostname()
    try:
        process = psutil.Process(int(tags["shallowexp.pid"]))
        gone = abs(process.create_time() - float(tags["shallowexp.process_start"])) > 2  # the clock may have been set
        return gone or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
