"""Arrays from Python, written as the file that data=csv reads."""

from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shallowexp.errors import ConfigError


def table(X: Any, y: Any, path: Path, text: bool) -> dict[str, str]:
    """Arrays as a file, and the keys that name it; `text` is allowed in X, too. Raises ConfigError for what nobody can learn from."""
    frame, target = pd.DataFrame(X).infer_objects(), pd.Series(np.asarray(y)).infer_objects()
    if len(frame) != len(target):
        raise ConfigError(f"data: X has {len(frame)} rows and y {len(target)} values; a row is a sample")
    if not frame.size:
        raise ConfigError(f"data: X has shape {frame.shape}: a row is a sample, a column an input")
    faulty = np.column_stack([_faulty(column, text) for _, column in frame.items()])
    if faulty.any():
        row, i = np.argwhere(faulty)[0]
        where, value = f"X[{row}, {frame.columns[i]!r}]", frame.iloc[:, i].tolist()[row]
        hint = "; data.categorical=onehot takes text" if isinstance(value, str) else ""
        needed = f"finite numbers are needed, which {faulty.sum()} of {faulty.size} values are not"
        raise ConfigError(f"data: {where} is {value!r}: {needed}{hint}")
    faulty = _faulty(target, text=True)
    if faulty.any():
        row = int(faulty.argmax())
        needed = f"all finite numbers, or all text, are needed, which {faulty.sum()} of {faulty.size} values are not"
        raise ConfigError(f"data: y[{row}] is {target.tolist()[row]!r}: {needed}")
    columns = frame.set_axis([f"x{i + 1}" for i in range(frame.shape[1])], axis="columns")
    columns.assign(y=target.to_numpy()).to_parquet(path)
    return {"data.path": str(path), "data.target": "y"}


def _faulty(column: pd.Series, text: bool) -> np.ndarray:
    """Which of its values are no finite numbers; with `text`, in a column that is not of numbers, which are no text."""
    if column.dtype.kind in "biuf":
        known: np.ndarray = np.isfinite(column.to_numpy(float, na_value=np.nan))
        return ~known
    return np.array([not (isinstance(v, str) if text else isinstance(v, Real) and isfinite(v)) for v in column])
