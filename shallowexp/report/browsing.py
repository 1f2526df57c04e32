"""MLflow's own pages, served for the store that is used and opened at a sweep."""

import os
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGTERM, signal
from sysconfig import get_path
from tempfile import TemporaryFile
from types import FrameType
from typing import NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

from shallowexp.errors import TrackingError
from shallowexp.report.terminal import say
from shallowexp.sweeps import view
from shallowexp.tracking import sweeps
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import TrackedSweep

HOST = "127.0.0.1"
PATIENCE = 120  # seconds that MLflow's server may take to answer


def browse(reference: str, port: int | None = None, show: bool = True) -> None:
    """Say and open the sweep's address; of a store without a server of its own, serve it until Ctrl-C or SIGTERM.

    Raises TrackingError for a sweep that is not there, and where MLflow's server does not start.
    """
    store = Store.open(create=False)
    page = address(store, sweeps.find(store, reference))
    if store.uri.startswith("http"):
        return _open(f"{store.uri.rstrip('/')}/{page}", show)
    with _server(store.uri, _free(port or 0)) as url:
        _open(f"{url}/{page}", show)
        print("Ctrl-C ends the server", flush=True)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


class _Tracked(NamedTuple):
    params: dict[str, str]
    objective: str


def address(store: Store, sweep: TrackedSweep) -> str:
    """Of a sweep's charts: of exactly its runs, in a view that is saved now; while it runs, of all in its experiment."""
    runs: list[_Tracked] = []
    try:
        if sweep.run_id and sweep.status != "RUNNING":
            runs = [_Tracked(params, sweep.objective) for params in sweeps.gather(store, sweep)]
        if runs:
            store.experiment(sweep.experiment, view.tags(sweep.experiment, runs, sweep.name))
    except TrackingError as error:  # of who may only read, or a table that is gone
        runs = []
        say(f"all runs of the experiment are shown: {error}", "red")
    if view.saved_views():
        query = f"viewStateShareKey={sweep.name if runs else view.OVERVIEW}"
    else:
        query = f"searchFilter={quote(view.within(sweep.name) if runs else '')}"
    return f"#/experiments/{sweep.experiment_id}/runs?{query}&compareRunsMode=CHART&workflowType=machine_learning"


def _open(url: str, show: bool) -> None:
    print(url, flush=True)
    if show:
        webbrowser.open(url)


def _free(port: int) -> int:
    """This port, or any where it is 0. Raises TrackingError where it is taken."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind((HOST, port))
        except OSError as error:
            raise TrackingError(f"--port {port}: {error.strerror}; without it a free one is taken") from None
        return int(free.getsockname()[1])


@contextmanager
def _server(uri: str, port: int) -> Iterator[str]:
    """`mlflow server` in a process group of its own, from when it answers; it ends with this block."""
    words = ["server", "--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # where MLflow looks for uvicorn
    ours = {
        "PYTHONSAFEPATH": "1",
        "UVICORN_APP_DIR": get_path("purelib"),
    }  # nothing that lies in the folder is imported
    env = os.environ | {"PATH": path, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | ours
    with TemporaryFile() as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words], env=env, stdout=log, stderr=log, start_new_session=True
        )
        before = signal(SIGTERM, _interrupt)
        try:
            _wait(server, f"http://{HOST}:{port}")
            yield f"http://{HOST}:{port}"
        except _NoAnswer:
            log.seek(0)
            last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise TrackingError(f"mlflow server does not start on {HOST}:{port}: {last}") from None
        finally:
            signal(SIGTERM, before)
            with suppress(ProcessLookupError):
                os.killpg(server.pid, SIGTERM)
            server.wait()


class _NoAnswer(Exception):
    """The server has ended, or is too slow."""


def _wait(server: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            urlopen(f"{url}/health", timeout=PATIENCE).close()
            return
        time.sleep(0.1)
    raise _NoAnswer


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
