"""What a command says when it ends badly: one message on stderr and an exit status."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from traceback import print_exc

from shallowexp.config.explain import explain

FULL_ERROR = os.environ.get("HYDRA_FULL_ERROR")  # as the user set it: `app.main` sets it for Hydra
CLOSED_PIPE = 128 + 13  # what a shell reports of a program that SIGPIPE ended


@contextmanager
def one_message() -> Iterator[None]:
    """Ends the command with one message on stderr, under the traceback if the user has set HYDRA_FULL_ERROR.

    A terminal that lacks a character gets `?` for it; a reader that closes the pipe (`| head`) ends the command silently.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # a closed pipe is met here rather than while Python shuts down
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except Exception as error:
        message, status = explain(error)
        if message is None:
            raise
        if FULL_ERROR:
            print_exc()
        print(f"shallowexp: {message}", file=sys.stderr)
        sys.exit(status)
