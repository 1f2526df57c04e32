"""How every figure looks and is saved; nothing about any one claim.

`@styled` on a function makes what it draws readable in print. A choice has one colour and one line style wherever it
appears: activations from matplotlib's "petroff10" (Petroff 2021), initialisers from "tableau-colorblind10", both
colour-blind safe; numbers (scales, sizes, steps) run from dark to light. A figure is saved as the same bytes by every
call and process.
"""

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ContextDecorator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from shallowexp.analysis import require
from shallowexp.claims.palette import LINE_STYLES, OTHERS, STYLES
from shallowexp.network import data

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

STYLE: "dict[RcKeyType, Any]" = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "pdf.fonttype": 42,
    "svg.hashsalt": "shallowexp",
}
CLASSES = ("#3f90da", "#bd1f01")
UNIT = "#1b7a3d"  # a hidden unit in the input plane
BAND = (0.1, 0.9)
SCREEN_DPI, FRAME, LAST = 100, 350, 2500  # of an animation: pixels per inch, milliseconds of a frame and of the last
CURVE = "curve|"  # how the id of a curve in an SVG begins: curve|panel|name of x|label
SMALL = 720  # pixels: what MLflow's pages have room for


Styles = Mapping[Any, Mapping[str, Any]]  # color and linestyle of each value, in the order of a legend


class Styled(ContextDecorator):
    """`with styled:` and `@styled`, as often as one likes and inside one another: an `rc_context` itself serves once."""

    def __init__(self) -> None:
        self._contexts: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._contexts.append(matplotlib.rc_context(STYLE))
        self._contexts[-1].__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._contexts.pop().__exit__(*exception)


styled = Styled()


def styles_of(values: Collection[Any]) -> dict[Any, dict[str, Any]]:
    """Colour and line style of each different value, in the order in which a legend should name them."""
    different = set(values)
    known = [name for name in STYLES if name in different]
    new = sorted(different - set(known), key=_rank)
    styles = {name: dict(zip(("color", "linestyle"), STYLES[name], strict=True)) for name in known}
    for i, value in enumerate(new):
        dark_to_light = matplotlib.colormaps["viridis"](0.85 * i / max(len(new) - 1, 1))
        color = OTHERS[i % len(OTHERS)] if isinstance(value, str) else matplotlib.colors.to_hex(dark_to_light)
        styles[value] = {"color": color, "linestyle": LINE_STYLES[i % len(LINE_STYLES)]}
    return styles


def _rank(value: Any) -> tuple[bool, Any]:
    """Numbers first, those that are written as words too."""
    try:
        return False, float(value)
    except (TypeError, ValueError):
        return True, value


def median_and_band(
    ax: Axes,
    frame: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    label: Callable[[Any], str] = str,
    styles: Styles | None = None,
) -> pd.DataFrame:
    """A line of medians over runs and a band that holds eight of ten, for each value of `by`; returns what is drawn.

    A line stops where fewer than half of its runs have a value: the survivors of a divergence do not speak for all.
    `styles` are what panels have in common; else they are this frame's own.
    """
    require(frame, x, y, by)
    drawn: list[pd.DataFrame] = []
    there = frame[by].unique()
    for value, style in (styles or styles_of(there)).items():
        if value not in there:
            continue
        groups = frame[frame[by] == value].groupby(x)[y]
        summary = groups.quantile([*BAND, 0.5]).unstack().set_axis(["low", "high", "median"], axis=1)
        summary["runs"] = groups.count()
        summary = summary[summary["runs"] >= max(1, summary["runs"].max() / 2)]
        above = (
            3 if style["linestyle"] != "-" else 2
        )  # where lines coincide, the solid one shows through the gaps of others
        style = {**style, "zorder": above - len(drawn) / 100, "marker": "o" if len(summary) == 1 else None}
        known = f"{ax.get_label()}|{x}|{label(value)}"
        ax.plot(
            summary.index, summary["median"], label=label(value), gid=CURVE + known, **style
        )  # one point alone needs a marker
        ax.fill_between(
            summary.index,
            summary["low"],
            summary["high"],
            color=style["color"],
            alpha=0.2,
            linewidth=0,
            gid=f"band|{known}",
        )
        drawn.append(summary.reset_index(names=x).assign(**{by: value, "measure": y, "curve": label(value)}))
    return pd.concat(drawn, ignore_index=True) if drawn else pd.DataFrame()


def legend(ax: Axes, **keys: Any) -> None:
    """A legend where there is something to name: a small sweep may leave a panel empty."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(**keys)


def step_axis(ax: Axes) -> None:
    """Training steps from 0 on, one decade as wide as the next."""
    ax.set_xscale("symlog", linthresh=1, linscale=0.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("training step")


def boundary(ax: Axes, points: data.Dataset, score: Callable[[np.ndarray], np.ndarray]) -> None:
    """Two classes in the plane: the training points on the regions where `score`, of X (2, n), is above 0 or below."""
    line, grid = _grid(points, 201)
    Z = score(grid).reshape(len(line), -1)
    ax.contourf(line, line, Z, levels=[-np.inf, 0, np.inf], colors=CLASSES, alpha=0.22)
    if Z.min() < 0 < Z.max():
        ax.contour(line, line, Z, levels=[0], colors="black", linewidths=0.9)
    for label, (color, marker) in enumerate(zip(CLASSES, "ox", strict=True)):
        x, y = points.X[:, points.Y[0] == label]
        ax.scatter(x, y, s=5, c=color, marker=marker, linewidths=0.6)
    ax.set(xticks=[], yticks=[], aspect="equal")


def unit_lines(ax: Axes, points: data.Dataset, z: Callable[[np.ndarray], np.ndarray], within: float = 0) -> None:
    """Each hidden unit in the plane: its line z = 0 and the strip |z| < within; `z` of X (2, n) is (n_h, n).

    To be drawn before `boundary`, which goes on top.
    """
    line, grid = _grid(points, 2)  # z is linear: the corners say all
    for Z in z(grid).reshape(-1, 2, 2):
        if within:
            ax.contourf(line, line, Z, levels=[-within, within], colors=UNIT, alpha=0.12)
        if Z.min() < 0 < Z.max():
            ax.contour(line, line, Z, levels=[0], colors=UNIT, linewidths=1.6)


def _grid(points: data.Dataset, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A square around the training points: its ticks (size,) and its points (2, size * size)."""
    reach = 1.08 * np.abs(points.X).max()
    line = np.linspace(-reach, reach, size)
    return line, np.stack(np.meshgrid(line, line)).reshape(2, -1)


def save(
    figure: Figure, stem: Path | str, metadata: Mapping[str, str], kinds: Sequence[str] = ("pdf", "svg", "png")
) -> list[Path]:
    """Write stem.pdf, .svg and .png, or some of them, with `metadata` in each; returns the paths."""
    text = "; ".join(f"{key}: {value}" for key, value in metadata.items())
    notes = {
        "pdf": {"CreationDate": None, "Keywords": text},
        "svg": {"Date": None, "Description": text},
        "png": {"Software": None, **metadata},
    }
    paths = [Path(f"{stem}.{kind}") for kind in kinds]
    with styled:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # a layout found again at the next call could differ in the last bit
        for path, kind in zip(paths, kinds, strict=True):
            figure.savefig(path, metadata=notes[kind])
    return paths


def save_animation(frames: Sequence[Figure], path: Path, metadata: Mapping[str, str]) -> None:
    """Write figures of one size as a GIF that rests on the last; `metadata` is its comment."""
    images = [_screen(frame) for frame in frames]
    strip = Image.fromarray(np.concatenate(images)).quantize(256)  # one palette for all: what rests does not flicker
    palette, background = strip.getpalette() or [], 3 * int(np.asarray(strip)[0, 0])
    palette[background : background + 3] = [255] * 3  # the palette rounds
    strip.putpalette(palette)
    height, width, _ = images[0].shape
    first, *others = (strip.crop((0, i * height, width, (i + 1) * height)) for i in range(len(images)))
    text = "; ".join(f"{key}: {value}" for key, value in metadata.items())
    durations = [FRAME] * len(others) + [LAST]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, comment=text.encode())


def _screen(figure: Figure) -> np.ndarray:
    """Pixels (height, width, 3) as a screen shows them."""
    with styled:
        figure.set_dpi(SCREEN_DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def small_png(path: Path) -> bytes:
    """A saved PNG, no wider than SMALL."""
    file = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((SMALL, SMALL))
        image.save(file, "png", optimize=True)
    return file.getvalue()
