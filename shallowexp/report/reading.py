"""Which tracked runs an entry is made from: of those that an experiment's sweep plans the newest finished one of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from shallowexp.analysis import Runs
from shallowexp.claims.claim import Claim
from shallowexp.report.plans import Plan, code
from shallowexp.tracking.store import Store


class Tracked(NamedTuple):
    """What the store holds of an experiment."""

    experiment_id: str
    runs: Mapping[str, str]  # fingerprint -> run id of its newest finished run


@dataclass(frozen=True)
class Selection:
    """The planned runs of one experiment that are there."""

    claim: Claim
    experiment_id: str
    runs: Mapping[str, str]  # fingerprint -> run id, sorted
    planned: int
    others: int  # finished runs of another version or configuration

    @property
    def missing(self) -> int:
        return self.planned - len(self.runs)

    @property
    def inputs(self) -> str:
        """Digest of all that an entry is made from: runs, code and the claim's file."""
        return digest(
            [*self.runs, *self.runs.values(), code(), self.claim.path.read_text(encoding="utf-8", errors="replace")]
        )

    def read(self, store: Store) -> Runs:
        return store.runs(self.experiment_id, list(self.runs.values()))


def tracked(claim: Claim, store: Store) -> Tracked:
    experiment_id = store.find(claim.name)
    return Tracked(experiment_id, store.finished(experiment_id)) if experiment_id else Tracked("", {})


def select(plan: Plan, there: Tracked) -> Selection:
    planned = plan.fingerprints
    chosen = {fingerprint: there.runs[fingerprint] for fingerprint in sorted(planned & there.runs.keys())}
    return Selection(plan.claim, there.experiment_id, chosen, len(planned), len(there.runs.keys() - planned))


def digest(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
