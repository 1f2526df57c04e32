"""Tracked runs as the report needs them: long frames by run id -> `Runs` by fingerprint."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from shallowexp.analysis import Runs
from shallowexp.tracking.artifacts import load_arrays
from shallowexp.tracking.errors import tracked
from shallowexp.tracking.records import FINGERPRINT, PARENT, WEIGHTS, Frames

COMMIT = "mlflow.source.git.commit"


def runs_of(frames: Frames, uri: str) -> Runs:
    """Long frames by run id -> Runs by fingerprint."""
    tags, params, points = _wide(frames.tags), _wide(frames.params).apply(_numbers), frames.points
    fingerprints = tags[FINGERPRINT] if len(tags) else pd.Series(dtype=str)
    points = points.sort_values("timestamp", kind="stable").assign(
        fingerprint=points["run_id"].map(fingerprints).astype(str)
    )
    points = points.drop_duplicates(["fingerprint", "key", "step"], keep="last")
    histories = points.pivot(index=["fingerprint", "step"], columns="key", values="value").rename_axis(columns=None)
    names = [key for key in map(str, tags) if key.startswith("shallowexp.") and key != FINGERPRINT]
    own = {key: key.removeprefix("shallowexp.") for key in names}
    own |= {key: name for key, name in ((COMMIT, "commit"), (PARENT, "sweep"), ("outcome", "outcome")) if key in tags}
    table = frames.runs.set_index("run_id").join(params).join(tags[list(own)].rename(columns=own))
    table = table.assign(fingerprint=fingerprints).reset_index().set_index("fingerprint").sort_index()
    table = table.join(histories.groupby(level="fingerprint").last())
    histories = histories.reset_index().join(table[list(params)], on="fingerprint")
    weights = table["artifact_uri"][table["weights"].notna()] if "weights" in table else pd.Series(dtype=str)
    return Runs(
        table.drop(columns=["artifact_uri", "weights"], errors="ignore"),
        histories,
        Weights(uri, {str(fingerprint): at for fingerprint, at in weights.items()}),
    )


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Long run_id, key, value -> a row for each run, a column for each key."""
    return rows.pivot(index="run_id", columns="key", values="value").rename_axis(columns=None)


def _numbers(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column


class Weights(Mapping[str, Mapping[str, np.ndarray]]):
    """Fingerprint -> arrays of weights.npz (steps, W1, b1, W2, b2), read from the store at each access."""

    def __init__(self, uri: str, artifact_uris: dict[str, str]):
        self.uri, self._artifact_uris = uri, artifact_uris

    @tracked
    def __getitem__(self, fingerprint: str) -> dict[str, np.ndarray]:
        return load_arrays(self._artifact_uris[fingerprint], self.uri, WEIGHTS)

    def __iter__(self) -> Iterator[str]:
        return iter(self._artifact_uris)

    def __len__(self) -> int:
        return len(self._artifact_uris)
