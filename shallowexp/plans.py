"""What an experiment would train, and the code that decides it: composed once, remembered beside the report."""

import json
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from omegaconf import OmegaConf

from shallowexp import CONF, provenance
from shallowexp.claims import Claim
from shallowexp.composition import compose_experiment
from shallowexp.config import Run, plan

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
    if claim.name not in known:
        known[claim.name] = [run.fingerprint for run in runs(claim.name)]
        if folder.is_dir():  # a report that finds no runs leaves nothing behind
            remembered.write_text(json.dumps(known))
    return set(known[claim.name])


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
