"""Where results come from: commit, version, command, machine."""

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
from typing import Protocol

import yaml
from omegaconf import DictConfig, OmegaConf

from shallowexp import CONF, __version__


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


def tags() -> dict[str, str]:
    """What every tracked run carries."""
    known = {"mlflow.source.git.commit": made} if (made := commit()) else {}
    return {"shallowexp.version": __version__, "shallowexp.machine": machine(), **known}


class Configured(Protocol):
    """A composed job: `config.composition.Composed` is one."""

    @property
    def overrides(self) -> Sequence[str]: ...

    @property
    def config(self) -> DictConfig: ...


def configuration(composed: Sequence[Configured], multirun: str) -> dict[str, bytes]:
    """The configuration files that a sweep's parent run keeps: Hydra's tree, the first job's configuration, each job's overrides."""
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
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def about() -> dict[str, str]:
    """What a report was made with, a line each; dates and durations are those of its runs."""
    names = ("numpy", "numba", "scipy", "pandas", "matplotlib", "hydra-core", "mlflow")
    versions = ", ".join(f"{name} {version(name)}" for name in names if _installed(name))
    cores = f"{machine()}, {os.cpu_count()} cores"
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
