"""The edge of training, between pixels that end below the loss of weights of 0 and those that end above it or diverge.

Where the loss grows without bound, whether it overflows is a matter of steps and precision; whether it grows is not. Here is
where to look closer at that border, and its box-counting dimension.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shallowexp.claims.statistics import Effect
from shallowexp.errors import UserError
from shallowexp.fields.field import Field
from shallowexp.fields.plan import Plan

FACTOR = 4  # of a zoom, in both directions
FEWEST = 8  # boxes along a side at the coarsest


def border(field: Field) -> np.ndarray:
    """(height, width) bool: pixels whose neighbour to the right or above ended otherwise."""
    diverged, loss = np.isfinite(field.arrays["diverged/step"]), field.arrays["train/loss"]
    worse = diverged | ~(loss <= field.zero_loss)
    edge = np.zeros(worse.shape, bool)
    edge[:-1] |= worse[1:] != worse[:-1]
    edge[:, :-1] |= worse[:, 1:] != worse[:, :-1]
    return edge


def zoomed(plan: Plan, field: Field) -> Plan:
    """The same field over a quarter of both axes: of all such windows, the first with the most border in it.

    Raises UserError where no pixel ends so, or all do.
    """
    height, width = (axis.count // FACTOR for axis in (field.y, field.x))
    sums = np.pad(border(field).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    if not inside.any():
        raise UserError("there is no edge of training in this field: choose other axes, or field.zoom=0")
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    x, y = plan.x.part(int(column), int(column) + width), plan.y.part(int(row), int(row) + height)
    return replace(plan, x=x, y=y, window=plan.window + 1)


def dimension(edge: np.ndarray) -> float:
    """The box-counting dimension of what is true in a picture: minus the slope of log boxes against log size.

    Sizes are powers of two from one pixel, while a side has at least FEWEST boxes. NaN for an empty picture.
    """
    sizes = [2**k for k in range(min(edge.shape).bit_length()) if min(edge.shape) // 2**k >= FEWEST]
    counts = [_boxes(edge, size) for size in sizes]
    if not all(counts) or len(sizes) < 2:
        return float("nan")
    return float(-np.polyfit(np.log(sizes), np.log(counts), 1)[0])


def _boxes(edge: np.ndarray, size: int) -> int:
    """How many boxes of this size hold a true pixel; what is left over at the far sides is cut off."""
    height, width = (n // size * size for n in edge.shape)
    blocks = edge[:height, :width].reshape(height // size, size, width // size, size)
    return int(blocks.any(axis=(1, 3)).sum())


def dimensions(fields: Sequence[Field]) -> str:
    """The mean over zooms with its 95% interval, in words."""
    found = Effect.of([value for field in fields if np.isfinite(value := dimension(border(field)))])
    return f"box-counting dimension {found.value:.3f} [{found.low:.3f}, {found.high:.3f}] over {found.n} windows"
