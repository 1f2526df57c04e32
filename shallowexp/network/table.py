"""Data of one's own: a CSV or Parquet file, one column of which is the target."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shallowexp.network.data import TASKS, Real

if TYPE_CHECKING:
    import pandas as pd

FEW = 20  # different whole numbers that are taken for classes
READERS = {".csv": "read_csv", ".parquet": "read_parquet"}


@dataclass(frozen=True)
class Table(Real):
    """The file at `path`, a row a sample: the column `target` is learned from all others, which have to be numbers.

    With categorical=onehot a column of text becomes one of 0 and 1 for each of its values; one that is numbers but for a few rows,
    or whose values hardly repeat, is refused all the same. The task is found from the target: text,
    truth values and up to 20 whole numbers are classes, in sorted order; else it is a regression, whose target is divided by its
    standard deviation.
    """

    path: str = "???"  # as Hydra marks what has to be given
    target: str = "???"
    task: str = "auto"
    categorical: str = "refuse"
    test_size: float = 0.2
    seed: int = 1
    standardise: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, value in (("path", self.path), ("target", self.target)):
            if value == "???":
                raise ValueError(f"data.{key} is not set: data=csv data.path=points.csv data.target=label")
        _one_of("task", self.task, ("auto", *TASKS))
        _one_of("categorical", self.categorical, ("refuse", "onehot"))
        found = self._find_task(self._column(self._frame()))
        object.__setattr__(self, "task", found)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        import pandas as pd

        frame = self._frame()
        y = self._column(frame)
        X = frame.drop(columns=self.target)
        if X.empty:
            raise ValueError(f"data.path={self.path} has no column beside the target: one to learn from is needed")
        for name in X.select_dtypes(exclude=["number", "bool"]):
            self._check_text(X[name])
        X = pd.get_dummies(X).astype(float)
        return X.to_numpy(), y.to_numpy(float) if self.task == "regression" else np.unique(y, return_inverse=True)[1]

    def _frame(self) -> "pd.DataFrame":
        import pandas as pd

        path = Path(self.path)
        if path.suffix not in READERS:
            raise ValueError(
                f"data.path={self.path} is not a table that can be read: its name must end in {' or '.join(READERS)}"
            )
        try:
            frame: pd.DataFrame = getattr(pd, READERS[path.suffix])(path)
        except FileNotFoundError:
            raise ValueError(f"data.path={self.path}: there is no such file in {Path.cwd()}") from None
        except Exception as error:
            raise ValueError(f"data.path={self.path} cannot be read: {error}") from None
        for name in frame:
            absent = np.flatnonzero(frame[name].isna())
            if len(absent):
                raise ValueError(
                    f"data.path={self.path} has no value in row {absent[0] + 1} of column {name}"
                    f" ({int(frame.isna().sum().sum())} are missing in all): fill them in, or leave those rows out"
                )
        return frame

    def _column(self, frame: "pd.DataFrame") -> "pd.Series":
        if self.target not in frame:
            names = [str(name) for name in frame]
            near = get_close_matches(self.target, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(names[:20])}"
            raise ValueError(f"data.target={self.target} is not a column of {self.path}: {hint}")
        column: pd.Series = frame[self.target]
        return column

    def _find_task(self, y: "pd.Series") -> str:
        classes, numeric = y.nunique(), y.dtype.kind in "iuf"
        if classes < 2:
            raise ValueError(
                f"data.target={self.target} is {y.iloc[0] if len(y) else 'nothing'} in every row: there is nothing to learn"
            )
        if self.task == "regression" and not numeric:
            raise ValueError(self._text(y))
        if self.task == "binary" and classes > 2:
            raise ValueError(
                f"data.task=binary, but data.target={self.target} has {classes} different values: choose multiclass"
            )
        if self.task != "auto":
            return self.task
        if y.dtype.kind == "f" and classes > 2 or classes > FEW and numeric:
            return "regression"
        return "binary" if classes == 2 else "multiclass"

    def _check_text(self, column: "pd.Series") -> None:
        """Raise ValueError unless its values are to be categories, and can be."""
        import pandas as pd

        different = column.nunique()
        if self.categorical == "refuse":
            raise ValueError(f"{self._text(column)}: mend it, leave the column out, or set data.categorical=onehot")
        if 2 * pd.to_numeric(column, errors="coerce").count() > len(column):
            raise ValueError(f"{self._text(column)}, but numbers in most others: mend it or leave the column out")
        if different > max(FEW, len(column) // 2):
            raise ValueError(
                f"data.path={self.path} has {different} different values in the {len(column)} rows of column {column.name}:"
                " too many for categories, leave the column out"
            )

    def _text(self, column: "pd.Series") -> str:
        """Where a column is not a number."""
        import pandas as pd

        row = int(np.argmax(pd.to_numeric(column, errors="coerce").isna())) if len(column) else 0
        return (
            f"data.path={self.path} has {str(column.iloc[row])!r}, no number, in row {row + 1} of column {column.name}"
        )


def _one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"data.{key}={value} is not a choice: choose {', '.join(choices)}")
