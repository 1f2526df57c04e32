"""What tests of all rooms stand on: a folder of their own, a real SQLite store that is made once and copied."""

import os
import shutil
from pathlib import Path

import pytest

from tests import commands


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


@pytest.fixture
def workplace(tmp_path, empty_store, monkeypatch) -> Path:
    """The working directory, whose default store is there and empty."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path
