"""Whole sweeps: end to end beside the ordinary way, growth with the number of runs, where the time goes, tracking, start-up.

Every measured command is a process of its own, in a folder of its own with an empty store that is already there, so that
start-up counts and making a database does not.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import mlflow
import numpy as np
from hydra.types import RunMode

from benchmarks.goals import END_TO_END, GROWTH, HELP, ORDINARY, PARTS, START_UP, TRACKING
from shallowexp.config.composition import _parse, compose, config_loader, united_products
from shallowexp.config.runs import plan
from shallowexp.sweeps.batches import batches, train_batch
from shallowexp.tracking.client import ClientBackend
from shallowexp.tracking.store import Store
from shallowexp.training.engines import train

SHALLOWEXP = str(Path(sys.executable).parent / "shallowexp")
FLUENT = str(Path(__file__).with_name("fluent.py"))
SWEEP = [
    "activation=sigmoid,tanh,relu",
    "init=zero,random",
    "hidden_size=2,4,8,16",
    "train.steps=2000",
    "log.points=20",
]
RUNS, SEEDS = 480, 20
SLICES = {6: ["hidden_size=4", "seed=range(1)"], 24: ["hidden_size=4", "seed=range(4)"]}  # of them, for the slow way
SIZES = (30, 300, 3000, 10000)
THREADS = len(os.sched_getaffinity(0))


class EmptyStore:
    """A folder with an empty default store."""

    template = Path(tempfile.mkdtemp(prefix="shallowexp-bench-")) / "mlflow.db"

    def __enter__(self) -> Path:
        if not self.template.exists():
            Store.open(f"sqlite:///{self.template}")
        self.folder = Path(tempfile.mkdtemp(prefix="shallowexp-bench-"))
        shutil.copy(self.template, self.folder / "mlflow.db")
        return self.folder

    def __exit__(self, *exception):
        shutil.rmtree(self.folder)


class Took(NamedTuple):
    seconds: float
    memory: float  # MiB, at its peak
    processor: float  # seconds of it


def measured(command: list[str], folder: Path, uri: str | None = None) -> Took:
    """What a process takes, which must succeed; its store is the one in the folder, or at `uri`."""
    start = time.perf_counter()
    environment = os.environ | {"MLFLOW_TRACKING_URI": uri or f"sqlite:///{folder / 'mlflow.db'}"}
    quiet = [(os.POSIX_SPAWN_OPEN, n, "/dev/null", os.O_WRONLY, 0) for n in (1, 2)]
    here = os.getcwd()
    os.chdir(folder)
    process = os.posix_spawn(command[0], command, environment, file_actions=quiet)
    os.chdir(here)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return Took(time.perf_counter() - start, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def finals(folder: Path, experiment: str) -> dict[tuple, list[float]]:
    """The first losses of every run, by what was asked for: equal up to rounding in both ways."""
    store = Store.open(f"sqlite:///{folder / 'mlflow.db'}")
    experiment_id = store.client.get_experiment_by_name(experiment).experiment_id
    mlflow.set_tracking_uri(store.uri)
    runs = mlflow.search_runs([experiment_id], "params.seed != ''", max_results=50_000)
    keys = [f"params.{name}" for name in ("activation", "init", "hidden_size", "seed")]
    history = store.client.get_metric_history
    return {
        tuple(run[keys]): [point.value for point in history(run.run_id, "train/loss") if point.step <= 10]
        for _, run in runs.iterrows()
    }


def end_to_end(rounds: int) -> list[dict]:
    """480 runs with shallowexp; 6 and 24 of them the ordinary way, whose start-up is then counted once."""
    ours, theirs = [], []
    for _ in range(rounds):
        with EmptyStore() as folder:
            took = measured([SHALLOWEXP, "-m", *SWEEP, f"seed=range({SEEDS})"], folder)
            ours.append(took.seconds)
            losses = finals(folder, "shallowexp")
        few, more = (fluent(arguments, losses) for arguments in SLICES.values())
        each = (more - few) / 18
        theirs.append((more + (RUNS - 24) * each, more * RUNS / 24))
    once, scaled = zip(*theirs, strict=True)
    return [
        row(END_TO_END, "shallowexp", ours, "s", memory_mib=round(took.memory)),
        row(END_TO_END, ORDINARY, once, "s"),
        row(END_TO_END, "ratio", [b / a for a, b in zip(ours, once, strict=True)], "x"),
        row(END_TO_END, "24 of them, simply times 20", scaled, "s"),
        row(END_TO_END, "ratio to that", [b / a for a, b in zip(ours, scaled, strict=True)], "x"),
    ]


def fluent(arguments: list[str], expected: dict[tuple, list[float]]) -> float:
    """Seconds of some of the runs, whose losses must be those expected."""
    basic = ["-m", "hydra/launcher=basic", "hydra/sweeper=basic", "train.engine=numpy", *SWEEP, *arguments]
    with EmptyStore() as folder:
        took = measured([sys.executable, FLUENT, *basic], folder)
        for key, losses in finals(folder, "fluent").items():
            np.testing.assert_allclose(losses, expected[key], rtol=1e-9)
    return took.seconds


def growth(rounds: int) -> list[dict]:
    """Seconds and peak memory against the number of runs of 200 steps."""
    found = []
    for runs in SIZES:
        seconds, memory = [], 0.0
        for _ in range(rounds if runs <= 300 else 1):
            with EmptyStore() as folder:
                arguments = [SHALLOWEXP, "-m", "hidden_size=2,4,8", f"seed=range({runs // 3 + (runs % 3 > 0)})"]
                took = measured([*arguments, "train.steps=200"], folder)
                seconds, memory = [*seconds, took.seconds], max(memory, took.memory)
        each = {"memory_mib": round(memory), "ms_per_run": 1000 * median(seconds) / runs}
        found.append(row(GROWTH, f"{runs} runs", seconds, "s", **each))
    return found


def shares() -> list[dict]:
    """Where the time of the 480 runs goes, in this process, one part after the other."""
    parts: dict[str, float] = {}

    def timed(name: str, function: Callable):
        start = time.perf_counter()
        result = function()
        parts[name] = parts.get(name, 0) + time.perf_counter() - start
        return result

    composed = timed("composition", lambda: _composed([*SWEEP, f"seed=range({SEEDS})"]))
    runs = timed("composition", lambda: plan((job.config, job.choices) for job in composed))
    train([runs[0].job])  # the kernel is compiled
    records = []
    for batch in batches(runs):  # in turn, so that what slows the machine slows both
        timed("training", lambda batch=batch: train([_without_diagnostics(run.job) for run in batch]))
        records.append(timed("diagnostics", lambda batch=batch: train_batch(batch)))
    parts["diagnostics"] -= parts["training"]
    with EmptyStore() as folder:
        store = Store.open(f"sqlite:///{folder / 'mlflow.db'}")
        experiment_id = store.experiment("shares")
        for batch, _ in records:
            timed("tracking", lambda batch=batch: store.write(experiment_id, batch))
    total = sum(parts.values())
    return [
        {"benchmark": PARTS, "what": name, "median": 100 * value / total, "unit": "%"} for name, value in parts.items()
    ]


def tracking(rounds: int) -> list[dict]:
    """A run of 8 metrics x 20 points in SQLite: in bulk, and through MlflowClient.log_batch."""
    runs = plan((job.config, job.choices) for job in _composed(["seed=range(100)", "train.steps=50", "log.points=20"]))
    records, _ = train_batch(runs)
    records = [_eight_by_twenty(record) for record in records]
    bulk, client = zip(*(_one_round_of_tracking(records) for _ in range(rounds)), strict=True)
    return [
        row(TRACKING, "in bulk", bulk, "ms a run"),
        row(TRACKING, "MlflowClient.log_batch", client, "ms a run"),
        row(TRACKING, "ratio", [median(client) / median(bulk)], "x"),
    ]


def _one_round_of_tracking(records: list) -> tuple[float, float]:
    """Milliseconds a run, in bulk and by the client."""
    with EmptyStore() as folder:
        store = Store.open(f"sqlite:///{folder / 'mlflow.db'}")
        slow = Store(store.uri, store.client, ClientBackend(store.client, store.uri))
        bulk, client = store.experiment("bulk"), store.experiment("client")
        times = (
            _milliseconds(lambda: store.write(bulk, records), len(records)),
            _milliseconds(lambda: slow.write(client, records[:20]), 20),
        )
        assert len(store.finished(bulk)) == len(records)
        assert len(store.finished(client)) == 20
    return times


def _milliseconds(function: Callable, runs: int) -> float:
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start) / runs


def _eight_by_twenty(record):
    names = list(record.metrics)[:8]
    steps = np.arange(20)
    return replace(record, steps=steps, metrics={name: np.linspace(0.1, 0.9, 20) for name in names}, artifacts={})


def _without_diagnostics(job):
    return replace(job, log_steps=(job.steps,), weights=False)


def _composed(overrides: list[str]):
    with config_loader() as loader:
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)
        return compose(loader, master, united_products(None, [_parse(override) for override in overrides]))


def row(benchmark: str, what: str, values: Sequence[float], unit: str, **more) -> dict:
    spread = {"median": median(values), "min": min(values), "max": max(values), "rounds": len(values)}
    return {"benchmark": benchmark, "what": what, **spread, "unit": unit, "threads": THREADS, **more}


def start_up(rounds: int) -> list[dict]:
    with EmptyStore() as folder:
        return [row(START_UP, HELP, [measured([SHALLOWEXP, "--help"], folder).seconds for _ in range(rounds)], "s")]


def rows(rounds: int) -> list[dict]:
    return [*end_to_end(rounds), *growth(rounds), *shares(), *tracking(rounds), *start_up(rounds)]
