"""How far a sweep is: a bar on a terminal, plain lines elsewhere."""

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

PLAIN_EVERY = 10.0  # seconds between plain lines


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
        self.start = self.said = time.monotonic()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def advance(self, done: int, failed: int) -> None:
        self.done, self.failed = self.done + done, self.failed + failed
        self.bar.update(self.task, advance=done, failed=self.failed)
        now = time.monotonic()
        if self.bar.disable and (now - self.said > PLAIN_EVERY or self.done == self.total):
            self.said = now
            left = (now - self.start) / self.done * (self.total - self.done)
            self.console.print(f"{self.done}/{self.total} {self.unit} trained, {self.failed} failed, {left:.0f} s left")
