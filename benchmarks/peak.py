"""How many multiply-adds the processor does at most: on both cores, from registers alone, in the widest vectors that there are."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from statistics import median

import numpy as np
from numba import njit

from benchmarks.goals import PEAK
from shallowexp.training.kernel_arithmetic import SAFE, full_width

ROUNDS, LONG = 8, 512  # multiply-adds of each number between a load and a store; numbers in a row
REPEATS = 20_000
THREADS = len(os.sched_getaffinity(0))


@njit(nogil=True, error_model="numpy", fastmath=SAFE)
def multiply_adds(X: np.ndarray, a: float, b: float, repeats: int) -> None:
    """x := a x + b, again and again, for two rows of numbers side by side."""
    full_width()
    for _ in range(repeats):
        for s in range(X.shape[1]):
            x, y = X[0, s], X[1, s]
            for _ in range(ROUNDS):
                x, y = a * x + b, a * y + b
            X[0, s], X[1, s] = x, y


def rows(rounds: int) -> list[dict]:
    """Nanoseconds of a multiply-add, all cores at it."""
    found = []
    for dtype in ("float32", "float64"):
        real = np.dtype(dtype).type
        work = [(np.ones((2, LONG), dtype), real(0.5), real(0.5)) for _ in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            times = [_round(pool, work, REPEATS) for _ in range(1 + rounds)][1:]  # the first compiles
        each = [seconds / (THREADS * 2 * LONG * ROUNDS * REPEATS) * 1e9 for seconds in times]
        spread = {"median": median(each), "min": min(each), "max": max(each), "rounds": rounds}
        found.append({"benchmark": PEAK, "what": dtype, **spread, "unit": "ns", "threads": THREADS})
    return found


def _round(pool: ThreadPoolExecutor, work: list, repeats: int) -> float:
    start = time.perf_counter()
    list(pool.map(lambda arrays, n: multiply_adds(*arrays, n), work, repeat(repeats)))
    return time.perf_counter() - start
