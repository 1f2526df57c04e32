"""What an experiment would train, and the code that decides it: composed once, remembered beside the report."""

import json
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from inspect import getsourcefile
from pathlib import Path

from omegaconf import OmegaConf

from shallowexp import CONF, provenance
from shallowexp.claims.claim import Claim
from shallowexp.config.composition import compose_experiment
from shallowexp.config.runs import GROUPS, Run, plan

LIBRARIES = ("hydra-core", "matplotlib", "numpy", "omegaconf", "pandas", "scipy")


def runs(name: str) -> list[Run]:
    """The runs that conf/experiment/<name>.yaml composes. Raises Hydra's errors and ConfigError."""
    return sweep(name)[0]


def sweep(name: str) -> tuple[list[Run], dict[str, bytes]]:
    """Those runs, and the files of the configuration that made them."""
    tree, composed = compose_experiment(name)
    files = provenance.configuration(composed, OmegaConf.to_yaml(tree))
    return plan((job.config, job.choices) for job in composed), files


def fingerprints(claim: Claim, folder: Path) -> set[str]:
    """Their fingerprints; composing takes seconds, so they are kept in `folder` as long as no code or YAML changes."""
    remembered, key = folder / ".plans.json", code()
    try:
        known = json.loads(remembered.read_text())
    except (OSError, ValueError):
        known = {}
    known = known if known.get("code") == key else {"code": key}
    plan = known.get(claim.name)
    if plan is None or plan["own"] != _contents(plan["own"]):
        found = runs(claim.name)
        plan = {"own": _contents(_own_files(found)), "fingerprints": [run.fingerprint for run in found]}
        if folder.is_dir():  # a report that finds no runs leaves nothing behind
            remembered.write_text(json.dumps(known | {claim.name: plan}))
    return set(plan["fingerprints"])


def _own_files(runs: Iterable[Run]) -> set[str]:
    """Where the user's own activations, data sets, initialisers and outputs among these runs are written, wherever that is."""
    modules = {type(getattr(run.job, group)).__module__ for run in runs for group in GROUPS}
    return {getsourcefile(import_module(name)) for name in modules if not name.startswith("shallowexp.")}


def _contents(files: Iterable[str]) -> dict[str, str]:
    """File -> digest of what it holds, empty if it is gone."""
    return {file: sha256(Path(file).read_bytes()).hexdigest() if Path(file).exists() else "" for file in files}


@cache
def code() -> str:
    """Digest of the package, of both conf trees, of the working directory's modules and of the libraries' versions."""
    here = Path.cwd()
    files = [
        *Path(__file__).parent.rglob("*.py"),
        *CONF.rglob("*.yaml"),
        *(here / "conf").rglob("*.yaml"),
        *here.glob("*.py"),
    ]
    versions = [f"{name}=={version(name)}".encode() for name in LIBRARIES]
    return sha256(b"".join(versions + [path.read_bytes() for path in sorted(set(files))])).hexdigest()
