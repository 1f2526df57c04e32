"""Fields: what a pixel costs beside the kernel alone, what a step costs beside its samples, whole commands.

All of one field: the flower, four tanh units, 200 steps, float32.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np

from benchmarks.goals import FIELD, FIXED, FRAME, MILLION, PREVIEW
from benchmarks.sweeps import SHALLOWEXP, EmptyStore, measured, row
from shallowexp.config.composition import Workers, compose_one
from shallowexp.fields.plan import Plan, to_plan
from shallowexp.fields.training import Canvas, networks, trained
from shallowexp.network.data import Flower
from shallowexp.pool.pool import opened
from shallowexp.training import kernel
from shallowexp.training.job import Job

TILES = 8  # of 1,024 pixels
SAMPLES = (100, 200, 400, 800)
STEPS = 2000  # and twice as many, where a step is timed


def field() -> Plan:
    return to_plan(*compose_one(["+field=trainability"]))


def pixels(rounds: int) -> list[dict]:
    """The same tiles by the kernel alone and as a field has them: planned, trained, measured, put in their places."""
    plan = field()
    tiles = [*islice(plan.tiles, TILES)]
    alone = [[pixel.job for pixel in networks(plan, tile)] for tile in tiles]
    count = sum(map(len, tiles))

    def by_the_kernel() -> None:
        for jobs in alone:
            kernel.train_batch(jobs)

    def in_a_field() -> None:
        canvas = Canvas(plan)
        with opened(Workers()) as pool:
            for batch, made in pool.train(networks(plan, tile, number) for number, tile in enumerate(tiles)):
                canvas.put(*trained(plan, batch, made))
        assert canvas.trained.sum() == count

    by_the_kernel()  # compiles
    times = np.array([[_microseconds(way) / count for way in (by_the_kernel, in_a_field)] for _ in range(rounds)])
    return [
        row(FIELD, "kernel alone", times[:, 0].tolist(), "µs a pixel"),
        row(FIELD, "as a field", times[:, 1].tolist(), "µs a pixel"),
        row(FIELD, FRAME, (times[:, 1] / times[:, 0]).tolist(), "x"),
    ]


def steps(rounds: int) -> list[dict]:
    """A step's cost beside its samples': where the line through its times over the number of samples begins."""
    job = field().job(100, 100)
    found = []
    for _ in range(rounds):
        times = [_step(replace(job, data=Flower(samples=m))) for m in SAMPLES]
        slope, fixed = np.polyfit(SAMPLES, times, 1)
        found.append((fixed, 1000 * slope / job.hidden_size))
    fixed, slope = np.transpose(found).tolist()
    return [row(FIELD, FIXED, fixed, "µs a step"), row(FIELD, "a unit and sample", slope, "ns a step")]


def _step(job: Job) -> float:
    """Microseconds of a step, all cores training."""

    def of(steps: int) -> float:
        jobs = [replace(job, seed=seed, steps=steps, log_steps=(steps,), weights=False) for seed in range(64)]
        return _microseconds(lambda: kernel.train_batch(jobs)) / len(jobs)

    return (of(2 * STEPS) - of(STEPS)) / STEPS


def _microseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return 1e6 * (time.perf_counter() - start)


def commands(rounds: int) -> list[dict]:
    return [*command(60, PREVIEW, rounds), *command(1000, MILLION, 1)]


def command(side: int, what: str, rounds: int) -> list[dict]:
    """A whole command, with a store that is there and a kernel that is compiled."""
    took = []
    for _ in range(rounds):
        with EmptyStore() as folder:
            size = [f"field.width={side}", f"field.height={side}"]
            took.append(measured([SHALLOWEXP, "+field=trainability", *size], folder))
    memory = round(max(one.memory for one in took))
    return [row(FIELD, what, [one.seconds for one in took], "s", memory_mib=memory)]


def rows(rounds: int) -> list[dict]:
    return [*pixels(rounds), *steps(rounds), *commands(rounds)]
