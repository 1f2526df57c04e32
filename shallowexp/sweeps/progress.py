"""How far a sweep is: a bar on a terminal, plain lines elsewhere; and what the first command on a machine waits for."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shallowexp.config.runs import Run

PLAIN_EVERY = 10.0  # seconds between plain lines
COMPILING = "Numba compiles the kernel: about half a minute, once; Ctrl-C waits for it"
AHEAD = "nothing is compiled yet: before it trains for the first time, Numba compiles the kernel"


class Progress:
    """Counts runs, or what else is trained, done and failed; use as a context manager."""

    def __init__(self, total: int, console: Console | None = None, unit: str = "runs"):
        self.total, self.done, self.failed, self.unit = total, 0, 0, unit
        self.console = console or Console(stderr=True, highlight=False)
        failures, left = TextColumn("{task.fields[failed]} failed"), TimeRemainingColumn()
        columns = TextColumn("training"), BarColumn(), MofNCompleteColumn(), failures, left
        self.bar = Bar(
            *columns, console=self.console, disable=not (self.console.is_terminal or self.console.is_jupyter)
        )
        self.task = self.bar.add_task("training", total=total, failed=0)
        self.opened = ExitStack()

    def __enter__(self) -> Self:
        self._begin()
        self.opened.enter_context(compilation_told(self.console, self._begin))
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()
        self.opened.close()

    def _begin(self) -> None:
        self.start = self.said = time.monotonic()

    def advance(self, done: int, failed: int) -> None:
        self.done, self.failed = self.done + done, self.failed + failed
        self.bar.update(self.task, advance=done, failed=self.failed)
        now = time.monotonic()
        if self.bar.disable and self.done and (now - self.said > PLAIN_EVERY or self.done == self.total):
            self.said = now
            left = (now - self.start) / self.done * (self.total - self.done)
            self.console.print(f"{self.done}/{self.total} {self.unit} trained, {self.failed} failed, {left:.0f} s left")


def foretell_compilation(runs: Iterable[Run]) -> None:
    """Where none of the kernel's code is in Numba's cache: MLflow's import and a new database come first and take seconds."""
    if any(run.job.engine == "compiled" for run in runs):
        from shallowexp.training.kernel_descent import descend

        stats = getattr(descend, "stats", None)  # there are none with NUMBA_DISABLE_JIT
        if stats and not any(Path(stats.cache_path).glob("kernel_descent.*.nbi")):
            print(AHEAD, file=sys.stderr, flush=True)


@contextmanager
def compilation_told(console: Console | None = None, ended: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Says so where Numba begins to compile the kernel, which takes half a minute the first time; `ended` is called after it."""
    if not sys.modules.get("numba"):
        yield
        return
    from numba.core.event import Listener, install_listener

    class Compiling(Listener):
        within = 0  # functions, one called by the other

        def on_start(self, event: Any) -> None:
            if not self.within:
                (console or Console(stderr=True, highlight=False)).print(COMPILING)
            self.within += 1

        def on_end(self, event: Any) -> None:
            self.within -= 1
            if not self.within:
                ended()

    with install_listener("numba:compile", Compiling()):
        yield
