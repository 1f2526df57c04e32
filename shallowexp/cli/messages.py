"""What a command says when it ends badly: one message on stderr and an exit status."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from traceback import extract_tb, print_exc

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, OmegaConfBaseException
from yaml import YAMLError

from shallowexp.config.validate import nearest, unknown
from shallowexp.errors import UserError

FULL_ERROR = os.environ.get("HYDRA_FULL_ERROR")  # as the user set it: `app.main` sets it for Hydra
GRAMMAR = "https://hydra.cc/docs/advanced/override_grammar/basic"
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


def explain(error: Exception) -> tuple[str | None, int]:
    """The message for the user, and the exit status; no message for what is a bug."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name} is not a choice{nearest(name, error.options)}; choices: {', '.join(error.options)}", 1
    if isinstance(cause, ConfigAttributeError):
        keys = [str(key) for key in cause.parent_node or () if key not in ("hydra", "_target_")]
        return unknown(str(cause.full_key), keys), 1
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read{f' ({cause})' if cause else ''}; {GRAMMAR} says how it is written", 1
    if "hydra.mode changed" in str(error):  # as Hydra 1.4 says of +experiment=..., which is a sweep
        return "this is a sweep: add -m", 1
    if isinstance(error, (HydraException, OmegaConfBaseException, YAMLError)):
        return " ".join(" ".join(str(part).split("\n    ")[0].split()) for part in (error, cause) if part), 1
    if isinstance(error, ValueError) and extract_tb(error.__traceback__)[-1].name == "_run_hydra":
        return str(error), 1  # of flags that do not go together
    return (str(error), error.status) if isinstance(error, UserError) else (None, 1)
