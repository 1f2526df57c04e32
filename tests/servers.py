"""Real servers on loopback: `mlflow server`, `mlflow models serve`, PostgreSQL."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import pytest

from tests.commands import FOLDER, PATIENCE, environment, until

MLFLOW = [sys.executable, "-m", "mlflow"]


class Server(NamedTuple):
    url: str
    folder: Path  # with mlflow.db, its store
    pid: int  # of it, and of its process group


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(words: Sequence, folder: Path, stop: int = signal.SIGTERM, **options) -> Iterator[subprocess.Popen]:
    """A server in a process group of its own, whose words go to server.log; it ends with this process, even a killed one."""
    end_with_me = partial(ctypes.CDLL(None).prctl, 1, stop)  # PR_SET_PDEATHSIG
    options |= {"cwd": folder, "start_new_session": True, "preexec_fn": end_with_me}
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log, **options)
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, stop)
        server.wait(PATIENCE)


@contextmanager
def mlflow(*words: str, folder: Path, health: str) -> Iterator[Server]:
    """`mlflow <words>` with a port of its own, from when it answers at `health`."""
    port = free_port()
    env = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true")
    env["PATH"] = f"{FOLDER}:{env['PATH']}"  # where MLflow looks for uvicorn
    with running([*MLFLOW, *words, "--host", "127.0.0.1", "--port", str(port)], folder, env=env) as server:
        for _ in until(server):
            with suppress(OSError):
                urlopen(f"http://127.0.0.1:{port}{health}", timeout=PATIENCE).close()
                break
        yield Server(f"http://127.0.0.1:{port}", folder, server.pid)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """An `mlflow server` on the store in `folder`."""
    words = ("server", "--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}")
    with mlflow(*words, folder=folder, health="/health") as server:
        yield server


@contextmanager
def postgresql() -> Iterator[str]:
    """The URI of an empty PostgreSQL database; the server may not run as root, so it runs as `postgres` then."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver psycopg2 is not installed")
    if not binaries:
        pytest.skip("PostgreSQL is not installed under /usr/lib/postgresql")
    root = os.getuid() == 0
    user = "postgres" if root else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="shallowexp-postgres-") as name:
        folder, port, programs = Path(name), free_port(), binaries[-1].parent
        shutil.chown(folder, user)
        options = {"user": user} if root else {}
        init = [programs / "initdb", "-D", folder / "data", "-U", "tester", "--auth=trust", "--no-sync"]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL, cwd=folder, **options)
        words = [programs / "postgres", "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
        with running(words, folder, signal.SIGINT, **options) as server:
            for _ in until(server):
                if subprocess.run([programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0:
                    break
            yield f"postgresql+psycopg2://tester:secret@127.0.0.1:{port}/postgres"
