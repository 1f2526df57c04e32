"""What tests of all rooms stand on: a folder of their own, a real SQLite store that is made once and copied."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import commands, servers

SHARING = ("tests/models/test_model_stores.py", "tests/sweeps/test_pages.py", "tests/tracking/")  # one server


class OneServer(LoadFileScheduling):
    """Each file's tests in one worker, and those of all files that use the server in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return "server" if nodeid.startswith(SHARING) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return OneServer(config, log)


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory):
    """Tests run outside the checkout: MLflow puts artifacts into mlruns of the working directory."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    commands.close()
    os.chdir(before)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """An MLflow database with its tables: making one takes seconds, copying none."""
    from shallowexp.tracking.store import Store

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    Store.open(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory, empty_store) -> Iterator[servers.Server]:
    """An `mlflow server` with a store of its own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder)
    with servers.serving(folder) as server:
        yield server


@pytest.fixture(scope="module")  # which file comes first in a worker is not known
def postgres() -> Iterator[str]:
    """The URI of a PostgreSQL database, empty where a file's tests begin."""
    with servers.postgresql() as uri:
        yield uri


@pytest.fixture
def workplace(tmp_path, empty_store, monkeypatch) -> Path:
    """The working directory, whose default store is there and empty."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path
