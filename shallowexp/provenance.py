"""Where results come from: commit, version, command, machine, BLAS."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from threadpoolctl import threadpool_info

from shallowexp import CONF, __version__

if TYPE_CHECKING:
    from omegaconf import DictConfig


@cache
def commit() -> str | None:
    """The git commit of the code that runs (of the working directory, if the code is in no repository)."""
    for folder in (CONF.parent, Path.cwd()):
        git = ["git", "-C", str(folder), "rev-parse", "HEAD"]
        try:
            return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def command() -> str:
    """The command line, as it can be typed again."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def program() -> str:
    """The script or the notebook that calls."""
    name = Path(sys.argv[0]).name
    if name == "ipykernel_launcher.py":
        name = Path(os.environ.get("JPY_SESSION_NAME", "notebook")).name  # as Jupyter's server names it to its kernels
    return "Python" if name in ("", "-c") else name


def tags() -> dict[str, str]:
    """What every tracked run carries."""
    known = {"mlflow.source.git.commit": made} if (made := commit()) else {}
    return {"shallowexp.version": __version__, "shallowexp.machine": machine(), **known}


class Configured(Protocol):
    """A composed job: `config.composition.Composed` is one."""

    @property
    def overrides(self) -> Sequence[str]: ...

    @property
    def config(self) -> "DictConfig": ...


def configuration(composed: Sequence[Configured], multirun: str) -> dict[str, bytes]:
    """The configuration files that a sweep's parent run keeps: Hydra's tree, the first job's configuration, each job's overrides."""
    import yaml
    from omegaconf import OmegaConf

    overrides = yaml.dump([list(job.overrides) for job in composed], Dumper=yaml.CSafeDumper, default_flow_style=None)
    files = {
        "overrides.yaml": overrides,
        "config.yaml": OmegaConf.to_yaml(composed[0].config),
        "multirun.yaml": multirun,
    }
    return {name: text.encode() for name, text in files.items() if text}


def lock() -> dict[str, str]:
    """Digest of the lock file beside the code, if there is one, as a tag."""
    file = CONF.parent / "requirements.lock"
    return {"shallowexp.lock": sha256(file.read_bytes()).hexdigest()} if file.exists() else {}


@cache
def machine() -> str:
    """All that a result may depend on, beside the code and the BLAS: the processor's type as LLVM names it, for which the kernel is compiled."""
    try:
        from llvmlite.binding import get_host_cpu_name as processor
    except ImportError:
        processor = platform.processor
    named = ", ".join(f"{name} {found}" for name, found in versions().items())
    return f"{platform.system()} {platform.machine()} {processor()}, {named}"


@cache
def versions() -> dict[str, str]:
    """Of what a result may depend on, in this process."""
    packages = {name: version(name) if _installed(name) else "none" for name in ("NumPy", "Numba")}
    return {"Python": platform.python_version(), **packages, "shallowexp": __version__}


@cache
def blas() -> str:
    """The BLAS beneath NumPy's `@`: its name, version, architecture and threads, by which it may round otherwise."""
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not found:  # Apple's, which threadpoolctl does not see
        built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{built['name']} {built['version']}"
    own = min(found, key=lambda library: "numpy" not in library["filepath"])  # SciPy's wheel brings another one
    kind = f"{own['internal_api']} {own['version']}"
    return ", ".join(filter(None, [kind, own.get("architecture"), f"threads: {own['num_threads']}"]))


def about() -> dict[str, str]:
    """What a report was made with, a line each; dates and durations are those of its runs."""
    names = ("numpy", "numba", "scipy", "pandas", "matplotlib", "hydra-core", "mlflow")
    versions = ", ".join(f"{name} {version(name)}" for name in names if _installed(name))
    cores = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    return {
        "Code": f"shallowexp {__version__}, commit {commit() or 'unknown'}",
        "Libraries": versions,
        "Machine": cores,
    }


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
