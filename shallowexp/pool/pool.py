"""Batches go to a pool and come back as they end.

The pool is this process, or workers behind a `concurrent.futures.Executor`: dask.distributed's, or one that the user names. A
window of batches is in flight. A batch whose worker dies is only suspected, since others were beside it: suspects are trained
last, each alone, and halved until the run that ends its worker is known.
"""

import asyncio
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from shallowexp import __version__
from shallowexp.config.composition import Workers
from shallowexp.config.validate import require
from shallowexp.errors import ConfigError, PoolError
from shallowexp.pool.worker import Trained, now, order, train_order, trained, unlike
from shallowexp.provenance import versions
from shallowexp.training.job import Failure, Job

if TYPE_CHECKING:
    from distributed import Client

AHEAD = 2  # batches in flight for each that is being trained, so that no worker waits for this process
PATIENCE = 10.0  # seconds without a result after which a pool without workers is reported
DEADLY = "the process that trains it dies, each time, and nothing else is trained then"


class ToTrain(Protocol):
    """Whatever a network is trained for."""

    @property
    def job(self) -> Job: ...


T = TypeVar("T", bound=ToTrain)


class Pool(Protocol):
    """Trains batches."""

    def slots(self) -> int | None:
        """How many batches it trains at once; None: one after the other, on this process's threads."""

    def train(self, batches: Iterable[list[T]]) -> Iterator[tuple[list[T], Trained]]:
        """Each batch once it is trained, whole or in parts, as they end."""


@contextmanager
def opened(workers: Workers) -> Iterator[Pool]:
    """Raises ConfigError for what cannot be a pool, and PoolError where there is no scheduler."""
    for name, value in (("scheduler", workers.scheduler), ("executor", workers.executor)):
        require(f"hydra.launcher.{name}", value, value != "", "an address or a name, or null for none")
    if workers.scheduler and workers.executor:
        raise ConfigError("hydra.launcher.scheduler and hydra.launcher.executor are two ways: choose one")
    if workers.scheduler:
        with _dask(workers.scheduler, workers.threads or 1) as pool:
            yield pool
    elif workers.executor:
        pool = _named(workers.executor, workers.workers or os.cpu_count() or 1, workers.threads or 1)
        try:
            yield pool
        finally:
            pool.close()
    else:
        yield Here(workers.threads)


@dataclass(frozen=True)
class Here:
    """The calling thread, so that Ctrl-C reaches it at once; the compiled kernel uses threads of its own."""

    threads: int | None

    def slots(self) -> None:
        return None

    def train(self, batches: Iterable[list[T]]) -> Iterator[tuple[list[T], Trained]]:
        for batch in batches:
            yield batch, trained([network.job for network in batch], self.threads)


@dataclass
class Elsewhere:
    """Processes behind an executor."""

    name: str  # in messages
    open: Callable[[], Executor]
    slots: Callable[[], int]
    threads: int  # for each batch
    prepare: Callable[[Job], None] = lambda _: None  # what is done with the first job before it is trained
    died: type[Exception] = BrokenExecutor  # what comes of a batch whose worker died
    flying: dict["Future[Trained]", list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.executor = self.open()

    def train(self, batches: Iterable[list[T]]) -> Iterator[tuple[list[T], Trained]]:
        suspects: list[list[T]] = []
        for number, batch in enumerate(batches):
            if not number:
                self.prepare(batch[0].job)
            self._submit(batch)
            while len(self.flying) >= AHEAD * max(self.slots(), 1):
                yield from self._ended(suspects)
        while self.flying:
            yield from self._ended(suspects)
        while suspects:
            yield from self._alone(suspects)

    def _alone(self, suspects: list[list[T]]) -> Iterator[tuple[list[T], Trained]]:
        """The last suspect, and nothing beside it."""
        batch, killed = suspects.pop(), list[list[T]]()
        self._submit(batch)
        while self.flying:
            yield from self._ended(killed)
        if killed and len(batch) > 1:
            suspects += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
        elif killed:
            yield batch, Trained([Failure(DEADLY)], now(), now(), {})

    def _submit(self, batch: list[Any]) -> None:
        task = partial(train_order, versions(), order([network.job for network in batch], self.threads))
        try:
            future = self.executor.submit(task)
        except BrokenExecutor:  # where one worker's death ends them all
            self.executor = self.open()
            future = self.executor.submit(task)
        self.flying[future] = batch

    def _ended(self, suspects: list[list[T]]) -> Iterator[tuple[list[T], Trained]]:
        """Waits for batches to end; those whose worker died become suspects."""
        done, _ = wait(self.flying, PATIENCE, FIRST_COMPLETED)
        if not done and not self.slots():
            print(f"{self.name} has no worker: waiting for one", file=sys.stderr, flush=True)
        for future in sorted(done, key=lambda each: each.cancelled() or each.exception() is not None):  # a fault last
            batch = self.flying.pop(future)
            try:
                made = future.result()
            except self.died:
                suspects.append(batch)
            except CancelledError:
                raise self._fault("was lost") from None
            except PoolError as error:
                raise self._fault(str(error)) from None
            except Exception as error:
                raise self._fault(f"could not train a batch: {type(error).__name__}: {error}") from error
            else:
                yield batch, made

    def _fault(self, what: str) -> PoolError:
        return PoolError(f"{self.name} {what}. What was trained is tracked: the same command resumes the sweep.")

    def close(self) -> None:
        for future in self.flying:
            future.cancel()
        self.executor.shutdown(wait=False)


def _named(dotted: str, slots: int, threads: int) -> Elsewhere:
    """What a dotted name gives when it is called: an executor."""
    try:
        pool = Elsewhere(f"hydra.launcher.executor={dotted}", resolve_name(dotted), lambda: slots, threads)
    except Exception as error:
        raise ConfigError(
            f"hydra.launcher.executor={dotted} cannot be called without arguments: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(pool.executor, Executor):
        kind = type(pool.executor).__name__
        raise ConfigError(f"hydra.launcher.executor={dotted} gives a {kind}; expected a concurrent.futures.Executor")
    return pool


def _compare(client: "Client", workers: list[str], pool: Elsewhere) -> None:
    """Raises PoolError where one of these workers cannot train, or not the same; of one that dies meanwhile its batch tells."""

    def asked(function: Callable[..., Any], *arguments: str) -> dict[str, Any]:
        """The answers of those that live."""
        found = client.run(function, *arguments, workers=workers, on_error="return")
        living = {worker: answer for worker, answer in found.items() if not isinstance(answer, OSError)}
        for worker, answer in living.items():
            if isinstance(answer, Exception):
                lacks = f"without shallowexp {__version__} and what it needs ({worker})"
                raise pool._fault(f"has a worker {lacks}: {answer}")
        return living

    asked(resolve_name, f"{train_order.__module__}:{train_order.__name__}")
    for worker, answer in asked(versions).items():
        if differ := unlike(versions(), answer):
            raise pool._fault(f"has a worker ({worker}) with {differ}")


@contextmanager
def _dask(address: str, threads: int) -> Iterator[Elsewhere]:
    """Its TLS settings, timeouts and the like are Dask's own configuration."""
    try:
        from distributed import Client, KilledWorker, Security
        from distributed.comm.core import connect
        from distributed.versions import VersionMismatchWarning
    except ImportError as error:
        raise ConfigError(f"hydra.launcher.scheduler needs `pip install 'shallowexp[cluster]'`: {error}") from None
    for logger in ("distributed", "distributed.client"):  # of what they report PoolError is made
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)  # those that matter are compared here
    name = f"hydra.launcher.scheduler={address}"

    async def reach() -> None:
        await (await connect(address, **Security().get_connection_args("client"))).close()

    try:
        with ThreadPoolExecutor(1) as beside:  # a notebook's own thread has a loop already
            beside.submit(lambda: asyncio.run(reach())).result()
        client = Client(address, set_as_default=False)  # one that cannot connect writes a traceback when it is deleted
    except Exception as error:  # of addresses, certificates and connections Dask raises all kinds
        raise PoolError(f"{name} cannot be reached: {error}") from None

    asked: set[str] = set()

    def slots() -> int:
        """Of all workers, each of which is asked once what it has: what it cannot import would end its connection."""
        try:
            there = client.nthreads()
            if new := [*there.keys() - asked]:
                _compare(client, new, pool)
        except OSError:
            raise pool._fault("was lost") from None
        asked.update(new)
        return sum(there.values())

    def prepare(job: Job) -> None:
        """The kernel is compiled by one worker of each host, before the others need it."""
        hosts = {worker.rpartition(":")[0]: worker for worker in client.nthreads()}
        if job.engine == "compiled":
            first = order([replace(job, steps=1, log_steps=(1,), weights=False)], 1)
            with suppress(OSError):  # a fault comes again with its batch
                client.run(train_order, versions(), first, workers=[*hosts.values()], on_error="ignore")

    with client:
        pool = Elsewhere(name, partial(client.get_executor, pure=False), slots, threads, prepare, KilledWorker)
        try:
            yield pool
        finally:
            pool.close()
