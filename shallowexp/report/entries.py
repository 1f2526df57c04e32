"""What the runs of each experiment say, kept from one report to the next in claims.json; claims.csv has a row for each atom."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.errors import EmptyDataError

from shallowexp.claims.claim import Claim
from shallowexp.claims.statement import Atom, Judgement, chapter, judge

CLAIMS = "claims.json"
SUFFIXES = (".png", ".svg", ".pdf", "-wide.pdf", "-card.png", "-card.svg", "-card.pdf", ".csv", "-runs.csv")


@dataclass(frozen=True)
class Entry:
    """What the runs say of a claim. All but the claim's text and what lies beside the report is kept in claims.json."""

    claim: Claim
    folder: Path
    caption: str
    headline: str  # of a finding that the page opens with, else empty
    command: str
    atoms: list[Atom]
    lacks: str  # why there are no atoms, else empty
    registered: str  # whether the hypotheses were fixed before the runs
    hypotheses: str  # digest of their code
    runs: int
    missing: int
    diverged: int
    digest: str  # of the runs' sorted fingerprints
    inputs: str  # digest of all that the figure and the atoms were made from
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

    def to_json(self) -> dict[str, object]:
        kept = {name: getattr(self, name) for name in KEPT}
        claim = {"name": self.claim.name, "section": self.claim.section, "claim": self.claim.sentence}
        return claim | kept | {"atoms": [vars(atom) for atom in self.atoms]}

    @classmethod
    def from_json(cls, row: dict[str, Any], claim: Claim, folder: Path) -> "Entry":
        """Raises KeyError or TypeError where the file is of another form."""
        kept = {name: row[name] for name in KEPT} | {"atoms": [Atom(**atom) for atom in row["atoms"]]}
        dates = {name: datetime.fromisoformat(row[name]) for name in ("started", "ended")}
        return cls(claim, folder, **kept | dates)


KEPT = [field.name for field in fields(Entry) if field.name not in ("claim", "folder")]


def beside(output: Path, claim: Claim, suffix: str) -> Path:
    return output / f"{claim.name}{suffix}"


def read(output: Path, claims: Mapping[str, Claim]) -> dict[str, Entry]:
    """The entries of the report that is already there, of claims that still are; none where it is of another form."""
    try:
        rows = json.loads((output / CLAIMS).read_text(encoding="utf-8"))["experiments"]
        return {row["name"]: Entry.from_json(row, claims[row["name"]], output) for row in rows if row["name"] in claims}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def write(
    entries: Sequence[Entry], judged: Sequence[Judgement], beyond: Mapping[str, Sequence[Atom]], output: Path
) -> None:
    """Write claims.json and claims.csv in `output`; the table has those of fields, too, which are `beyond` the chapter."""
    said = [{name: value for name, value in vars(found.statement).items() if name != "line"} for found in judged]
    statements = [
        text | {"outcome": found.outcome, "condition": found.condition}
        for text, found in zip(said, judged, strict=True)
    ]
    content = {"statements": statements, "experiments": [entry.to_json() for entry in entries]}
    text = json.dumps(content, indent=1, ensure_ascii=False, default=datetime.isoformat, allow_nan=False)
    (output / CLAIMS).write_text(text + "\n", encoding="utf-8")
    corrected = {atom: outcome for found in judged for atom, outcome in zip(found.atoms, found.outcomes, strict=True)}
    said_by = {entry.claim.name: entry.atoms for entry in entries} | {**beyond}
    rows = [
        {"experiment": name, "outcome": corrected.get(atom, atom.outcome()), **vars(atom)}
        for name, atoms in said_by.items()
        for atom in atoms
    ]
    pd.DataFrame(rows).to_csv(output / "claims.csv", index=False)


def judge_all(entries: Sequence[Entry]) -> list[Judgement]:
    """Every statement of the chapter that runs can say anything of, in its order."""
    atoms = [atom for entry in entries for atom in entry.atoms]
    return [judge(statement, atoms) for statement in chapter().values() if statement.judged]
