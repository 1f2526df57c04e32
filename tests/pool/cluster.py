"""A real Dask scheduler with two real worker processes on loopback, and initial weights that stop or end a worker."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from shallowexp.network.initializers import Parameters, Random
from tests.commands import FOLDER, ROOT, environment, until
from tests.servers import running

SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",  # the first death of a worker is told
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
    "PYTHONPATH": str(ROOT),
}
LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")


class Cluster(NamedTuple):
    address: str
    scheduler: subprocess.Popen


@contextmanager
def cluster(folder: Path, port: int, workers: int = 2, **more: str) -> Iterator[Cluster]:
    """Once its workers, of one thread each, are there; those of an earlier one at this port may come, too."""
    from distributed import Client

    address, env = f"tcp://127.0.0.1:{port}", environment(**SETTINGS | more)
    place = ("--local-directory", str(folder))
    nanny = ("worker", address, *LOOPBACK, "--nworkers", str(workers), "--nthreads", "1", *place)
    processes: list[subprocess.Popen] = []
    with ExitStack() as stack:
        for words in (("scheduler", *LOOPBACK, "--port", str(port)), nanny):
            (folder / words[0]).mkdir(parents=True)
            started = running([FOLDER / "dask", *words], folder / words[0], signal.SIGKILL, env=env)
            processes.append(stack.enter_context(started))
        with Client(address, timeout=60, set_as_default=False) as client:
            for _ in until(processes[1]):
                if len(client.nthreads()) >= workers:
                    break
        yield Cluster(address, processes[0])


@dataclass(frozen=True)
class Deadly(Random):
    """Leaves a file `begun-<seed>-<pid>` where training begins; waits for a file `go`; with one seed it ends the process."""

    folder: str = ""
    fatal: int = -1
    free: int = 0  # seeds below it do not wait

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        if seed == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.folder:
            (Path(self.folder) / f"begun-{seed}-{os.getpid()}").touch()
            while seed >= self.free and not (Path(self.folder) / "go").exists():
                time.sleep(0.01)
        return super().__call__(n_x, n_h, n_y, seed)
