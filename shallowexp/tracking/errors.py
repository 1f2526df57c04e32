"""What MLflow, its databases and its artifact stores raise, as one message that says what to do."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from shallowexp.errors import RunDamaged, TrackingError

ADVICE = (  # the first pattern found in MLflow's error says what to do
    (
        "table .* already exists|duplicate column name|found version None",
        "An interruption left it half made: move that file away and start again. What is in it stays in the file that was moved.",
    ),
    (
        "out-of-date database schema",
        "Back it up and run `mlflow db upgrade <uri>`, or use the newer MLflow that made it.",
    ),
    ("No space left|disk is full|[Dd]isk quota", "The disk is full: make room, then start again; nothing is lost."),
    ("locked", "Another process is writing to it: start again when that has finished; nothing is lost."),
    (
        r"\b40[13]\b|UNAUTHENTICATED|PERMISSION_DENIED",
        "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or _TOKEN.",
    ),
    (
        "authentication failed|no password supplied|role .* does not exist",
        "Check the user and the password in the URI.",
    ),
    ("No module named", "Install that package, which MLflow needs for this kind of store."),
    ("readonly|unable to open|[Pp]ermission denied", "Check that you are allowed to write there."),
    ("onnect|Max retries|[Tt]imed out", "Is it running, and is the URI right? Then start again; nothing is lost."),
    ("", "Is MLFLOW_TRACKING_URI right?"),
)
AUTOFLUSH = (
    "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block if this flush is "
    "occurring prematurely)"
)
ARTIFACTS = (
    "Does it exist, and are you allowed to write there? Then start again; nothing is lost. "
    "A run whose file is gone is trained again with fresh=true."
)


def no_store(uri: str) -> TrackingError:
    return TrackingError(f"There is no MLflow store {uri}: launch a sweep first, or set MLFLOW_TRACKING_URI.")


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what MLflow, SQLAlchemy, requests or the disk say into one TrackingError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        text = f"{getattr(error, 'error_code', '')} {_reason(error)}"
        advice = next(words for pattern, words in ADVICE if re.search(pattern, text))
        raise TrackingError(f"MLflow store {uri}: {_reason(error)}\n{advice}") from error


@contextmanager
def explained_artifacts(uri: str) -> Iterator[None]:
    """Turn what an artifact store raises into one TrackingError: each kind has exceptions of its own."""
    try:
        yield
    except Exception as error:
        raise TrackingError(f"MLflow artifact store {uri}: {_reason(error)}\n{ARTIFACTS}") from error


@contextmanager
def explained_damage(file: str) -> Iterator[None]:
    """Turn whatever a run's file raises while it is read into one RunDamaged."""
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {_reason(error)}"
        advice = "Bring that file back, or train its run again with fresh=true."
        raise RunDamaged(f"{file} cannot be read: {reason}\n{advice}") from error


class HasUri(Protocol):
    @property
    def uri(self) -> str: ...


S = TypeVar("S", bound=HasUri)
P = ParamSpec("P")
T = TypeVar("T")


def tracked(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method of something with a `uri`, under `explained`."""

    @wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with explained(self.uri):
            return method(self, *args, **kwargs)

    return run


def _reason(error: Exception) -> str:
    """What an error says, without SQLAlchemy's statement, links and hints for its programmer."""
    said = re.split(r"\n\[SQL|\n*\(Background on", str(error))[0]
    return said.removeprefix(AUTOFLUSH).strip()
