"""A SQLite store is there whole or not at all, wherever its making is interrupted; half of one is recognised."""

import os
import signal
import sqlite3
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from shallowexp.errors import TrackingError
from shallowexp.tracking import creation
from shallowexp.tracking.store import Store
from tests.commands import forked

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")
WRITING = {"sqlite3.connect", "os.rename", "os.remove", "os.link"}


def interrupted(folder: Path, at: int, by: int = signal.SIGKILL) -> int:
    """Make a store in `folder` in a process that gets the signal at its write event number `at`; how many it has come to."""
    report = folder / "events"
    if child := os.fork():
        os.waitpid(child, 0)
        return len(report.read_bytes())
    try:
        _become_a_maker(folder, at, by, os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    finally:
        os._exit(0)


def _become_a_maker(folder: Path, at: int, by: int, report: int) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    signal.alarm(300)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        os.write(report, b".")
        if seen == at:
            os.kill(os.getpid(), by)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    sys.addaudithook(lambda name, _: count() if name in WRITING else None)
    creation.create_tables(f"sqlite:///{folder}/mlflow.db")


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> int:
    """How many write events the making of a store has."""
    Store.open(f"sqlite:///{tmp_path_factory.mktemp('first')}/mlflow.db")  # imports all that the children need
    return interrupted(tmp_path_factory.mktemp("whole"), at=0)


@pytest.mark.parametrize(("part", "by"), [(0.02, signal.SIGKILL), (0.5, signal.SIGINT), (1.0, signal.SIGKILL)])
def test_an_interruption_leaves_no_store_or_a_whole_one(tmp_path, events, part, by):
    interrupted(tmp_path, round(part * events), by)
    assert (tmp_path / "mlflow.db").exists() == (part == 1)  # the last event is after the move
    store = Store.open(f"sqlite:///{tmp_path}/mlflow.db")
    assert store.experiments() == []
    assert [path.name for path in tmp_path.iterdir() if "mlflow" in path.name] == ["mlflow.db"]


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "mlflow.db").touch()
    assert Store.open(f"sqlite:///{tmp_path}/mlflow.db").experiments() == []


@pytest.mark.parametrize("empty", [True, False])
def test_a_link_stays_one_and_the_store_is_made_where_it_leads(tmp_path, empty):
    real, link = tmp_path / "elsewhere.db", tmp_path / "mlflow.db"
    link.symlink_to(real)
    if empty:
        real.touch()
    assert Store.open(f"sqlite:///{link}").experiments() == []
    assert link.is_symlink() and real.stat().st_size > 0


def test_what_is_no_regular_file_is_refused_and_stays(tmp_path):
    os.mkfifo(tmp_path / "mlflow.db")
    with pytest.raises(TrackingError, match=r"mlflow.db is no regular file: a SQLite store needs one"):
        Store.open(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").is_fifo()


@pytest.mark.parametrize("lost", ["DROP TABLE trace_info", ""], ids=["a table is missing", "no table is missing"])
def test_half_a_store_is_recognised_and_stays_as_it_is(tmp_path, empty_store, lost):
    """As MLflow's own making leaves it when it is killed between two migrations."""
    path = tmp_path / "mlflow.db"
    path.write_bytes(empty_store.read_bytes())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM alembic_version")
        database.execute(lost)
    with pytest.raises(TrackingError, match="(?s)half made: move that file away"):
        Store.open(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT COUNT(*) FROM experiments").fetchone() == (1,)


@pytest.mark.parametrize("uri", ["sqlite:///:memory:", "sqlite://"])
def test_a_store_in_memory_is_refused(uri):
    with pytest.raises(TrackingError, match="in memory"):
        Store.open(uri)


def test_hosts_that_meet_an_empty_postgresql_make_its_tables_once(postgres, tmp_path):
    """Each has a folder for MLflow's own lock."""
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE empty"))
    with ExitStack() as stack:
        hosts = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            words = (f"{__name__}:opened", postgres.replace("/postgres", "/empty"))
            hosts.append(stack.enter_context(forked(*words, cwd=tmp_path, TMPDIR=str(tmp_path / name))))
        for host in hosts:
            _, err = host.communicate()
            assert host.returncode == 0, err


def opened() -> None:
    Store.open(sys.argv[1])
