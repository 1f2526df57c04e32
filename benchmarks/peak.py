"""How many multiply-adds the processor does at most: on both cores, from registers alone, in the widest vectors that there are."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np
from numba import njit

from benchmarks.goals import PEAK
from shallowexp.training.kernel_arithmetic import SAFE, full_width

ROUNDS, LONG = 8, 512  # multiply-adds of each number between a load and a store; numbers in a row
REPEATS = 20_000
OFTEN = 5  # times the rounds of other benchmarks
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
    """Nanoseconds of a multiply-add, all cores at it; the least of many rounds, since virtual cores may share a real one for a while."""
    times: dict[str, list[float]] = {"float32": [], "float64": []}
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(1 + OFTEN * rounds):
            for dtype, each in times.items():
                each.append(_round(pool, dtype))
    found = []
    for dtype, (_, *each) in times.items():  # the first compiles
        spread = {"median": median(each), "min": min(each), "max": max(each), "rounds": len(each)}
        found.append({"benchmark": PEAK, "what": dtype, **spread, "unit": "ns", "threads": THREADS})
    return found


def _round(pool: ThreadPoolExecutor, dtype: str) -> float:
    real = np.dtype(dtype).type
    rows = [np.ones((2, LONG), dtype) for _ in range(THREADS)]
    start = time.perf_counter()
    list(pool.map(lambda X: multiply_adds(X, real(0.5), real(0.5), REPEATS), rows))
    return (time.perf_counter() - start) / (THREADS * 2 * LONG * ROUNDS * REPEATS) * 1e9
