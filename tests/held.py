"""A sweep that stands still, so that a test can stop it, or its store, at a moment of its own choosing.

It has two batches: its runs are to take so many steps that there is one for each core in a batch, and diverge within a few.
Those of the second wait for a file `go` in the working directory.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from time import sleep

from shallowexp.network.initializers import Parameters, Random

CORES = os.cpu_count()
RUNS = 2 * CORES
FIRST = 1000  # of the seeds that wait
INIT = "init._target_=tests.held.Held"
SWEEP = (
    "shallowexp", "-m", INIT, f"seed=range({FIRST - CORES},{FIRST + CORES})", "log.points=3", "data=diabetes",
    "train.learning_rate=1e6", "train.steps=2000000000",
)  # fmt: skip


@dataclass(frozen=True)
class Held(Random):
    """Leaves a file `begun-<seed>` where a network's training begins."""

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        if current_thread() is not main_thread():  # in the kernel's pool, not where the weights' shapes are checked
            Path(f"begun-{seed}").touch()
            while seed >= FIRST and not Path("go").exists():
                sleep(0.01)
        return super().__call__(n_x, n_h, n_y, seed)
