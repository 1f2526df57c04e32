"""`python -m benchmarks.stability [names]`: how far each effect of the report moves when the initial weights do, by one part in 1e15.

Gradient descent amplifies a last bit, at some learning rates to order one: what a mean over seeds then keeps is what another
processor would find too. Every sweep is trained again, in a store of its own, from weights times 1 + 1e-15: equal units stay
equal, zero stays zero. The largest change of an effect or of its bounds is written into docs/stability.json, and docs/chapter.md
shows no digit that moved.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shallowexp.claims.claim import Claim, find
from shallowexp.claims.statement import Atom
from shallowexp.network.initializers import Initializer, Parameters
from shallowexp.report import chapter
from shallowexp.report.entries import read
from shallowexp.report.plans import compose
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store

FACTOR = 1 + 1e-15


@dataclass(frozen=True)
class Perturbed(Initializer):
    """The weights of `original`, each times 1 + 1e-15."""

    original: Initializer
    kind: str  # of it, for the fingerprint: its fields alone do not tell zero from constant

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        W1, b1, W2, b2 = self.original(n_x, n_h, n_y, seed)
        return Parameters(FACTOR * W1, b1, FACTOR * W2, b2)


def of(original: Initializer) -> Perturbed:
    return Perturbed(original, type(original).__qualname__)


def perturbed(claim: Claim, store: Store) -> list[Atom]:
    """The atoms of its sweep, trained from perturbed weights."""
    runs = [replace(run, job=replace(run.job, init=of(run.job.init))) for run in compose(claim.name).runs]
    tracker = ExperimentTracker.open(claim.name, store)
    tracker.sweep(runs, runs)
    return list(claim.load().atoms(store.read(claim.name, [run.fingerprint for run in runs])))


def moves(before: list[Atom], after: list[Atom]) -> Iterator[tuple[str, float]]:
    """Each atom's key, and how far it moved in its own unit. Raises ValueError where an atom is only there before or after."""
    for old, new in zip(before, after, strict=True):
        if chapter.key(old) != chapter.key(new):
            raise ValueError(f"the kept report is of other atoms: {chapter.key(old)} is now {chapter.key(new)}")
        pairs = [(old.value, new.value), (old.low, new.low), (old.high, new.high)]
        largest = max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)
        yield chapter.key(old), float(f"{largest:.1e}")


def main() -> None:
    claims, kept = find(), read(chapter.DOCS, find())
    path = chapter.DOCS / chapter.STABILITY
    found = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{Path(folder, 'mlflow.db')}")
        for name in sys.argv[1:] or kept:
            found[name] = dict(moves(kept[name].atoms, perturbed(claims[name], store)))
            print(f"{name}: median {np.median(list(found[name].values())):.1e}, most {max(found[name].values()):.1e}")
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
