"""Commands run in a folder of their own, against a real SQLite store that is made once and copied."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = Path(sys.executable).parent


def environment(**more: str) -> dict[str, str]:
    """This process's, without what mlflow.set_tracking_uri leaves in it for child processes."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_"))} | more


def command(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    """Run shallowexp or shallowexp-report as a user would, with MLflow's default store in `cwd`."""
    program, *rest = arguments
    return subprocess.run(
        [str(COMMANDS / program), *rest], cwd=cwd, env=environment(**more), capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory):
    """Tests run outside the checkout: MLflow puts artifacts into mlruns of the working directory."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
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
