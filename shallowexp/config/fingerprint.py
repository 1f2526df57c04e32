"""What a run's result depends on, as one digest: runs are found, reused and reported by it."""

import ast
import json
import os
import pkgutil
from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

from shallowexp import network, provenance, training
from shallowexp.errors import ConfigError, of_user
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


def changed(data: Data) -> bool:
    """Whether it was drawn again meanwhile, and came out as other arrays than those of the fingerprint: its file has changed, say."""
    try:
        return data.load().digest != drawn(data)
    except Exception:
        return False  # training meets it, too, and tells


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
    return sha256(b"".join(map(_content, sorted({*computing(engine), *users_own(modules)})))).hexdigest()


def users_own(modules: Iterable[str]) -> set[str]:
    """Those of the modules that are not shallowexp's, and what they import of the user's own files."""
    own: set[str] = set()
    left = [module for module in modules if not module.startswith("shallowexp.")]
    while left:
        if (module := left.pop()) not in own:
            own.add(module)
            left += _imported(module)
    return own


@cache
def _imported(module: str) -> list[str]:
    """What stands in its import statements, at its head or in a function, of the user's own files."""
    package, names = import_module(module).__package__ or "", set[str]()
    if source_file(module).suffix != ".py":
        return []
    for node in ast.walk(ast.parse(_content(module))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names.update((base, *(f"{base}.{alias.name}" for alias in node.names)))  # a function, or a module
    within = {name[:i] for name in names for i, letter in enumerate(f"{name}.") if letter == "."}
    return [name for name in sorted(within) if (spec := _users_spec(name)) and spec.has_location]


def _users_spec(module: str) -> ModuleSpec | None:
    """Of a module, or a folder of modules, that is the user's own; a library is not imported to find out."""
    parent = module.rpartition(".")[0]
    if parent and not _users_spec(parent):
        return None
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):  # a function of a module that is no package; __main__
        return None
    files = [spec.origin or "<"] if spec and spec.has_location else spec and spec.submodule_search_locations
    return spec if files and all(map(of_user, files)) else None


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
