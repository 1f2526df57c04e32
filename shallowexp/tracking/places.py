"""Where MLflow's default store and its artifacts are, and what a SQLite store holds, without MLflow, whose import takes a second."""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import quote, unquote
from uuid import uuid4

from shallowexp.errors import TrackingError
from shallowexp.tracking.errors import no_store

SQLITE = "sqlite:///"
FIELD = "shallowexp.field"  # tag of a field's run, which is a sweep's but for its networks
FINISHED = """
    SELECT DISTINCT experiments.name FROM experiments JOIN runs USING (experiment_id) JOIN tags USING (run_uuid)
    WHERE experiments.lifecycle_stage = 'active' AND runs.lifecycle_stage = 'active' AND runs.status = 'FINISHED'
    AND tags.key = ? ORDER BY experiments.name"""


@contextmanager
def locked(name: str = "") -> Iterator[None]:
    """One process of this user on this host at a time. Raises TrackingError where another user has put something in the lock's place."""
    path = Path(gettempdir()) / f"shallowexp-{os.getuid()}{name}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)  # a link would lead elsewhere
    except OSError as error:
        raise TrackingError(f"{path} cannot be opened: {error.strerror}. Remove it, or set TMPDIR.") from None
    with open(handle) as file:
        if os.fstat(handle).st_uid != os.getuid():  # who might hold it for ever
            raise TrackingError(f"{path} is another user's. Let it be removed, or set TMPDIR.")
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def default_uri() -> str:
    """MLflow's default, ./mlflow.db; by its whole path where that needs no quoting.

    MLflow quotes the path and then makes a folder of the quoted name beside the real one (and SQLAlchemy before 2.1 puts the
    database there), so a folder such as `my project` is left out of the URI.
    """
    path = str(Path("mlflow.db").absolute())
    return f"{SQLITE}{path if quote(path) == path else 'mlflow.db'}"


def artifact_location() -> str | None:
    """The URI of a folder for a new experiment's artifacts, where MLflow would take a part of the real path for quoted.

    None where MLflow finds ./mlruns itself.
    """
    here = Path("mlruns").absolute()
    return f"{here.as_uri()}/{uuid4().hex}" if unquote(str(here)) != str(here) else None


def sqlite_store() -> str | None:
    """The URI of the store that MLflow would use, if that is plainly a SQLite file; else only MLflow can tell."""
    older_default = any(Path("mlruns").glob("[0-9]*/meta.yaml"))
    uri = os.environ.get("MLFLOW_TRACKING_URI") or ("" if older_default else default_uri())
    return uri if uri.startswith(SQLITE) and not {"%", "?"} & {*uri} else None


def finished_experiments(uri: str, tag: str = "shallowexp.fingerprint") -> list[str] | None:
    """The names of the experiments with finished runs of shallowexp's, or fields, in a SQLite store; None where MLflow must say what is wrong.

    Raises TrackingError if there is no such file.
    """
    path = Path(uri.removeprefix(SQLITE)).absolute()
    if not path.exists():
        raise no_store(uri)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=1, uri=True)) as database:
            names: Iterable[tuple[str]] = database.execute(FINISHED, [tag])
            return [name for (name,) in names]
    except sqlite3.Error:
        return None
