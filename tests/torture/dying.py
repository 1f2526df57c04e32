"""A command that gets a signal at one of its write events: where it opens, makes, moves or deletes a file, or changes a database.

The events are counted by Python's audit hook and by SQLAlchemy; each leaves a byte in the file $EVENTS.
"""

import os
import signal
import sys
from itertools import count
from pkgutil import resolve_name

from sqlalchemy import event
from sqlalchemy.engine import Engine

from shallowexp.sweeps import batches
from tests.commands import MAINS

FILES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate", "sqlite3.connect"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
READS = ("SELECT", "PRAGMA", "EXPLAIN")


def main() -> None:
    """`$BY` at event number `$AT` of the command that follows; a number that it does not reach leaves it undisturbed."""
    at, by = int(os.environ["AT"]), int(os.environ["BY"])
    report = os.open(os.environ["EVENTS"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    numbers = count(1)

    def written(*_: object) -> None:
        os.write(report, b".")
        if next(numbers) == at:
            os.kill(os.getpid(), by)

    def audit(name: str, arguments: tuple) -> None:
        if name in FILES or (name == "open" and arguments[2] & WRITING and arguments[0] != os.devnull):
            written()

    def execute(connection: object, cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().startswith(READS):
            written()

    batches.BATCH_RUNS = 2  # several batches, though the sweep is small
    event.listen(Engine, "before_cursor_execute", execute)
    event.listen(Engine, "commit", written)
    sys.addaudithook(audit)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv = sys.argv[1:]
    resolve_name(MAINS[sys.argv[0]])()
