"""How a sweep, or a field, ends: by itself, by an error, by Ctrl-C or SIGTERM; and how one waits for another process's to end."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from shallowexp.errors import Interrupted, shown
from shallowexp.tracking.parents import Busy

POLL = 1.0  # seconds between looks at another process's sweep


def say(message: str) -> None:
    print(shown(message), file=sys.stderr, flush=True)


def outwait(busy: Busy, what: str) -> None:
    """Until the other process that is at the same sweep, or field, has ended."""
    say(f"waiting for {busy}: it is at this very {what}")
    while busy.sweep.lives():
        time.sleep(POLL)


@contextmanager
def concluded(close: Callable[[str], None], so_far: object) -> Iterator[None]:
    """The block, after which `close` is told how it ended: FINISHED, FAILED, or KILLED by Ctrl-C or SIGTERM.

    Raises Interrupted, with what there is `so_far`, for these two, which wait while it closes.
    """
    status = "FAILED"
    try:
        with interruptible():
            yield
        status = "FINISHED"
    except KeyboardInterrupt as interrupt:
        status = "KILLED"
        raise Interrupted(so_far, *(interrupt.args or (signal.SIGINT,))) from None
    finally:
        with held_off():
            close(status)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM stops a sweep as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    with _handled(stop, signal.SIGTERM):
        yield


@contextmanager
def held_off() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block is done."""
    came: list[int] = []
    try:
        with _handled(lambda number, _: came.append(number), signal.SIGINT, signal.SIGTERM):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    """These signals by the handler; as before in a thread beside the main one, which no signal reaches."""
    if threading.current_thread() is not threading.main_thread():
        numbers = ()
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)
