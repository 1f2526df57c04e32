"""Fields as pictures, one panel beside the other, in rows, on one scale of colors.

What diverged is drawn by the step at which it did, in colors of its own. Dashed lines mark the chapter's and the course's values.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import BoundaryNorm, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogFormatter, MaxNLocator, NullLocator

from shallowexp.analysis import LOSS
from shallowexp.claims import figures
from shallowexp.claims.figures import styled
from shallowexp.fields.field import PLACE, Field, differences, named, without_what_follows

LABELS = {
    "train/loss": "training loss",
    "train/accuracy": "training accuracy",
    "train/r2": "training r2",
    "symmetry/effective_units": "effective units",
    "saturation/fraction": "fraction saturated",
    "reached/step": "step at which the loss was reached",
    "diverged/step": "step of divergence",
    "change/W1": "relative change of W1",
}
STEPS = "diverged/step"
WORSE = "0.75"  # more loss than with weights of 0
LOGARITHMIC = ("reached/step", "change/W1", STEPS)
DISCRETE = 12  # effective units at most that have a color each
OUTLINE = [withStroke(linewidth=1.5, foreground="0.25")]  # of white lines and words
MARKS = {
    "init.scale": (0.01, "the chapter's 0.01"),
    "train.learning_rate": (1.2, "the course's 1.2"),
}  # key -> its value there
PANEL, DPI = 3.3, 160  # inches, and their dots
ROW = 4  # panels beside each other


@styled
def draw(fields: Sequence[Field]) -> Figure:
    """A panel for each field, named by what differs between them, of the measure that the first one shows."""
    side = max(PANEL, max(max(field.x.count, field.y.count) for field in fields) / DPI)
    columns, show = min(len(fields), ROW), fields[0].show
    rows = -(-len(fields) // columns)
    figure = Figure(figsize=(side * columns + 1.7, (side + 0.7) * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = grid.ravel()[: len(fields)]
    for unused in grid.ravel()[len(fields) :]:
        unused.remove()
    shown, diverged = zip(*(_layers(field, show) for field in fields), strict=True)
    for values, name, colors in ((shown, show, "viridis"), (diverged, STEPS, "Reds")):
        norm = _norm(values, name, fields[0].zero_loss)
        colormap = matplotlib.colormaps[colors].with_extremes(over=WORSE if name == LOSS else None)
        for ax, field, array in zip(panels, fields, values, strict=True):
            mesh = ax.pcolormesh(field.x.edges, field.y.edges, array, norm=norm, cmap=colormap)
        if any(np.isfinite(array).any() for array in values):
            _bar(figure, mesh, panels, name)
    for ax, field in zip(panels, fields, strict=True):
        _axes(ax, field, named=ax is panels[0])
        ax.set_title(_title(field, fields))
        if field.y == fields[0].y and ax not in grid[:, 0]:
            ax.set(ylabel=None, yticklabels=[])
    return figure


def _bar(figure: Figure, mesh: QuadMesh, panels: np.ndarray, name: str) -> None:
    extend = "max" if name == LOSS else "neither"
    bar = figure.colorbar(mesh, ax=panels, label=LABELS[name], pad=0.02, fraction=0.06, extend=extend, format="{x:g}")
    if isinstance(mesh.norm, BoundaryNorm):
        bar.set_ticks([*range(1, mesh.norm.N)])
    if isinstance(mesh.norm, LogNorm):
        bar.minorformatter = LogFormatter()  # plain numbers


def _layers(field: Field, show: str) -> tuple[np.ndarray, np.ndarray]:
    """The measure where training did not diverge, and the step at which it did."""
    return field.where_trained(show), np.maximum(field.arrays[STEPS], 1)


def _norm(arrays: Sequence[np.ndarray], name: str, zero_loss: float) -> Normalize:
    """Colors over all but the farthest hundredths, so that a few pixels do not leave the others alike."""
    values = np.concatenate([array[np.isfinite(array)] for array in arrays])
    if name == "symmetry/effective_units" and len(values) and values.max() <= DISCRETE:
        return BoundaryNorm(np.arange(0.5, values.max() + 1), 256)
    logarithmic = name in LOGARITHMIC and (values > 0).any()
    values = values[values > 0] if logarithmic else values
    low, high = np.percentile(values, [1, 99]) if len(values) else (0, 1)
    high = 1.01 * zero_loss if name == LOSS else high  # a little above it training may start
    return (LogNorm if logarithmic else Normalize)(low, high if high > low else 2 * low + 1)


def _axes(ax: Axes, field: Field, named: bool) -> None:
    scales = {"xscale": field.x.scale, "yscale": field.y.scale}
    ax.set(xlabel=field.x.key, ylabel=field.y.key, **scales)
    ax.set(xlim=field.x.edges[[0, -1]], ylim=field.y.edges[[0, -1]])
    ax.grid(False)
    for drawn, axis in ((ax.xaxis, field.x), (ax.yaxis, field.y)):
        if (
            axis.scale == "log" and axis.high < 10 * axis.low
        ):  # of less than a decade a log scale names little, or all at once
            drawn.set_major_locator(MaxNLocator(3))
            drawn.set_minor_locator(NullLocator())
            drawn.set_major_formatter("{x:.8g}")
    for axis, line in ((field.x, ax.axvline), (field.y, ax.axhline)):
        value, _ = MARKS.get(axis.key, (np.nan, ""))
        if axis.low < value < axis.high:
            line(value, color="white", linewidth=0.9, linestyle=(0, (4, 3)), path_effects=OUTLINE)
            if named:
                _name(ax, axis is field.x, axis.key)


def _name(ax: Axes, upright: bool, key: str) -> None:
    """Whose value a dashed line is, beside it."""
    value, whose = MARKS[key]
    style: dict[str, Any] = {"color": "white", "fontsize": 7, "va": "bottom", "path_effects": OUTLINE}
    if upright:
        ax.text(value, 0.02, whose, transform=ax.get_xaxis_transform(), rotation=90, ha="right", **style)
    else:
        ax.text(0.98, value, whose, transform=ax.get_yaxis_transform(), ha="right", **style)


def _title(field: Field, fields: Sequence[Field]) -> str:
    """What tells the fields apart; of one alone, what it is of."""
    return named(field, without_what_follows(differences(fields)) or ("data", "activation"))


def save(fields: Sequence[Field], stem: Path, metadata: Mapping[str, str]) -> Path:
    (path,) = figures.save(draw(fields), stem, metadata, ["png"])
    return path


def png(field: Field) -> bytes:
    """Its metadata say where the panel lies, for a page that is pointed at."""
    file = io.BytesIO()
    with figures.styled:
        drawn = draw([field])
        drawn.draw_without_rendering()
        box = drawn.axes[0].get_position()
        place = json.dumps([box.x0, 1 - box.y1, box.width, box.height])
        drawn.savefig(file, format="png", metadata={"Software": None, PLACE: place})
    return file.getvalue()
