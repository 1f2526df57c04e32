"""What an experiment's sweep would train: composed once, and remembered beside the report while no code and no YAML changes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from inspect import getsourcefile
from pathlib import Path
from typing import NamedTuple, TypedDict

from omegaconf import OmegaConf

from shallowexp import CONF, provenance
from shallowexp.claims.claim import Claim
from shallowexp.config import runs
from shallowexp.config.composition import compose_experiment
from shallowexp.config.fingerprint import GROUPS
from shallowexp.config.runs import Run

FILE = ".plans.json"
LIBRARIES = (
    "hydra-core", "jinja2", "matplotlib", "numpy", "omegaconf", "pandas", "pillow", "scikit-learn", "scipy",
)  # fmt: skip


class Sweep(NamedTuple):
    """What conf/experiment/<name>.yaml composes."""

    runs: list[Run]
    files: dict[str, bytes]  # the configuration that made them


class Memory(TypedDict):
    """What is kept of a plan."""

    own: dict[str, str]  # file of a user's own module -> digest
    fingerprints: list[str]


@dataclass(frozen=True)
class Plan:
    """The runs of one experiment's sweep: by their fingerprints, and as they were composed if they had to be."""

    claim: Claim
    fingerprints: set[str]
    composed: Sweep | None = None

    def sweep(self) -> Sweep:
        return self.composed or compose(self.claim.name)


def plan(claim: Claim, memory: Mapping[str, Memory]) -> Plan:
    """Raises Hydra's errors and ConfigError where the experiment is not remembered."""
    if claim.name in memory:
        return Plan(claim, set(memory[claim.name]["fingerprints"]))
    sweep = compose(claim.name)
    return Plan(claim, {run.fingerprint for run in sweep.runs}, sweep)


def compose(name: str) -> Sweep:
    """Raises Hydra's errors and ConfigError."""
    tree, composed = compose_experiment(name)
    files = provenance.configuration(composed, OmegaConf.to_yaml(tree))
    return Sweep(runs.plan_jobs(composed), files)


def recall(folder: Path) -> dict[str, Memory]:
    """What is known of each experiment that is still as it was."""
    try:
        kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
        known: dict[str, Memory] = kept["plans"] if kept["code"] == code() else {}
        return {name: memory for name, memory in known.items() if memory["own"] == contents(memory["own"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def remember(plans: Iterable[Plan], folder: Path) -> None:
    """Keep what was composed, but for runs on a user's own data: the file behind those may change unseen."""
    composed = {plan.claim.name: plan.composed.runs for plan in plans if plan.composed}
    kept = recall(folder)
    for name, found in composed.items():
        if not _own({type(run.job.data).__module__ for run in found}):
            own = contents(_own_files(found))
            kept[name] = Memory(own=own, fingerprints=sorted(run.fingerprint for run in found))
    (folder / FILE).write_text(json.dumps({"code": code(), "plans": kept}), encoding="utf-8")


def _own_files(found: Iterable[Run]) -> set[str]:
    """Where the user's own choices among these runs are written, wherever that is, and the tables that they read."""
    modules = {type(getattr(run.job, group)).__module__ for run in found for group in GROUPS}
    tables = {str(run.job.data.path) for run in found if hasattr(run.job.data, "path")}
    return tables | {file for name in _own(modules) if (file := getsourcefile(import_module(name)))}


def _own(modules: Iterable[str]) -> set[str]:
    return {name for name in modules if not name.startswith("shallowexp.")}


def contents(files: Iterable[str]) -> dict[str, str]:
    """File -> digest of what it holds, empty if it is gone."""
    return {file: sha256(Path(file).read_bytes()).hexdigest() if Path(file).exists() else "" for file in files}


@cache
def code() -> str:
    """Digest of the package, of both conf trees, of the working directory's modules, of the libraries' versions and of the BLAS."""
    here = Path.cwd()
    files = [
        *Path(provenance.__file__).parent.rglob("*.py"),
        *CONF.rglob("*.yaml"),
        *(here / "conf").rglob("*.yaml"),
        *here.glob("*.py"),
    ]
    versions = [f"{name}=={version(name)}".encode() for name in LIBRARIES]
    blas = provenance.blas().encode()
    contents = [path.read_bytes() for path in sorted(set(files)) if path.is_file()]
    return sha256(b"".join([*versions, blas, *contents])).hexdigest()
