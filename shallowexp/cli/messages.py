"""What a command says when it ends badly: one message on stderr and an exit status."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import extract_tb

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, OmegaConfBaseException

from shallowexp.config.validate import nearest, unknown
from shallowexp.errors import UserError


@contextmanager
def one_message(full_error: str | None = None) -> Iterator[None]:
    """Ends the command with one message on stderr; with HYDRA_FULL_ERROR set by the user, with the traceback too."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message, status = _explain(error)
        if message is None or full_error:
            raise
        print(f"shallowexp: {message}", file=sys.stderr)
        sys.exit(status)


def _explain(error: Exception) -> tuple[str | None, int]:
    """What to tell the user, and the exit status; None for what is our fault."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name} is not a choice{nearest(name, error.options)}; choices: {', '.join(error.options)}", 1
    if isinstance(cause, ConfigAttributeError):
        keys = [str(key) for key in cause.parent_node or () if key not in ("hydra", "_target_")]
        return unknown(str(cause.full_key), keys), 1
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return " ".join(" ".join(str(part).split("\n    ")[0].split()) for part in (error, cause) if part), 1
    if isinstance(error, ValueError) and extract_tb(error.__traceback__)[-1].name == "_run_hydra":
        return str(error), 1  # of flags that do not go together
    return (str(error), error.status) if isinstance(error, UserError) else (None, 1)
