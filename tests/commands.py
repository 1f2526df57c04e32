"""The project's commands, as a user gives them, each in a process.

`command` and `forked` fork it from a process that has imported everything, once: the two to five seconds of a fresh interpreter
are spent only by `process` and `start`, where a test is about them or reads from a pipe.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from typing import NoReturn

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
PATIENCE = 900  # seconds that only a hang takes: with four busy loops beside it, the slowest wait took over 300


def environment(**more: str) -> dict[str, str]:
    """This process's, without what mlflow.set_tracking_uri leaves in it for child processes."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_"))} | more


def command(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    """Run shallowexp, shallowexp-report or shallowexp-rerun with MLflow's default store in `cwd`; or any `module:function`."""
    return _fork_server().command(*arguments, cwd=cwd, **more)


def forked(*arguments: str, cwd: Path, **more: str) -> "Forked":
    """The same, begun."""
    return Forked(_fork_server(), arguments, cwd, environment(**more))


def process(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    """A command, or `python`, in a fresh interpreter."""
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


def until(process: "subprocess.Popen | Forked") -> Iterator[None]:
    """For waiting: `for _ in until(process): if <sign>: break`, which fails where the process ends first or hangs."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        yield
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"{process.args} ended, or hung: {process.communicate()}")


class ForkServer:
    """A process that has imported everything, in an environment of its own."""

    def __init__(self, cwd: Path = ROOT, **more: str):
        me = [sys.executable, "-m", "tests.commands"]
        self.process = subprocess.Popen(me, cwd=cwd, env=environment(**more), stdin=-1, stdout=-1, text=True)

    def command(self, *arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
        with Forked(self, arguments, cwd, environment(**more)) as child:
            out, err = child.communicate()
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    def ask(self, **words) -> int | None:
        """The pid of a command that it forks, or how the child `pid` ended: None while it runs."""
        print(json.dumps(words), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        with self.process:
            self.process.stdin.close()

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Forked:
    """A command in a fork of the server: of subprocess.Popen what tests need."""

    def __init__(self, server: ForkServer, arguments: Sequence[str], cwd: Path, env: dict[str, str]):
        self.server, self.args, self.returncode = server, arguments, None
        self.folder = tempfile.TemporaryDirectory()
        self.files = [Path(self.folder.name, name) for name in ("out", "err")]
        out, err = map(str, self.files)
        self.pid = server.ask(arguments=arguments, cwd=str(cwd), env=env, out=out, err=err)

    def poll(self, options: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            self.returncode = self.server.ask(pid=self.pid, options=options)
        return self.returncode

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """Out and err, once it has ended; it ends itself after PATIENCE."""
        self.poll(0)
        out, err = (file.read_text() for file in self.files)
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.poll(0)
        self.folder.cleanup()


_fork_server = cache(ForkServer)


def close() -> None:
    """End the process that forks, if there is one: its time then counts as the tests'."""
    if _fork_server.cache_info().currsize:
        _fork_server().close()
        _fork_server.cache_clear()


def serve() -> None:
    """The server's side: one question after another."""
    _import_everything()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its reader
    for line in sys.stdin:
        asked = json.loads(line)
        if "pid" in asked:
            child, status = os.waitpid(asked["pid"], asked["options"])
            answer = os.waitstatus_to_exitcode(status) if child else None
        else:
            answer = os.fork() or _become(**asked)
        print(json.dumps(answer), flush=True)


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


def _become(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> NoReturn:
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
