"""A sweep is a parent run in MLflow, and its runs are its children.

While it is RUNNING its tags name the process that writes it, so that the next process on this host can tell a sweep
that is still running from one whose process died, and resume the latter. It names its runs in an artifact, so that
other sweeps beside it leave them to it.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import psutil

from shallowexp.errors import TrackingError
from shallowexp.tracking.artifacts import delete_artifacts, load_arrays, put_artifacts, read_artifact
from shallowexp.tracking.client import search
from shallowexp.tracking.errors import tracked
from shallowexp.tracking.places import locked
from shallowexp.tracking.records import FINGERPRINT, Backend, owner_of, system_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

DIGEST, HOST, PID, STARTED, OPENED = (
    f"shallowexp.{name}" for name in ("digest", "host", "pid", "process_start", "opened")
)
PLANNED = "planned.txt"  # among a sweep's artifacts: the fingerprint of each run that it is to train, one a line


class Busy(Exception):
    """Another process of this host is at this very sweep."""

    def __init__(self, sweep: "Sweep", owner: str):
        super().__init__(owner)
        self.sweep = sweep


class Whole(Exception):
    """Nothing of the sweep is missing any more."""


@dataclass(frozen=True)
class Sweep:
    """A sweep's parent run, RUNNING until it is closed."""

    uri: str
    client: "MlflowClient"
    backend: Backend
    experiment_id: str
    run_id: str
    opened: str = ""  # tells this opening of it from those before and after
    older: tuple["Sweep", ...] = ()  # other processes of this host were at these when it was opened

    @classmethod
    def open(
        cls,
        uri: str,
        client: "MlflowClient",
        backend: Backend,
        experiment_id: str,
        digest: str,
        name: str,
        tags: Mapping[str, str],
        planned: Iterable[str] = (),
        missing: Callable[[], object] = lambda: True,
    ) -> "Sweep":
        """The sweep with this digest: what a dead process or an interrupted one left unfinished, else a new one.

        `planned` are the fingerprints that it is to train; a new one is made only if something is `missing` while no other
        process can open one, else Whole is raised. What dead processes of this host left is tidied on the way: runs that
        are RUNNING in the experiment are closed as KILLED, artifacts without a run removed. Raises Busy if another process of
        this host is at this very sweep, and TrackingError if this process or one of another host is.
        """
        with one_at_a_time(backend):
            query = f"attributes.status != 'FINISHED' AND tags.`{DIGEST}` LIKE '%'"
            parents = list(search(client, experiment_id, query))
            same = [parent for parent in parents if parent.data.tags[DIGEST] == digest]
            opened = partial(cls, uri, client, backend, experiment_id)
            beside = [(run.info.run_id, run.data.tags.get(OPENED, "")) for run in parents if _lives_beside(run)]
            older = {run_id: opened(run_id, opening) for run_id, opening in beside}
            _refuse_running(uri, same, older)
            stale = [parent for parent in parents if _left_behind(parent)]
            _close_stale(client, experiment_id, stale)
            if not same and not missing():
                raise Whole
            ended = {parent.info.run_id for parent in (*stale, *same)}
            backend.remove_orphans(client.get_experiment(experiment_id), ended)
            tags = system_tags() | _owner_tags() | {DIGEST: digest, OPENED: uuid4().hex} | dict(tags)
            if same:
                run = same[0]
                _set_tags(client, run.info.run_id, tags)
                client.update_run(run.info.run_id, status="RUNNING")
            else:
                run = client.create_run(experiment_id, tags=tags, run_name=name)
            sweep = opened(run.info.run_id, tags[OPENED], tuple(older.values()))
            try:
                sweep.log_artifacts({PLANNED: "\n".join(planned).encode()})
            except BaseException:
                sweep.close("FAILED")
                raise
            return sweep

    @tracked
    def lives(self) -> bool:
        """Whether the process that has opened it so is still at it."""
        run = self.client.get_run(self.run_id)
        return _lives_beside(run) and run.data.tags.get(OPENED, "") == self.opened

    @tracked
    def planned(self) -> set[str]:
        """The fingerprints that it is to train; none where they cannot be read: trained twice, nothing is lost."""
        uri = self.client.get_run(self.run_id).info.artifact_uri
        try:
            return {*read_artifact(uri, self.uri, PLANNED).decode().split()}
        except TrackingError:
            return set()

    @tracked
    def log_artifacts(self, artifacts: Mapping[str, bytes]) -> None:
        """Store path -> content as artifacts of the parent run."""
        run = self.client.get_run(self.run_id)
        put_artifacts(run.info.artifact_uri, self.uri, dict(artifacts))

    @tracked
    def paths(self, folder: str) -> set[str]:
        """The artifacts in one of its folders."""
        return {found.path for found in self.client.list_artifacts(self.run_id, folder)}

    @tracked
    def arrays(self, path: str) -> dict[str, np.ndarray]:
        """The arrays of an npz among its artifacts. Raises RunDamaged where it is gone or broken."""
        return load_arrays(self.client.get_run(self.run_id).info.artifact_uri, self.uri, path)

    @tracked
    def delete(self, folder: str) -> None:
        """Delete a folder of its artifacts."""
        delete_artifacts(f"{self.client.get_run(self.run_id).info.artifact_uri}/{folder}", self.uri)

    @tracked
    def tags(self) -> dict[str, str]:
        return self.client.get_run(self.run_id).data.tags

    @tracked
    def set_tags(self, tags: Mapping[str, str]) -> None:
        _set_tags(self.client, self.run_id, tags)

    @tracked
    def close(self, status: str = "FINISHED", tags: Mapping[str, str] | None = None) -> None:
        """End the sweep as FINISHED, FAILED (on an error) or KILLED (on a signal); no child of it stays RUNNING."""
        _set_tags(self.client, self.run_id, tags or {})
        _kill_runs(self.client, self.experiment_id, {self.run_id})
        self.client.set_terminated(self.run_id, status)
        self.backend.analyze()


@contextmanager
def one_at_a_time(backend: Backend) -> Iterator[None]:
    """Sweeps are opened, runs alone and models written, one after the other: of two alike the second sees the first.

    By this user on this host; by all users and hosts in a database that can lock.
    """
    with locked(), backend.locked():
        yield


@contextmanager
def alone(client: "MlflowClient", backend: Backend, experiment: "Experiment", fingerprints: set[str]) -> Iterator[None]:
    """For writing runs without a sweep: one process at a time, once what killed ones left of these runs is tidied."""
    with one_at_a_time(backend):
        _kill_runs(client, experiment.experiment_id, fingerprints)
        backend.remove_orphans(experiment, fingerprints)
        yield


def left_open(client: "MlflowClient", experiment_id: str, digest: str) -> bool:
    """Whether the sweep with this digest was begun, is not FINISHED, and no process is at it."""
    query = f"attributes.status != 'FINISHED' AND tags.`{DIGEST}` = '{digest}'"
    return not all(_may_live(parent) for parent in search(client, experiment_id, query))


def newest(client: "MlflowClient", experiment_id: str, digest: str, finished: bool) -> str | None:
    """The run id of the newest sweep, or field, with this digest that is FINISHED, or that is not."""
    query = f"attributes.status {'=' if finished else '!='} 'FINISHED' AND tags.`{DIGEST}` = '{digest}'"
    return next((str(run.info.run_id) for run in search(client, experiment_id, query)), None)


def _refuse_running(uri: str, parents: Sequence["Run"], others: Mapping[str, Sweep]) -> None:
    for parent in parents:
        if _may_live(parent):
            host, run_id = parent.data.tags[HOST], parent.info.run_id
            owner = f"process {parent.data.tags[PID]} on {host}, run {run_id} in {uri}"
            if run_id in others:
                raise Busy(others[run_id], owner)
            raise TrackingError(f"This sweep is already running: {owner}.{_advice(host, run_id)}")


def require_ended(client: "MlflowClient", run_id: str) -> None:
    """Raises TrackingError where a process may be at this sweep."""
    run = client.get_run(run_id)
    if _may_live(run):
        host = run.data.tags[HOST]
        owner = f"process {run.data.tags[PID]} on {host}"
        raise TrackingError(f"sweep {run_id} is running: {owner}. End it first.{_advice(host, run_id)}")


def _advice(host: str, run_id: str) -> str:
    """Of another host nobody here can say whether its process lives."""
    if host == socket.gethostname():
        return ""
    ended = f"import mlflow; mlflow.MlflowClient().set_terminated('{run_id}', 'KILLED')"
    return f'\nIf that process is gone (say, its container was restarted), declare it ended, then start again: python -c "{ended}"'


def _close_stale(client: "MlflowClient", experiment_id: str, parents: Sequence["Run"]) -> None:
    """Close as KILLED the RUNNING children of these runs, then these: killed in between, the next one starts over."""
    _kill_runs(client, experiment_id, {parent.info.run_id for parent in parents})
    for parent in parents:
        if parent.info.status == "RUNNING":
            client.set_terminated(parent.info.run_id, "KILLED")


def _kill_runs(client: "MlflowClient", experiment_id: str, owners: set[str]) -> None:
    running = search(client, experiment_id, f"attributes.status = 'RUNNING' AND tags.`{FINGERPRINT}` LIKE '%'")
    for run in list(running):
        if owner_of(run.data.tags) in owners:
            client.set_terminated(run.info.run_id, "KILLED")


def _set_tags(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])


def _owner_tags() -> dict[str, str]:
    pid = os.getpid()
    return {HOST: socket.gethostname(), PID: str(pid), STARTED: _started(pid)}


def _started(pid: int) -> str:
    """When the process began, in seconds since this host did: that stays when the clock is set, and tells a reused pid."""
    boot = psutil.boot_time()
    return f"{psutil.Process(pid).create_time() - boot:.2f}"


def _may_live(run: "Run") -> bool:
    return run.info.status == "RUNNING" and not _left_behind(run)


def _lives_beside(run: "Run") -> bool:
    """Whether another process of this host is at it."""
    tags = run.data.tags
    return _may_live(run) and tags[HOST] == socket.gethostname() and tags[PID] != str(os.getpid())


def _left_behind(run: "Run") -> bool:
    """Whether the run's process was of this host and is gone or has closed it."""
    tags = run.data.tags
    if tags[HOST] != socket.gethostname() or run.info.status != "RUNNING":
        return tags[HOST] == socket.gethostname()
    pid = int(tags[PID])
    try:
        return _started(pid) != tags[STARTED] or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
