"""The database of a store: made once and whole, whoever else is starting."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from shallowexp.errors import TrackingError
from shallowexp.tracking.places import locked

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine


def exists(uri: str) -> bool:
    """False only for a SQLite file that is not there."""
    from sqlalchemy.engine import make_url

    database = make_url(uri).database if uri.startswith("sqlite") else None
    return database is None or Path(database).exists()


def is_database(uri: str) -> bool:
    from mlflow.store.db.db_types import DATABASE_ENGINES

    return uri.split(":")[0].split("+")[0] in DATABASE_ENGINES


def create_tables(uri: str) -> None:
    """Create MLflow's tables where `uri` is a database without them, once, whoever else is starting.

    Raises at once if nobody answers there; MLflow alone would go on trying for 100 s.
    """
    from mlflow.store.db import utils
    from sqlalchemy.engine import make_url

    if not is_database(uri):
        return
    url = make_url(uri)
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise TrackingError(
                f"MLflow store {uri} is in memory: its runs would vanish with the command. Name a file."
            )
        utils._make_parent_dirs_if_sqlite(uri)
        _create_file(url)
    engine = utils.create_sqlalchemy_engine(uri)
    try:
        with in_turn(engine, "tables"):
            utils._safe_initialize_tables(engine)
    finally:
        engine.dispose()


@contextmanager
def in_turn(engine: "Engine", what: str) -> Iterator[None]:
    """One process after the other, on whatever host, where this is PostgreSQL: SQLite is of one host."""
    from sqlalchemy import text

    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.begin() as connection:  # its end, or that of its process, ends the lock
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"shallowexp {what}"})
        yield


def _create_file(url: "URL") -> None:
    """A SQLite store is made beside its place and moved there whole: an interruption leaves none rather than half of one."""
    from mlflow.store.db import utils

    path = Path(url.database or "")
    if _holds_something(path) or str(path).startswith("file:"):
        return
    path = path.resolve()  # a link stays one
    if path.exists() and not path.is_file():
        raise TrackingError(f"{path} is no regular file: a SQLite store needs one, in MLFLOW_TRACKING_URI")
    lock = sha256(str(path.absolute()).encode()).hexdigest()[:16]
    with locked(f"-{lock}"):
        new = path.with_name(f".{path.name}.new")
        for left in (new, Path(f"{new}-journal")):  # of a command that was killed: a living one has the lock
            left.unlink(missing_ok=True)
        if not _holds_something(path):
            engine = utils.create_sqlalchemy_engine(url.set(database=str(new)).render_as_string(hide_password=False))
            try:
                utils._initialize_tables(engine)
            finally:
                engine.dispose()
            new.replace(path)


def _holds_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
