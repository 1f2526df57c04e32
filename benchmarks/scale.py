"""`python -m benchmarks.scale`: what limits a sweep on many workers, in Markdown for docs/scale.md.

The costs of a run, a batch and a byte are measured here as processor time, which a busy machine disturbs least; a simulation of
the three that are met in turn (workers, Dask's scheduler, the launching process) then says how far more workers help. What two
real workers reach is measured as time, with nothing else on the machine.
"""

import pickle
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, chdir
from heapq import heapify, heappop, heappush
from pathlib import Path
from statistics import median
from typing import NamedTuple

from distributed import Client

from benchmarks.sweeps import _composed
from shallowexp.config.composition import Workers
from shallowexp.config.runs import Run, plan
from shallowexp.pool.pool import AHEAD, opened
from shallowexp.pool.worker import order, trained
from shallowexp.sweeps.batches import POOL_RUNS, POOL_SECONDS, batches, records
from shallowexp.tracking.store import Store
from tests.pool.cluster import cluster
from tests.servers import free_port, postgresql

ROUNDS = 3
RUNS = 300  # whose costs are measured; twice as many for each thread that trains them alone
PLANNED = 1000
WORKERS = (1, 2, 4, 8, 16, 32, 64, 256, 1024)
KINDS = {"a default run": 1.0, "ten times as long": 10.0, "a thousand times": 1000.0}
THREAD, THREADS = "one thread of the launching process", "two of them"
ONE, TWO = "one Dask worker of one thread", "two such workers"
BATCHES = 20  # that each worker trains in the simulation


class Costs(NamedTuple):
    """Seconds of processor time, and bytes."""

    run: float  # of one core, trained
    planned: float  # composed, checked, with its fingerprint
    collected: float  # its result, unpickled and made a record
    written: float  # into SQLite
    batch: float  # submitted and collected by the launching process, beside its runs
    scheduled: float  # a batch, by the scheduler
    carried: float  # a byte of results, by the scheduler
    job_bytes: float
    result_bytes: float
    row_bytes: float  # in the database

    def launcher(self, runs: int) -> float:
        """What a batch takes of the launching process, whose threads share one core."""
        return self.batch + runs * (self.collected + self.written)


def measure() -> tuple[Costs, float]:
    """The costs, and the seconds to write a run into PostgreSQL."""
    many, planned = timed(lambda: plan((job.config, job.choices) for job in _composed([f"seed=range({PLANNED})"])))
    runs = many[:RUNS]
    trained([runs[0].job])  # the kernel is compiled
    made, run = timed(lambda: trained([run.job for run in runs], 1))
    data, sent = pickle.dumps(made), order([run.job for run in runs], 1)
    rows, collected = timed(lambda: records(runs, pickle.loads(data)))
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        sqlite = write("sqlite:///mlflow.db", rows)
        row_bytes = Path("mlflow.db").stat().st_size / (ROUNDS * RUNS)
        with postgresql() as uri:
            postgres = write(uri, rows)
        with cluster(Path(folder), free_port()) as dask, Client(dask.address, set_as_default=False) as client:
            small, large = through(client, len, [sent] * 200), through(client, bytes, [5_000_000] * 20)
    carried = max(large.scheduler - small.scheduler, 0.0) / 5_000_000
    sizes = len(sent) / RUNS, len(data) / RUNS, row_bytes
    costs = (
        run / RUNS,
        planned / PLANNED,
        collected / RUNS,
        sqlite / RUNS,
        small.launcher,
        small.scheduler,
        carried,
        *sizes,
    )
    return Costs(*costs), postgres / RUNS


class Took(NamedTuple):
    launcher: float
    scheduler: float


def through(client: Client, function: Callable, arguments: Sequence) -> Took:
    """Processor time of the two for each task, sent and come back."""
    executor = client.get_executor(pure=False)
    before = client.run_on_scheduler(time.process_time)
    _, launcher = timed(lambda: wait([executor.submit(function, each) for each in arguments]))
    scheduler = client.run_on_scheduler(time.process_time) - before
    return Took(launcher / len(arguments), scheduler / len(arguments) / ROUNDS)


def write(uri: str, rows: Sequence) -> float:
    store = Store.open(uri)
    experiment_id = store.experiment("scale")
    return timed(lambda: store.write(experiment_id, rows))[1]


def timed(function: Callable) -> tuple:
    """What it returns, and its processor time: the least of some rounds."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        result = function()
        found.append(time.process_time() - start)
    return result, min(found)


def trained_alone() -> dict[str, float]:
    """Runs a second without a row written, the median of some rounds in turn, for each who trains."""
    runs = plan((job.config, job.choices) for job in _composed([f"seed=range({4 * RUNS})"]))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        one, two = (stack.enter_context(cluster(Path(folder) / str(n), free_port(), n)).address for n in (1, 2))
        alone, both = runs[: 2 * RUNS], runs
        who = {
            THREAD: (Workers(1), alone),
            THREADS: (Workers(2), both),
            ONE: (Workers(scheduler=one), alone),
            TWO: (Workers(scheduler=two), both),
        }
        for workers, _ in who.values():
            seconds(runs[:RUNS], workers)  # the kernel is loaded
        rounds = [
            {name: len(own) / seconds(own, workers) for name, (workers, own) in who.items()} for _ in range(ROUNDS)
        ]
    return {name: median(each[name] for each in rounds) for name in who}


def seconds(runs: Sequence[Run], workers: Workers) -> float:
    with opened(workers) as pool:
        start = time.perf_counter()
        for _ in pool.train(batches(runs, pool.slots())):
            pass
        return time.perf_counter() - start


def throughput(costs: Costs, longer: float, workers: int) -> tuple[float, str]:
    """Runs a second, and which of the three is busiest."""
    run = costs.run * longer
    runs = max(1, min(POOL_RUNS, round(POOL_SECONDS / run)))
    scheduler = costs.scheduled + costs.carried * runs * costs.result_bytes
    stages = {
        "workers": (workers, runs * run),
        "scheduler": (1, scheduler),
        "launching process": (1, costs.launcher(runs)),
    }
    seconds, busy = simulate(list(stages.values()), AHEAD * workers, BATCHES * workers)
    share = dict(zip(stages, busy, strict=True))
    return runs * BATCHES * workers / seconds, max(share, key=share.__getitem__)


def simulate(stages: Sequence[tuple[int, float]], window: int, batches: int) -> tuple[float, list[float]]:
    """Seconds until so many batches went through stages of (servers, seconds for each), and each stage's share of being busy."""
    rng, ended, last = random.Random(0), 0, 0.0
    free = [[0.0] * servers for servers, _ in stages]
    busy = [0.0] * len(stages)
    arrivals = [(0.0, batch, 0) for batch in range(window)]
    heapify(arrivals)
    while ended < batches:
        arrival, batch, stage = heappop(arrivals)
        took = stages[stage][1] * rng.uniform(0.7, 1.3)
        last = max(arrival, heappop(free[stage])) + took
        heappush(free[stage], last)
        busy[stage] += took / stages[stage][0]
        ended += stage == len(stages) - 1
        heappush(arrivals, (last, batch, (stage + 1) % len(stages)))
    return last, [share / last for share in busy]


def page(costs: Costs, postgres: float) -> Iterable[str]:
    yield "| what | processor time, or size |\n| --- | --- |"
    yield f"| a default run, trained on one core | {1e3 * costs.run:.1f} ms |"
    yield f"| a run composed, checked and with its fingerprint, before the first is trained | {1e3 * costs.planned:.2f} ms |"
    yield f"| a run's result unpickled and made a record | {1e3 * costs.collected:.2f} ms |"
    yield f"| a run written into SQLite | {1e3 * costs.written:.2f} ms |"
    yield f"| a run written into PostgreSQL, without the server's part | {1e3 * postgres:.2f} ms |"
    yield f"| a batch sent and collected, by the launching process | {1e3 * costs.batch:.2f} ms |"
    yield f"| a batch, by Dask's scheduler | {1e3 * costs.scheduled:.2f} ms |"
    yield f"| a megabyte of results, by Dask's scheduler | {1e9 * costs.carried:.2f} ms |"
    yield f"| a run on its way to a worker; its result | {costs.job_bytes:.0f} B; {1e-3 * costs.result_bytes:.1f} kB |"
    yield f"| a run in SQLite | {1e-3 * costs.row_bytes:.0f} kB |\n"
    yield (
        "| workers | " + " | ".join(f"{kind}: runs/s, limit" for kind in KINDS) + " |\n| --- |" + " --- |" * len(KINDS)
    )
    for workers in WORKERS:
        found = [throughput(costs, longer, workers) for longer in KINDS.values()]
        yield f"| {workers} | " + " | ".join(f"{rate:,.3g}, {limit}" for rate, limit in found) + " |"


def frame(rates: Mapping[str, float]) -> Iterable[str]:
    yield "\n| who trains, and nobody writes | default runs a second |\n| --- | --- |"
    yield from (f"| {who} | {rate:.1f} |" for who, rate in rates.items())
    yield f"\nTwo workers train {rates[TWO] / rates[ONE]:.2f} times as many runs a second as one (goal: at least 1.7), where two threads do"
    yield f"{rates[THREADS] / rates[THREAD]:.2f} times as many as one. They take {rates[THREADS] / rates[TWO] - 1:.0%} more time than the"
    yield "threads (goal: at most 15%)."


def main() -> None:
    for line in (*page(*measure()), *frame(trained_alone())):
        print(line)


if __name__ == "__main__":
    main()
