"""Runs into MLflow and out of it again.

A run is written whole, after its training, or not at all: `Record` is a run as it is logged, `Store.write`
puts a batch of them into MLflow, and `Store.read` returns them as the report needs them. A store that is a SQL database is
written and read in bulk, any other through MLflow's public client; both leave the same runs.

MLflow is imported late: that alone takes 2 s.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from shallowexp.analysis import Runs
from shallowexp.errors import TrackingError
from shallowexp.tracking import creation, sql
from shallowexp.tracking.client import ClientBackend, quiet_environment
from shallowexp.tracking.errors import explained, no_store, tracked
from shallowexp.tracking.frames import runs_of
from shallowexp.tracking.parents import Sweep, alone, left_open, newest, one_at_a_time
from shallowexp.tracking.places import artifact_location, default_uri
from shallowexp.tracking.records import TEXT_COLUMNS, Backend, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Stored(NamedTuple):
    """A run as it stands in MLflow."""

    status: str
    params: dict[str, str]
    tags: dict[str, str]
    points: dict[str, list[tuple[int, float]]]  # of each metric, as `Record.points` has them


class RunResult(NamedTuple):
    """How a run ended."""

    run_id: str
    metrics: dict[str, float]  # their last values

    @property
    def outcome(self) -> str:
        return "diverged" if "diverged/step" in self.metrics else "finished"


class Store:
    """An MLflow tracking store. Its methods raise TrackingError when it fails."""

    def __init__(self, uri: str, client: "MlflowClient", backend: Backend):
        self.uri, self.client, self._backend = uri, client, backend

    @classmethod
    def open(cls, uri: str | None = None, create: bool = True) -> "Store":
        """The store at `uri`, else at MLFLOW_TRACKING_URI, else MLflow's default, ./mlflow.db.

        A SQLite file that is missing is made, or without `create` a TrackingError.
        """
        quiet_environment()
        import mlflow
        from mlflow.utils.file_utils import path_to_local_sqlite_uri

        # MLflow logs tracebacks of errors that TrackingError reports, and a line for each migration
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        uri = uri or mlflow.get_tracking_uri()
        if uri == path_to_local_sqlite_uri("mlflow.db"):
            uri = default_uri()
        with explained(uri):
            if not create and not creation.exists(uri):
                raise no_store(uri)
            creation.create_tables(uri)
            try:
                client = mlflow.MlflowClient(uri)
            except ValueError as error:  # of an address that is none
                raise TrackingError(f"MLflow store {uri}: {error}. Is MLFLOW_TRACKING_URI right?") from None
            client.search_experiments(max_results=1)  # is it there, and may we in
            return cls(uri, client, sql.sql_backend(uri) or ClientBackend(client, uri))

    @tracked
    def experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """The id of the experiment of this name, made if it is missing; sets `tags` on it."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = artifact_location() if creation.is_database(self.uri) else None
            try:
                return self.client.create_experiment(name, location, dict(tags or {}))
            except MlflowException:
                found = self.client.get_experiment_by_name(name)  # another process may have made it meanwhile
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            command = f"mlflow experiments restore --experiment-id {found.experiment_id}"
            raise TrackingError(
                f"MLflow experiment {name!r} has been deleted from {self.uri}: restore it with `{command}`."
            )
        for key, value in (tags or {}).items():
            if found.tags.get(key) != value:
                try:
                    self.client.set_experiment_tag(found.experiment_id, key, value)
                except MlflowException:  # another process may have inserted it meanwhile: now it is there to be changed
                    self.client.set_experiment_tag(found.experiment_id, key, value)
        return found.experiment_id

    @tracked
    def find(self, name: str) -> str | None:
        """The id of the experiment of this name; None if there is none or it is deleted."""
        found = self.client.get_experiment_by_name(name)
        return found.experiment_id if found and found.lifecycle_stage == "active" else None

    @tracked
    def experiments(self) -> list[str]:
        """The names of the experiments with finished runs of shallowexp's."""
        return [found.name for found in self.client.search_experiments() if self.finished(found.experiment_id)]

    @tracked
    def finished(self, experiment_id: str) -> dict[str, str]:
        """Fingerprint -> run id of its newest FINISHED run, over the whole experiment."""
        return {fingerprint: run_id for _, run_id, fingerprint in sorted(self._backend.finished(experiment_id))}

    @tracked
    def results(self, experiment_id: str, fingerprints: Iterable[str]) -> dict[str, "RunResult"]:
        """Fingerprint -> how the newest FINISHED run of each fingerprint that has one ended."""
        newest = self.finished(experiment_id)
        found = {fingerprint: newest[fingerprint] for fingerprint in fingerprints if fingerprint in newest}
        last = self._backend.last(experiment_id, list(found.values()))
        return {fingerprint: RunResult(run_id, last[run_id]) for fingerprint, run_id in found.items()}

    @tracked
    def write(
        self, experiment_id: str, records: Iterable[Record], parent: str | None = None, fresh: bool = False
    ) -> None:
        """Write runs, whole, as children of the run `parent` if there is one; a SQL store takes all of them or none.

        Before runs without a parent are written, what a killed process left of them is tidied, and those that are FINISHED by
        then are left out, but for `fresh`.
        """
        records = [record.complete(parent) for record in records]
        if not records:
            return
        experiment, fingerprints = self.client.get_experiment(experiment_id), {one.fingerprint for one in records}
        if parent:
            self._backend.write(experiment, records)
            return
        with alone(self.client, self._backend, experiment, fingerprints):
            there = {} if fresh else self.finished(experiment_id)
            self._backend.write(experiment, [record for record in records if record.fingerprint not in there])

    def one_at_a_time(self) -> AbstractContextManager[None]:
        """For what is looked for and then written: no other process does so meanwhile."""
        return one_at_a_time(self._backend)

    @tracked
    def run(self, run_id: str) -> "Stored":
        """A run of any kind. Raises TrackingError if there is none with this id."""
        run = self.client.get_run(run_id)
        histories = [self.client.get_metric_history(run_id, name) for name in run.data.metrics]
        points = {name: [(m.step, m.value) for m in h] for name, h in zip(run.data.metrics, histories, strict=True)}
        return Stored(run.info.status, run.data.params, run.data.tags, points)

    @tracked
    def open_sweep(
        self,
        experiment_id: str,
        digest: str,
        name: str,
        tags: Mapping[str, str],
        description: str = "",
        planned: Iterable[str] = (),
        missing: Callable[[], object] = lambda: True,
    ) -> Sweep:
        """The parent run for the sweep whose fingerprints have this digest: see `Sweep.open`."""
        tags = {"mlflow.note.content": description, **tags}
        return Sweep.open(self.uri, self.client, self._backend, experiment_id, digest, name, tags, planned, missing)

    @tracked
    def left_open(self, experiment_id: str, digest: str) -> bool:
        """Whether the sweep with this digest was begun, is not FINISHED, and no process is at it."""
        return left_open(self.client, experiment_id, digest)

    @tracked
    def newest_sweep(self, experiment_id: str, digest: str, finished: bool = True) -> str | None:
        """The run id of the newest sweep, or field, with this digest that is FINISHED, or that is not."""
        return newest(self.client, experiment_id, digest, finished)

    @tracked
    def sweep(self, run_id: str) -> Sweep:
        """A sweep that is there. Raises TrackingError if it is not."""
        return Sweep(self.uri, self.client, self._backend, self.client.get_run(run_id).info.experiment_id, run_id)

    @tracked
    def read(self, name: str, fingerprints: Iterable[str]) -> Runs:
        """The newest FINISHED run of each of the fingerprints that has one in the experiment `name`."""
        experiment_id = self.find(name)
        if experiment_id is None:
            raise TrackingError(f"No experiment {name!r} in {self.uri}: run its sweep, or set MLFLOW_TRACKING_URI.")
        newest = self.finished(experiment_id)
        return self.runs(experiment_id, [newest[f] for f in sorted(newest.keys() & set(fingerprints))])

    @tracked
    def runs(self, experiment_id: str, run_ids: Sequence[str], metrics: Collection[str] | None = None) -> Runs:
        """These runs of the experiment, each of another fingerprint; of metrics that are not among `metrics`, if given, maybe only the last value."""
        return runs_of(self._backend.frames(experiment_id, run_ids, metrics), self.uri)

    @tracked
    def gather(self, experiment_id: str, run_ids: Sequence[str], sweep: str) -> list[dict[str, str]]:
        """The params of these runs, whose tag `sweep` then names this one, too: those that it reused are another's."""
        frames = self._backend.frames(experiment_id, run_ids, ())
        tags = frames.tags[frames.tags["key"] == "sweep"].set_index("run_id")["value"]
        names = tags.reindex(frames.runs["run_id"]).fillna("").to_dict()
        others = {str(run_id): f"{named} {sweep}".strip() for run_id, named in names.items() if sweep not in named}
        self._backend.tag("sweep", others)
        params: dict[str, dict[str, str]] = {run_id: {} for run_id in run_ids}
        for run_id, key, value in frames.params[TEXT_COLUMNS].itertuples(index=False):
            params[run_id][key] = value
        return [found for found in params.values() if found]
