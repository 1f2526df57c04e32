"""Errors that the user can fix, each shown as one message, and a word that most of them need: nothing here is a bug."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from sysconfig import get_path
from traceback import extract_tb

OTHERS = "<", str(Path(__file__).parent), get_path("stdlib")  # files that are not the user's begin so
LIBRARIES = {"site-packages", "dist-packages"}  # or lie in one of these, of whatever environment


class UserError(Exception):
    """Ends a command with its message, `shown`, and `status`, without a traceback."""

    status = 1

    def __init__(self, message: str):
        super().__init__(shown(message))


class ConfigError(UserError):
    """A configuration that cannot be run; the message names the key, the value and the choices."""


class TrackingError(UserError):
    """A store that cannot be used; the message names its URI and what to do."""


class PoolError(UserError):
    """Workers, or a scheduler, that cannot be used; the message names them and what to do."""


class RunDamaged(UserError):
    """A tracked run with a file that is gone or broken; the message names the file and what to do."""


class RunsFailed(UserError):
    """Some runs of a sweep raised; the others are in MLflow. Takes a (name, error) pair for each, and a last line."""

    def __init__(self, failures: Iterable[tuple[str, str]], last: str = ""):
        names: dict[str, list[str]] = {}
        for name, error in failures:
            names.setdefault(error, []).append(name)
        lines = [
            f"  {first}{f' and {len(more)} more' if more else ''}: {error}" for error, (first, *more) in names.items()
        ]
        super().__init__("\n".join([f"{sum(map(len, names.values()))} runs failed:", *lines, *filter(None, [last])]))


class Interrupted(UserError):
    """A signal stopped a sweep; what was trained until then is in MLflow."""

    def __init__(self, done: object, signal: int):
        super().__init__(f"stopped: {done}. The same command resumes it")
        self.status = 128 + signal


def shown(text: str) -> str:
    """As a terminal may show it: without control characters, which it would obey, and without the passwords of addresses."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
    return re.sub(r"(://[^:/@\s]*:)[^@/\s]*(?=@)|([?&]password=)[^&\s]*", r"\1\2***", text)


def told(error: BaseException) -> str:
    """Its kind, its text and its `place`."""
    return f"{type(error).__name__}: {error}{place(error)}"


def place(error: BaseException) -> str:
    """ " (file, line)": of the user's own code, which led to it; else nothing."""
    own = [frame for frame in extract_tb(error.__traceback__) if of_user(frame.filename)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def of_user(file: str) -> bool:
    """Whether a file of Python is the user's own: not shallowexp's, Python's or a library's."""
    return not file.startswith(OTHERS) and not LIBRARIES & {*Path(file).parts}


def nearest(word: str, choices: Iterable[str]) -> str:
    """ " (did you mean ...?)", where one of the choices is like the word; else nothing."""
    match = get_close_matches(word, list(choices), 1)
    return f" (did you mean {match[0]}?)" if match else ""
