"""Batches on an executor: the window, suspects, refusals; and how runs are cut into batches."""

import errno
import os
import pickle
import sys
from concurrent.futures import BrokenExecutor, CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from shallowexp import provenance
from shallowexp.config.composition import Workers, compose_run
from shallowexp.config.runs import Run, to_run
from shallowexp.errors import ConfigError, PoolError
from shallowexp.network.data import forget
from shallowexp.pool import worker
from shallowexp.pool.pool import AHEAD, DEADLY, Elsewhere, opened
from shallowexp.sweeps import batches as cutting
from shallowexp.sweeps.batches import batches, core_seconds
from shallowexp.training.engines import train_one
from shallowexp.training.job import Failure, Result

SLOTS = 3


def runs(n: int, **params: str) -> list[Run]:
    given = {"train.steps": "5", "train.engine": "numpy", "log.points": "3", **params}
    run = to_run(*compose_run(given))
    return [replace(run, job=replace(run.job, seed=seed)) for seed in range(n)]


class Broken(ThreadPoolExecutor):
    """Breaks as a process pool does where it is given a job with the fatal seed; counts what it is given."""

    opened, most, fatal, given = 0, 0, -1, []

    def __init__(self):
        super().__init__(SLOTS)
        Broken.opened += 1
        self.broken = False

    def submit(self, task):
        if self.broken:
            raise BrokenExecutor
        jobs = pickle.loads(task.args[1])[0]
        Broken.given.append([job.seed for job in jobs])
        if self.fatal in Broken.given[-1]:
            self.broken = True
            future = Future()
            future.set_exception(BrokenExecutor())
            return future
        return super().submit(task)


@pytest.fixture
def pool(monkeypatch):
    for name, value in (("opened", 0), ("fatal", -1), ("given", [])):
        monkeypatch.setattr(Broken, name, value)
    pool = Elsewhere("pool", Broken, lambda: SLOTS, 1)
    yield pool
    pool.close()


def ended(trained) -> dict[int, Result | Failure]:
    """Seed -> result."""
    pairs = [pair for batch, made in trained for pair in zip(batch, made.results, strict=True)]
    assert len({run.job.seed for run, _ in pairs}) == len(pairs)
    return {run.job.seed: result for run, result in pairs}


def failed(results: dict[int, Result | Failure]) -> dict[int, str]:
    return {seed: result.error for seed, result in results.items() if isinstance(result, Failure)}


def test_every_run_comes_back_with_the_bits_that_it_has_alone(pool):
    asked = runs(20)
    found = ended(pool.train(batches(asked, SLOTS)))
    assert len(found) == 20
    for run in asked:
        assert np.array_equal(found[run.job.seed].metrics, train_one(run.job).metrics, equal_nan=True)


def test_no_more_than_a_window_is_in_flight(pool):
    taken = 0

    def counted():
        nonlocal taken
        for run in asked:
            taken += 1
            yield [run]

    asked = runs(20)
    for n, _ in enumerate(pool.train(counted())):
        assert taken - n <= AHEAD * SLOTS
    assert taken == 20


@pytest.mark.parametrize("fatal", [0, 5, 6])
def test_what_kills_its_worker_is_halved_until_the_run_is_alone(pool, fatal):
    Broken.fatal = fatal
    found = ended(pool.train([runs(7)]))
    assert sorted(found) == [*range(7)]
    assert failed(found) == {fatal: DEADLY}
    assert Broken.given[:2] == [[*range(7)]] * 2
    assert [fatal] in Broken.given


def test_what_dies_beside_others_is_blamed_only_once_it_is_alone(pool):
    Broken.fatal = 2
    found = ended(pool.train([[run] for run in runs(4)]))
    assert sorted(found) == [*range(4)]
    assert failed(found) == {2: DEADLY}
    assert Broken.given.count([2]) == 2


@pytest.mark.parametrize(
    ("error", "said"), [(CancelledError(), "was lost"), (MemoryError("all gone"), "MemoryError: all gone")]
)
def test_any_other_end_of_a_batch_is_one_message(pool, error, said):
    class Ends(Broken):
        def submit(self, task):
            future = Future()
            future.set_exception(error)
            return future

    pool.executor = Ends()
    with pytest.raises(PoolError, match=f"^pool .*{said}.*the same command resumes"):
        next(pool.train([runs(1)]))


def test_what_ended_with_a_batch_that_could_not_be_trained_comes_back_before_the_fault(pool):
    class Bad(Broken):
        def submit(self, task):
            future = Future()
            if len(pool.flying):
                future.set_result(worker.train_order(*task.args))
            else:
                future.set_exception(MemoryError())
            return future

    pool.executor = Bad()
    trained, there = pool.train([[run] for run in runs(4)]), []
    with pytest.raises(PoolError):
        there.extend(batch[0].job.seed for batch, _ in trained)
    assert sorted(there) == [1, 2, 3]


@pytest.mark.parametrize("name", ["Python", "NumPy", "Numba", "shallowexp"])
def test_a_worker_with_another_version_refuses_and_names_both(name):
    theirs = provenance.versions() | {name: "0.0"}
    with pytest.raises(PoolError, match=rf"{name} {provenance.versions()[name]}, not 0.0: install the same") as error:
        worker.train_order(theirs, b"not even looked at")
    assert str(os.getpid()) in str(error.value)


def test_a_worker_that_has_no_room_is_named(monkeypatch):
    def full(jobs, threads):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker, "trained", full)
    with pytest.raises(PoolError, match=rf"has a worker \(process {os.getpid()} .*that cannot train: .*No space left"):
        worker.train_order(provenance.versions(), worker.order([run.job for run in runs(1)], 1))


def test_a_file_that_changed_since_it_was_planned_and_is_read_again_is_not_trained_on(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 20)
    (own,), (other,) = runs(1, data="csv", **{"data.path": str(path), "data.target": "y"}), runs(1)
    assert own.fingerprint and isinstance(worker.trained([own.job]).results[0], Result)
    path.write_text("a,b,y\n" + "5,2,0\n3,4,1\n" * 20)
    forget()  # as where a sweep's data sets are more than are kept
    refused, trained = worker.trained([own.job, other.job]).results
    assert refused == Failure(worker.CHANGED)
    assert worker.trained([own.job]).results == [refused]
    assert isinstance(trained, Result)


def test_a_worker_with_other_data_refuses_and_says_what_is_wrong_there(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 20)
    (run,) = runs(1, data="csv", **{"data.path": str(path), "data.target": "y"})
    ordered = worker.order([run.job], 1)
    assert worker.train_order(provenance.versions(), ordered).results[0].steps[-1] == 5
    path.unlink()
    with pytest.raises(PoolError, match="points.csv"):
        worker.train_order(provenance.versions(), ordered)


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (Workers(scheduler="tcp://127.0.0.1:1", executor="x.y"), "choose one"),
        (Workers(executor="nowhere.Pool"), "hydra.launcher.executor=nowhere.Pool cannot be called.*No module named"),
        (Workers(executor="builtins.dict"), "gives a dict; expected a concurrent.futures.Executor"),
        (Workers(executor="pickle.dumps"), "cannot be called without arguments: TypeError"),
    ],
)
def test_what_is_no_pool_is_refused(workers, said):
    with pytest.raises(ConfigError, match=said), opened(workers):
        pass


def test_a_batch_for_workers_is_ten_seconds_work_or_less_so_that_all_get_some():
    long = [replace(run, job=replace(run.job, steps=50_000)) for run in runs(40)]
    size, *others, _ = [len(batch) for batch in batches(long, slots=2)]
    assert {*others} == {size}
    each = core_seconds(long[0])
    assert (size - 1) * each < cutting.POOL_SECONDS <= size * each < 15
    assert {len(batch) for batch in batches(runs(40), slots=5)} <= {1, 2, 3}
    assert sum(len(batch) for batch in batches(runs(40), slots=0)) == 40
    assert max(map(len, batches(runs(1) * 6000, slots=1))) <= cutting.POOL_RUNS


def test_a_worker_that_has_not_a_users_module_says_which_and_where(tmp_path, monkeypatch):
    (tmp_path / "mine_alone.py").write_text("class Mine: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    ordered = pickle.dumps(([import_module("mine_alone").Mine()], [""], 1))
    monkeypatch.delitem(sys.modules, "mine_alone")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(tmp_path)])
    with pytest.raises(PoolError, match=r"has a worker .*: No module named 'mine_alone'; PYTHONPATH there"):
        worker.train_order(provenance.versions(), ordered)


@pytest.mark.parametrize("name", ["scheduler", "executor"])
def test_an_empty_address_is_refused_rather_than_taken_for_none(name):
    with pytest.raises(ConfigError, match=f"hydra.launcher.{name}=.*or null for none"), opened(Workers(**{name: ""})):
        pass
