"""A command that is disturbed at one of its write events: where it opens, makes, moves or deletes a file, or changes a database.

The events are counted by Python's audit hook and by SQLAlchemy; each leaves a byte in the file $EVENTS.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pkgutil import resolve_name

from sqlalchemy import event
from sqlalchemy.engine import Engine

from shallowexp.fields import plan
from shallowexp.sweeps import batches
from tests.commands import MAINS

FILES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate", "sqlite3.connect"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
READS = ("SELECT", "PRAGMA", "EXPLAIN")
LOCK = 60  # seconds for which another program holds the database


def clock() -> None:
    """The clock is set back by an hour."""
    now = time.time
    time.time = lambda: now() - 3600


def lock() -> None:
    """Another program holds the database, as soon as it can."""
    database = "sqlite3.connect('mlflow.db', timeout=99, isolation_level=None)"
    subprocess.Popen(
        [sys.executable, "-c", f"import sqlite3, time; {database}.execute('BEGIN EXCLUSIVE'); time.sleep({LOCK})"]
    )


def terminal() -> Callable[[], None]:
    """A new one becomes the command's; what closes it. The command stays, as after `nohup`."""
    ours, its = os.openpty()
    os.login_tty(its)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return partial(os.close, ours)


DISTURBANCES = {"clock": clock, "lock": lock} | {
    name: partial(signal.raise_signal, getattr(signal, f"SIG{name}")) for name in ("KILL", "TERM", "INT", "HUP")
}


def main() -> None:
    """`$BY` at event number `$AT` of the command that follows; a number that it does not reach leaves it undisturbed."""
    at, by = int(os.environ["AT"]), os.environ["BY"]
    disturb = terminal() if by == "terminal" else DISTURBANCES.get(by)
    report = os.open(os.environ["EVENTS"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    numbers = count(1)

    def written(*_: object) -> None:
        os.write(report, b".")
        if next(numbers) == at:
            disturb()

    def audit(name: str, arguments: tuple) -> None:
        if name in FILES or (name == "open" and arguments[2] & WRITING and arguments[0] != os.devnull):
            written()

    def execute(connection: object, cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().startswith(READS):
            written()

    batches.BATCH_RUNS, plan.TILE = 2, plan.SMALLEST_TILE  # several batches and tiles, though all is small
    event.listen(Engine, "before_cursor_execute", execute)
    event.listen(Engine, "commit", written)
    sys.addaudithook(audit)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv = sys.argv[1:]
    resolve_name(MAINS[sys.argv[0]])()
