"""The project's commands, as a user gives them, each in a process.

`command` forks it from a process that has imported everything, once: the two seconds of a fresh interpreter are spent only by
`process` and `start`, where a test is about them, or about another interpreter, tree, encoding or signal.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

FOLDER = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
MAINS = {
    f"shallowexp{name}": f"shallowexp.cli.{name[1:] or 'app'}:main"
    for name in ("", "-plot", "-report", "-rerun", "-runs", "-ui")
}
IMPORTED = (
    "shallowexp.cli.app", "shallowexp.cli.plot", "shallowexp.cli.report", "shallowexp.cli.rerun",
    "shallowexp.report.making", "shallowexp.report.pipeline", "shallowexp.sweeps.rerun", "shallowexp.training.kernel",
    "alembic.command", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "matplotlib.pyplot",
    "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_workspace_store", "pyarrow.pandas_compat",
    "sklearn.datasets", "sklearn.model_selection", "sqlalchemy.dialects.sqlite",
)  # fmt: skip
PATIENCE = 300  # seconds that only a hang takes


def environment(**more: str) -> dict[str, str]:
    """This process's, without what mlflow.set_tracking_uri leaves in it for child processes."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_"))} | more


def command(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    """Run shallowexp, shallowexp-report or shallowexp-rerun with MLflow's default store in `cwd`; or any `module:function`."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        asked = {"arguments": arguments, "cwd": str(cwd), "env": environment(**more), "out": str(out), "err": str(err)}
        status = _fork_server().ask(asked)
        return subprocess.CompletedProcess(arguments, status, out.read_text(), err.read_text())


def process(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    """The same, or `python`, in a fresh interpreter."""
    with start(*arguments, cwd=cwd, stdout=subprocess.PIPE, **more) as child:
        try:
            out, err = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
    return subprocess.CompletedProcess(arguments, child.returncode, out, err)


def start(*arguments: str, cwd: Path, stdout: int | None = None, **more: str) -> subprocess.Popen:
    """The same, begun: it takes Ctrl-C even where the tests themselves were started in the background."""
    program, *rest = arguments
    return subprocess.Popen(
        [FOLDER / program, *rest],
        cwd=cwd, env=environment(**more), stdout=stdout, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what a background job ignores, its children do too
    )  # fmt: skip


def until(process: subprocess.Popen) -> Iterator[None]:
    """For waiting: `for _ in until(process): if <sign>: break`, which fails where the process ends first or hangs."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        yield
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"{process.args} ended, or hung: {process.communicate()}")


class ForkServer:
    """The process that has imported everything."""

    def __init__(self):
        me = [sys.executable, "-m", "tests.commands"]
        self.process = subprocess.Popen(me, cwd=ROOT, env=environment(), stdin=-1, stdout=-1, text=True)

    def ask(self, command: dict) -> int:
        """The exit status of a command that it forks."""
        print(json.dumps(command), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def close(self) -> None:
        with self.process:
            self.process.stdin.close()


_fork_server = cache(ForkServer)


def close() -> None:
    """End the process that forks, if there is one: its time then counts as the tests'."""
    if _fork_server.cache_info().currsize:
        _fork_server().close()
        _fork_server.cache_clear()


def serve() -> None:
    """The server's side: one command after another, as its reader asks for them."""
    _import_everything()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its reader
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _import_everything() -> None:
    from hydra.core.plugins import Plugins
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches
    from numba.core.registry import cpu_target

    from shallowexp.tracking.client import quiet_environment

    quiet_environment()
    for name in IMPORTED:
        import_module(name)
    cpu_target.target_context.refresh()  # what Numba imports when it is first called
    warn_dependency_requirement_mismatches(["mlflow"])  # reads what is installed, as the first model does
    Plugins.instance()
    gc.freeze()  # a child's garbage collector would copy it all


def _become(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """The command, in a fork of the server."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(PATIENCE)
    for number, path in enumerate((os.devnull, out, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = arguments
    status = 1
    try:
        resolve_name(MAINS.get(arguments[0], arguments[0]))()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
