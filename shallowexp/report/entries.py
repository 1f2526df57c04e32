"""What the runs say of each claim, kept from one report to the next in claims.json; claims.csv is the same, flat."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cached_property
from math import isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.errors import EmptyDataError

from shallowexp.claims.claim import Claim
from shallowexp.claims.verdict import Estimate, Verdict

CLAIMS = "claims.json"
SUFFIXES = (".png", ".svg", ".pdf", ".csv", "-runs.csv")


@dataclass(frozen=True)
class Entry:
    """What the runs say of a claim. All but the claim's text and what lies beside the report is kept in claims.json."""

    claim: Claim
    folder: Path
    caption: str
    hypothesis: str
    command: str
    verdict: Verdict
    runs: int
    missing: int
    diverged: int
    digest: str  # of the runs' sorted fingerprints
    inputs: str  # digest of all that the figure and the verdict were made from
    sweep: str | None  # run id of the sweep that trained the newest of its runs
    commits: list[str]
    versions: list[str]
    started: datetime
    ended: datetime
    seconds: float  # of the runs' batches from start to end, without the pauses between sweeps

    def is_of(self, inputs: str) -> bool:
        """Whether it was made from these, and its files are there."""
        return self.inputs == inputs and all(beside(self.folder, self.claim, suffix).exists() for suffix in SUFFIXES)

    @cached_property
    def run_ids(self) -> list[tuple[str, str]]:
        """Run id and fingerprint of every run."""
        table = pd.read_csv(beside(self.folder, self.claim, "-runs.csv"))
        return list(table[["run_id", "fingerprint"]].itertuples(index=False, name=None))

    @property
    def numbers(self) -> pd.DataFrame:
        try:
            return pd.read_csv(beside(self.folder, self.claim, ".csv"))
        except EmptyDataError:  # nothing could be drawn of the few runs that are there
            return pd.DataFrame()

    @property
    def animation(self) -> Path | None:
        path = beside(self.folder, self.claim, ".gif")
        return path if path.exists() else None

    def row(self) -> dict[str, object]:
        """Of claims.csv: flat."""
        claim = {"name": self.claim.name, "section": self.claim.section, "claim": self.claim.sentence}
        verdict = {name: getattr(self.verdict, name) for name in ("outcome", "measure", "scope")}
        counts = {"holds": sum(self.verdict.parts.values()), "parts": len(self.verdict.parts)}
        kept = {name: getattr(self, name) for name in KEPT if name not in ("verdict", "commits", "versions")}
        return claim | verdict | counts | _written(self.verdict.effect) | kept

    def to_json(self) -> dict[str, object]:
        kept = {name: getattr(self, name) for name in KEPT}
        return self.row() | kept | {"verdict": plain(self.verdict)}

    @classmethod
    def from_json(cls, row: dict[str, Any], claim: Claim, folder: Path) -> "Entry":
        """Raises KeyError where the file is of another form."""
        kept = {name: row[name] for name in KEPT}
        told = row["verdict"]
        value, low, high = (nan if bound is None else bound for bound in told["effect"])
        effect = Estimate(value, low, high)
        verdict = Verdict(told["parts"], told["measure"], effect, told["scope"], told["notes"], told["over"])
        dates = {name: datetime.fromisoformat(row[name]) for name in ("started", "ended")}
        return cls(claim, folder, **kept | {"verdict": verdict} | dates)


KEPT = [field.name for field in fields(Entry) if field.name not in ("claim", "folder")]


def plain(verdict: Verdict) -> dict[str, object]:
    """For JSON."""
    return {"outcome": verdict.outcome, **asdict(verdict), "effect": [*_written(verdict.effect).values()]}


def _written(effect: Estimate) -> dict[str, float | None]:
    """None where there is no interval: NaN is no JSON."""
    return {name: None if isnan(value) else value for name, value in effect._asdict().items()}


def beside(output: Path, claim: Claim, suffix: str) -> Path:
    return output / f"{claim.name}{suffix}"


def read(output: Path, claims: Mapping[str, Claim]) -> dict[str, Entry]:
    """The entries of the report that is already there, of claims that still are; none where it is of another form."""
    try:
        rows = json.loads((output / CLAIMS).read_text(encoding="utf-8"))
        return {row["name"]: Entry.from_json(row, claims[row["name"]], output) for row in rows if row["name"] in claims}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def write(entries: Sequence[Entry], output: Path) -> None:
    """Write claims.json and claims.csv in `output`."""
    rows = [entry.to_json() for entry in entries]
    text = json.dumps(rows, indent=1, ensure_ascii=False, default=datetime.isoformat, allow_nan=False)
    (output / CLAIMS).write_text(text + "\n", encoding="utf-8")
    pd.DataFrame([entry.row() for entry in entries]).to_csv(output / "claims.csv", index=False)
