"""A trained field: two axes, what is kept of each pixel, and what its pixels share; as arrays, a frame and one npz file.

A pixel is the network of one value of x and one of y. Arrays are (height, width) with the lowest y in row 0; NaN is undefined:
a step that no pixel's history reached, or the measures of a network that diverged before it was first measured. As in a run's
table, a pixel that diverged keeps the last values that were finite, and `diverged/step` says that it did.
"""

import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from html import escape

import numpy as np
import pandas as pd

from shallowexp.analysis import Lacking
from shallowexp.config.composition import overrides_of

PLACE = "Panel"  # in the metadata of a picture: left, top, width and height of its panel, over those of the whole
ACCURACY = "train/accuracy"  # train/r2 for regression, as of runs
UNITS = {  # of the measures, in the order in which they are kept
    "train/loss": "loss per sample, at the last logged step",
    ACCURACY: "fraction of samples; of a regression r2",
    "symmetry/effective_units": "hidden units",
    "saturation/fraction": "fraction of units x samples",
    "reached/step": "first logged step at which the training loss was at most `field.loss`",
    "diverged/step": "first step at which the parameters, or the loss where it was logged, were not finite",
    "change/W1": "norm of W1 - W1(0) over that of W1(0)",
}


@dataclass(frozen=True)
class Axis:
    """The values that a key takes over a field, from `low` to `high`, both included."""

    key: str
    low: float
    high: float
    scale: str  # linear or log
    count: int
    integer: bool = False  # values are rounded

    @cached_property
    def values(self) -> np.ndarray:
        """(count,), rising."""
        space = np.geomspace if self.scale == "log" else np.linspace
        spaced: np.ndarray = space(self.low, self.high, self.count)
        return np.rint(spaced).astype(np.int64) if self.integer else spaced

    @property
    def edges(self) -> np.ndarray:
        """(count + 1,): where each pixel begins and ends in a picture."""
        ends = np.array([self.low, self.high], float)
        low, high = np.log(ends) if self.scale == "log" else ends
        half = (high - low) / (self.count - 1) / 2
        edges: np.ndarray = np.linspace(low - half, high + half, self.count + 1)
        return np.exp(edges) if self.scale == "log" else edges

    def nearest(self, value: float) -> int:
        """The place of the value that lies nearest, by ratio on a log axis. Raises Lacking where it is off the axis."""
        if not self.edges[0] <= value <= self.edges[-1]:
            raise Lacking(f"{self.key}={value:g} is not among {self.low:g} to {self.high:g}")
        space = np.log if self.scale == "log" else np.asarray
        return int(np.abs(space(self.values) - space(value)).argmin())

    def part(self, start: int, stop: int) -> "Axis":
        """As many values, from that of `start` to that before `stop`."""
        return replace(self, low=float(self.values[start]), high=float(self.values[stop - 1]))


@dataclass(frozen=True)
class Field:
    """What is kept of every pixel."""

    x: Axis
    y: Axis
    arrays: Mapping[str, np.ndarray]  # measure -> (height, width)
    params: Mapping[str, str]  # the configuration, named as the overrides that set it; the axes' keys at their lowest
    loss: float  # what `reached/step` means
    zero_loss: float  # of weights that are all 0
    show: str  # the measure that its picture shows
    choice: str = ""  # of conf/field, as trainability; empty: none
    window: int = 0  # how often it was zoomed in

    @property
    def units(self) -> dict[str, str]:
        """What each measure counts."""
        return {name: UNITS.get(name, UNITS[ACCURACY]) for name in self.arrays}

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each pixel: its place, the values of the two keys, and each measure; `attrs["units"]` says what they count."""
        rows, columns = np.indices((self.y.count, self.x.count)).reshape(2, -1)
        axes = {self.x.key: self.x.values[columns], self.y.key: self.y.values[rows]}
        measures = {name: array.ravel() for name, array in self.arrays.items()}
        frame = pd.DataFrame({"column": columns, "row": rows, **axes, **measures})
        frame.attrs["units"] = self.units
        return frame

    def where_trained(self, measure: str) -> np.ndarray:
        """(height, width): NaN, too, where it diverged."""
        return np.where(np.isfinite(self.arrays["diverged/step"]), np.nan, self.arrays[measure])

    def command(self, column: int, row: int) -> str:
        """What trains this pixel as a run, to the same bit."""
        at = {axis.key: str(axis.values[i].item()) for axis, i in ((self.x, column), (self.y, row))}
        return shlex.join(["shallowexp", *overrides_of({**self.params, **at})])

    def __str__(self) -> str:
        diverged = int(np.isfinite(self.arrays["diverged/step"]).sum())
        loss = self.where_trained("train/loss")
        counts = f"{loss.size:,} pixels, {diverged:,} of them diverged"
        if not np.isfinite(loss).any():
            return counts
        row, column = np.unravel_index(np.nanargmin(loss), loss.shape)
        at = " ".join(f"{axis.key}={axis.values[i]:.4g}" for axis, i in ((self.x, column), (self.y, row)))
        return f"{counts}; lowest train/loss {loss[row, column]:.4g} at {at}"

    def _repr_html_(self) -> str:
        """What a notebook shows: both axes, what the command says, and of each measure its range and what it counts."""
        axes = ", ".join(f"{a.key} from {a.low:g} to {a.high:g} ({a.scale}, {a.count})" for a in (self.x, self.y))
        measures = pd.DataFrame({name: array.ravel() for name, array in self.arrays.items()}).describe().T
        table = measures[["min", "50%", "max"]].rename(columns={"50%": "median"}).assign(counts=pd.Series(self.units))
        return f"<p>{escape(axes)}: {escape(str(self))}</p>{table.to_html(na_rep='–', float_format='{:.4g}'.format)}"

    def to_npz(self) -> bytes:
        about = {name: asdict(value) if isinstance(value, Axis) else value for name, value in vars(self).items()}
        text = np.array(json.dumps(about | {"arrays": [*self.arrays], "units": self.units}))
        file, axes = io.BytesIO(), {axis.key: axis.values for axis in (self.x, self.y)}
        np.savez_compressed(file, allow_pickle=False, about=text, **axes, **self.arrays)
        return file.getvalue()

    @classmethod
    def from_npz(cls, content: Mapping[str, np.ndarray]) -> "Field":
        about = json.loads(content["about"].item())
        del about["units"]
        arrays = {name: content[name] for name in about["arrays"]}
        return cls(**about | {"x": Axis(**about["x"]), "y": Axis(**about["y"]), "arrays": arrays})


def differences(fields: Sequence[Field]) -> list[str]:
    """Keys of the configuration that tell them apart."""
    keys = dict.fromkeys(key for field in fields for key in field.params)
    return [key for key in keys if len({field.params.get(key) for field in fields}) > 1]


def without_what_follows(keys: Sequence[str]) -> list[str]:
    """Without those of a choice that is among them, and the data's seed where it follows the network's."""
    own = {key for key in keys if "." in key and key.partition(".")[0] in keys}
    return [key for key in keys if key not in own and not (key == "data.seed" and "seed" in keys)]


def named(field: Field, keys: Sequence[str]) -> str:
    """By its values of these keys: "relu, seed 3"."""
    values = {key: field.params[key] for key in keys if key in field.params}
    return ", ".join(v if v.isidentifier() else f"{key.rpartition('.')[2]} {v}" for key, v in values.items())
