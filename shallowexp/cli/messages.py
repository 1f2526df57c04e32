"""What a command says when it ends badly: one message on stderr and an exit status."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase, TextIOWrapper
from traceback import print_exc
from typing import TextIO

from shallowexp.config.explain import explain
from shallowexp.errors import UserError

FULL_ERROR = os.environ.get("HYDRA_FULL_ERROR")  # as the user set it: `app.main` sets it for Hydra
DISK = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EIO,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EROFS,
)  # nothing is a bug here
CLOSED_PIPE = 128 + 13  # what a shell reports of a program that SIGPIPE ended


@contextmanager
def one_message() -> Iterator[None]:
    """Ends the command with one message on stderr, under the traceback if the user has set HYDRA_FULL_ERROR.

    A terminal that lacks a character gets `?` for it; a reader that closes the pipe (`| head`) ends the command silently. Where
    stderr or the terminal is lost, the command goes on without.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    out, err = sys.stdout or _nowhere(), _Heedless(sys.stderr or _nowhere())
    with redirect_stdout(_Heedless(out) if out.isatty() else out), redirect_stderr(err), _explained():
        _require_folder()
        yield


@contextmanager
def _explained() -> Iterator[None]:
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # a closed pipe is met here rather than while Python shuts down
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _lose(sys.stdout)
        sys.exit(CLOSED_PIPE)
    except Exception as error:
        # logging's ValueError hides its file's fault
        fault = error.__cause__ if isinstance(error, ValueError) else error
        if isinstance(fault, OSError) and fault.errno in DISK:
            _lose(sys.stdout)
            error = UserError(f"{fault.filename or 'the output'} cannot be written: {fault.strerror}")
        message, status = explain(error)
        if message is None:
            raise
        if FULL_ERROR:
            print_exc()
        print(f"shallowexp: {message}", file=sys.stderr)
        sys.exit(status)


class _Heedless(TextIOBase):
    """A stream that may be lost, as both are when a terminal is closed: then what is written to it vanishes."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except OSError:
            _lose(self._stream)

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has a variable
        return self._stream.encoding


def _nowhere() -> TextIO:
    return open(os.devnull, "w")


def _lose(stream: TextIO) -> None:
    """What is still to be written to it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _require_folder() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the working directory is gone: change into one that is there") from None
