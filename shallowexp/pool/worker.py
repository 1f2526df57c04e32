"""What a worker does with a batch. It imports neither Hydra nor MLflow, and refuses what it would train differently.

A batch is one `bytes`, so that nothing between the launching process and the worker looks into it, and nothing in it is
imported before the versions agree.
"""

import os
import pickle
import socket
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import NamedTuple

from shallowexp import __version__, provenance
from shallowexp.config.fingerprint import fingerprint, forget_changed
from shallowexp.errors import PoolError
from shallowexp.training.engines import train
from shallowexp.training.job import Failure, Job, Result


class Trained(NamedTuple):
    """A batch's results, when they were made (milliseconds since 1970), and on what, as tags."""

    results: list[Result | Failure]
    start: int
    end: int
    tags: dict[str, str]


def trained(jobs: Sequence[Job], threads: int | None = None) -> Trained:
    start = now()
    results = train(jobs, threads)
    return Trained(results, start, now(), {"shallowexp.machine": provenance.machine()})


def order(jobs: Sequence[Job], threads: int | None) -> bytes:
    """What `train_order` takes."""
    return pickle.dumps((jobs, [fingerprint(job) for job in jobs], threads))


def train_order(expected: Mapping[str, str], ordered: bytes) -> Trained:
    """`trained` on a worker. Raises PoolError where it has not the versions, the code and the data of the process that asks, or no room."""
    me = f"has a worker (process {os.getpid()} on {socket.gethostname()})"
    unlike = [f"{name} {found}, not {expected[name]}" for name, found in versions().items() if found != expected[name]]
    if unlike:
        raise PoolError(f"{me} with {'; '.join(unlike)}: install the same versions there")
    jobs, fingerprints, threads = pickle.loads(ordered)
    for job, wanted in zip(jobs, fingerprints, strict=True):
        forget_changed(str(getattr(job.data, "path", "")))
        if (found := fingerprint(job)) != wanted:
            reason = job.data.fault() or "source files, data or the BLAS differ: start it again with the same ones"
            raise PoolError(f"{me} that would train another network: fingerprint {found}, not {wanted}; {reason}")
    try:
        made = trained(jobs, threads)
    except OSError as error:  # of a disk that is full where the compiled kernel is kept, say
        raise PoolError(f"{me} that cannot train: {error}") from None
    return made._replace(tags=made.tags | {"shallowexp.worker": f"{socket.gethostname()}, {_processor()}"})


@cache
def versions() -> dict[str, str]:
    """Of what a result may depend on, in this process."""
    packages = {name: _version(name.lower()) for name in ("NumPy", "Numba")}
    return {"Python": python_version(), **packages, "shallowexp": __version__}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@cache
def _processor() -> str:
    """Its type as LLVM names it: what the compiled kernel is compiled for."""
    try:
        from llvmlite.binding import get_host_cpu_name
    except ImportError:
        return "unknown processor"
    return str(get_host_cpu_name())


def now() -> int:
    return int(time.time() * 1000)
