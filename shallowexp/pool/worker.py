"""What a worker does with a batch. It imports neither Hydra nor MLflow, and refuses what it would train differently.

A batch is one `bytes`, so that nothing between the launching process and the worker looks into it, and nothing in it is
imported before the versions agree.
"""

import os
import pickle
import socket
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shallowexp import provenance
from shallowexp.config.fingerprint import changed, fingerprint, forget_changed
from shallowexp.errors import PoolError
from shallowexp.provenance import versions
from shallowexp.training.engines import train
from shallowexp.training.job import Failure, Job, Result

CHANGED = "its data have changed since it was planned: give the same command again"


class Trained(NamedTuple):
    """A batch's results, when they were made (milliseconds since 1970), and on what, as tags."""

    results: list[Result | Failure]
    start: int
    end: int
    tags: dict[str, str]


def trained(jobs: Sequence[Job], threads: int | None = None) -> Trained:
    start = now()
    other = {data for data in {job.data for job in jobs} if changed(data)}
    made = iter(train([job for job in jobs if job.data not in other], threads))
    results = [Failure(CHANGED) if job.data in other else next(made) for job in jobs]
    return Trained(results, start, now(), {"shallowexp.machine": provenance.machine()})


def order(jobs: Sequence[Job], threads: int | None) -> bytes:
    """What `train_order` takes."""
    return pickle.dumps((jobs, [fingerprint(job) for job in jobs], threads))


def train_order(expected: Mapping[str, str], ordered: bytes) -> Trained:
    """`trained` on a worker. Raises PoolError where it has not the versions, the code and the data of the process that asks, or no room."""
    me = f"has a worker (process {os.getpid()} on {socket.gethostname()})"
    if differ := unlike(expected, versions()):
        raise PoolError(f"{me} with {differ}")
    try:
        jobs, fingerprints, threads = pickle.loads(ordered)
    except ImportError as error:
        raise PoolError(
            f"{me} that cannot import what a batch is made of: {error}; PYTHONPATH there has to name its folder"
        ) from None
    for job, wanted in zip(jobs, fingerprints, strict=True):
        forget_changed(str(getattr(job.data, "path", "")))
        if (found := fingerprint(job)) != wanted:
            reason = job.data.fault() or "source files, data or the BLAS differ: start it again with the same ones"
            raise PoolError(f"{me} that would train another network: fingerprint {found}, not {wanted}; {reason}")
    try:
        made = trained(jobs, threads)
    except OSError as error:  # of a disk that is full where the compiled kernel is kept, say
        raise PoolError(f"{me} that cannot train: {error}") from None
    return made._replace(tags=made.tags | {"shallowexp.worker": socket.gethostname()})


def unlike(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Which versions differ, and what to do; nothing where none does."""
    differ = [f"{name} {version}, not {expected[name]}" for name, version in found.items() if version != expected[name]]
    return f"{'; '.join(differ)}: install the same versions there" if differ else ""


def now() -> int:
    return int(time.time() * 1000)
