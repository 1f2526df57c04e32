"""A run on its way into MLflow and back, and what a backend does with many of them."""

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from mlflow.entities import Experiment

FINGERPRINT, PARENT, WEIGHTS = "shallowexp.fingerprint", "mlflow.parentRunId", "weights.npz"
CONTEXT = "mlflow.data.context", "training"  # the tag of a run's data set
RUN_COLUMNS, TEXT_COLUMNS = ["run_id", "start_time", "end_time", "artifact_uri"], ["run_id", "key", "value"]
POINT_COLUMNS = ["run_id", "key", "step", "timestamp", "value"]


def user() -> str:
    """Who runs this: a name, or the id where nothing names it, as in a container."""
    try:
        return getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def system_tags() -> dict[str, str]:
    """What MLflow's fluent interface sets; not the commit, which it finds only from the path of a script."""
    source = Path(sys.argv[0]).name
    return {"mlflow.user": user(), "mlflow.source.name": source, "mlflow.source.type": "LOCAL"}


@dataclass(frozen=True)
class DatasetInput:
    """The data set that a run was trained on, as MLflow's `datasets` hold it: name and digest tell two apart."""

    name: str
    digest: str
    source: str  # JSON of what made it
    schema: str  # JSON: its columns
    profile: str  # JSON: its sizes
    source_type: str = "code"


@dataclass(frozen=True)
class Record:
    """One run as it is logged in MLflow, whole."""

    fingerprint: str
    name: str
    params: Mapping[str, str]
    tags: dict[str, str]
    steps: np.ndarray  # (p,) int, rising
    metrics: dict[str, np.ndarray]  # name -> (p,); what is not finite is undefined there and not logged
    start: int  # ms since 1970
    end: int
    artifacts: dict[str, bytes] = field(default_factory=dict)  # path -> content
    status: str = "FINISHED"  # or FAILED
    data: DatasetInput | None = None

    def points(self) -> dict[str, list[tuple[int, float]]]:
        """The finite (step, value) points of each metric that has any."""
        found = {}
        for name, values in self.metrics.items():
            finite = np.isfinite(values)
            found[name] = list(zip(self.steps[finite].tolist(), values[finite].tolist(), strict=True))
        return {name: points for name, points in found.items() if points}

    def complete(self, parent: str | None) -> "Record":
        """The same with all the tags that it will have in MLflow, as a child of the run `parent` if there is one."""
        tags = system_tags() | {FINGERPRINT: self.fingerprint, "mlflow.runName": self.name}
        if parent:
            tags |= {PARENT: parent, "sweep": parent[:8]}
        if WEIGHTS in self.artifacts:
            tags["shallowexp.weights"] = WEIGHTS  # spares a reader asking every run for its artifacts
        return replace(self, tags=tags | self.tags)


def owner_of(tags: Mapping[str, str]) -> str:
    """Whose a run is, by its tags: its sweep's run id, or of a run alone its fingerprint."""
    return tags.get(PARENT, tags[FINGERPRINT])


class Frames(NamedTuple):
    """Runs in long form, each row by its run_id."""

    runs: pd.DataFrame  # RUN_COLUMNS
    params: pd.DataFrame  # TEXT_COLUMNS
    tags: pd.DataFrame  # TEXT_COLUMNS
    points: pd.DataFrame  # POINT_COLUMNS: what is logged of each metric


class Backend(Protocol):
    """Writes and reads many runs of an experiment: through MLflow's client, or in bulk where the store is a SQL database."""

    def write(self, experiment: "Experiment", records: Sequence[Record]) -> None:
        """Write runs, each whole or not as FINISHED."""

    def remove_orphans(self, experiment: "Experiment", owners: Iterable[str]) -> None:
        """Artifacts without a run, which these sweeps or runs alone left when they were killed."""

    def finished(self, experiment_id: str) -> list[tuple[int, str, str]]:
        """(start, run id, fingerprint) of every FINISHED run."""

    def last(self, experiment_id: str, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Run id -> the last value of each metric."""

    def frames(self, experiment_id: str, run_ids: Sequence[str], metrics: Collection[str] | None = None) -> Frames:
        """These runs, all that is known of them; where `metrics` are given, of others maybe only the last point."""

    def tag(self, key: str, values: Mapping[str, str]) -> None:
        """Set a tag of each of these runs: run id -> value."""

    def locked(self) -> AbstractContextManager[None]:
        """One process after the other, on whatever host, where the store can see to that."""

    def analyze(self) -> None:
        """What the store needs once many runs were written."""
