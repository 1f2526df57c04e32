"""`python -m tests.torture [ROW ...]`: every row of docs/reliability.md's table, or those named, tried and, if whole, written into it.

A trial disturbs a command, gives it again and compares what is there with what an undisturbed command leaves.
"""

import os
import re
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from shallowexp.tracking.store import Store
from tests.commands import ROOT, ForkServer
from tests.torture import crashes
from tests.torture.crashes import LOST, SCENARIOS, TWICE, AtOnce, Deaths, RandomDeaths, Torture
from tests.torture.places import Disk, Locked

PAGE = ROOT / "docs" / "reliability.md"
MEMORY = Path("/dev/shm")  # a disk that writes at once: a fifth of the time is saved
ROWS: dict[str, tuple[Callable[..., Torture], crashes.Scenario]] = {
    f"{scenario.name}: {by} at each write event": (partial(Deaths, by), scenario)
    for scenario in SCENARIOS for by in ("KILL", "TERM", "INT")
}  # fmt: skip
ROWS |= {
    f"{scenario.name}: the clock set back an hour at each write event": (partial(Deaths, "clock"), scenario)
    for scenario in SCENARIOS[1:]
}
ROWS["a sweep: HUP at each write event"] = partial(Deaths, "HUP"), crashes.SMALL_SWEEP
ROWS["a sweep: its terminal closed at each write event"] = partial(Deaths, "terminal"), crashes.SMALL_SWEEP
for scenario in (*SCENARIOS[:4], crashes.OVERLAPPING, crashes.FIELD):
    ROWS[f"{scenario.name}: begun at once, in twos and fours"] = AtOnce, scenario
ROWS["a sweep of 300 runs: three signals at random moments"] = RandomDeaths, crashes.LARGE
for scenario, step in ((crashes.FRESH, 32), (crashes.SMALL_SWEEP, 8), (crashes.FIELD, 8)):
    ROWS[f"{scenario.name}: disk full, at every {step} KiB"] = partial(Disk, "size", 1024 * step), scenario
    ROWS[f"{scenario.name}: no inodes, at each number"] = partial(Disk, "nr_inodes", 1), scenario
    ROWS[f"{scenario.name}: disk read-only"] = partial(Disk, "ro", 1), scenario
ROWS["a sweep: the database held by another program for a minute"] = Locked, crashes.SMALL_SWEEP


class Here(threading.local):
    """A thread's own processes and folders."""

    def __init__(self) -> None:
        self.server, self.tortures = ForkServer(), {}

    def torture(self, name: str) -> Torture:
        if name not in self.tortures:
            kind, scenario = ROWS[name]
            self.tortures[name] = kind(scenario, self.server, empty_store(), Path(mkdtemp()))
        return self.tortures[name]


@cache
def empty_store() -> Path:
    path = Path(mkdtemp()) / "mlflow.db"
    Store.open(f"sqlite:///{path}")
    return path


def faults(here: Here, name: str, point: int) -> list[str]:
    try:
        return here.torture(name).faults(point)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def tried(name: str, every: int, here: Here, pool: ThreadPoolExecutor) -> str:
    """The row; faults go to stderr."""
    all_points = pool.submit(lambda: here.torture(name).points).result()
    points = all_points[::every]
    found = list(pool.map(partial(faults, here, name), points))
    for point, wrong in zip(points, found, strict=True):
        if wrong:
            print(f"{name}, point {point}: {'; '.join(wrong)}", file=sys.stderr)
    lost, twice = (sum(fault.startswith(kind) for wrong in found for fault in wrong) for kind in (LOST, TWICE))
    return f"| {name} | {len(points)} of {len(all_points)} | {found.count([])} | {lost} | {twice} |"


def write(row: str) -> None:
    """Into the page's table, in place of the one of its name."""
    name = row.split(" | ")[0]
    text = PAGE.read_text(encoding="utf-8")
    lines = text.splitlines()
    at = [number for number, line in enumerate(lines) if line.startswith(f"{name} |")]
    if at:
        lines[at[0]] = row
    else:
        last = max(number for number, line in enumerate(lines) if re.match(r"\| .* \| \d+ \|$|\| ---", line))
        lines.insert(last + 1, row)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("rows", nargs="*", help="parts of their names; all, unless any is named")
    parser.add_argument("--every", type=int, default=1, help="try only every nth point")
    asked = parser.parse_args()
    names = [name for name in ROWS if not asked.rows or any(row in name for row in asked.rows)]
    with (
        TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        os.environ["TMPDIR"] = tempfile.tempdir = place  # with all that killed commands leave in theirs
        here = Here()
        empty_store()
        for name in names:
            begun = time.monotonic()
            row = tried(name, asked.every, here, pool)
            if asked.every == 1 and " of 0 " not in row:  # full disks take root
                write(row)
            print(row, f"{time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
