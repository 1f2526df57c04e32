"""What a run's result depends on, as one digest: runs are found, reused and reported by it."""

import json
import os
import pkgutil
from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from shallowexp import network, provenance, training
from shallowexp.errors import ConfigError
from shallowexp.network.choices import describe
from shallowexp.network.data import Data, forget
from shallowexp.training.job import Job

GROUPS = ("data", "activation", "init", "output", "optimizer")
# path of a data set's file -> what told its states apart when it was last looked at
_seen: dict[str, tuple[int, ...]] = {}


def fingerprint(job: Job) -> str:
    """Digest of the job's fields, of the arrays it trains on and of the modules that compute it; of libraries, only of
    what `beneath` names.
    """
    choices, own = _described(*(Itself(getattr(job, group)) for group in GROUPS))
    plain = {name: value for name, value in vars(job).items() if name not in GROUPS} | beneath(job)
    rest = json.dumps([plain, drawn(job.data), _sources(job.engine, own)], sort_keys=True)
    return sha256(f"[{choices}, {rest[1:]}".encode()).hexdigest()[:32]


class Itself:
    """A choice that equals no other one: 1 equals 1.0, but their fingerprints differ."""

    def __init__(self, choice: Any):
        self.choice = choice

    def __hash__(self) -> int:
        return id(self.choice)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.choice is other.choice


@lru_cache(maxsize=4096)
def _described(*chosen: Itself) -> tuple[str, tuple[str, ...]]:
    """The choices of GROUPS as JSON, and the modules that they are of."""
    choices = {group: describe(one.choice) for group, one in zip(GROUPS, chosen, strict=True)}
    return json.dumps(choices, sort_keys=True), tuple(sorted({choice["module"] for choice in choices.values()}))


def beneath(job: Job) -> dict[str, str]:
    """What the result depends on below this code, as a tag: the BLAS where the chapter's `@` multiplies, else nothing."""
    return {"shallowexp.blas": provenance.blas()} if job.engine == "chapter" else {}


@lru_cache(maxsize=65536)
def drawn(data: Data) -> str:
    """The digest of its arrays; what is wrong with it where there are none."""
    return data.fault() or data.load().digest


def forget_changed(path: str) -> bool:
    """Whether a data set's file has changed since it was last asked for; if so, all data sets are drawn anew.

    To be called before a job is planned, or trained in another process: in between its arrays stay those of its fingerprint.
    """
    try:
        found = os.stat(path)
        state: tuple[int, ...] = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    except (OSError, ValueError):
        state = ()
    changed = _seen.setdefault(path, state) != state
    _seen[path] = state
    if changed:
        forget()
        drawn.cache_clear()
    return changed


@cache
def _sources(engine: str, modules: Iterable[str]) -> str:
    """Digest of the files that compute a result: shallowexp's own for this engine and the user's."""
    own = {module for module in modules if not module.startswith("shallowexp.")}
    return sha256(b"".join(map(_content, sorted({*computing(engine), *own})))).hexdigest()


def computing(engine: str) -> list[str]:
    """The modules whose content can change a result of this engine: the network's, and training's but for other engines' kernels."""
    rooms = {
        package: [name for _, name, _ in pkgutil.iter_modules(package.__path__)] for package in (network, training)
    }
    return [
        f"{package.__name__}.{name}"
        for package, names in rooms.items()
        for name in names
        if engine == "compiled" or not name.startswith("kernel")
    ]


@cache
def _content(module: str) -> bytes:
    """Read once, when it is imported: a file that changes later is not what a worker, which lives on, has in memory."""
    return source_file(module).read_bytes()


def source_file(module: str) -> Path:
    """Where a module is written. Raises ConfigError for one without a file, such as a notebook's."""
    file = getattr(import_module(module), "__file__", None)
    if file is None:
        raise ConfigError(
            f"module {module} has no file: define the choice in a file, whose content becomes part of the fingerprint"
        )
    return Path(file)
