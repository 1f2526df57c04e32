"""A figure in named panels: the plots that experiments, own sweeps and notebooks share, each one call.

    page = Page([["loss", "gaps"]], size=(10, 4))
    page.curves("loss", runs, "train/loss", by="activation")
    page.intervals("gaps", atoms(runs))
    page["loss"].set(title="flower")

`page[name]` is matplotlib's Axes; `page.numbers` is what was drawn, a row a point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from io import BytesIO
from math import ceil
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shallowexp.analysis import Lacking, Runs, require
from shallowexp.claims.figures import (
    Styles,
    boundary,
    legend,
    median_and_band,
    step_axis,
    styled,
    styles_of,
    unit_lines,
)
from shallowexp.claims.replay import Replay
from shallowexp.claims.statement import Atom, format_value

Colors = matplotlib.colors.Normalize
PANEL = 2.9, 2.6  # inches, at least this wide, and so high
COLUMN, COLUMNS = 3.5, 7.2  # inches: of a paper
LETTERS = 11  # of a title on an inch
DOTS = 40  # of a strip, one above the other
GROUP = 0.7  # of the way from one value of a strip to the next, which its colors take
WRITTEN, TICKS = 12, 6  # values of an axis up to which a heat map writes its numbers; ticks of a larger one


class Page:
    """A matplotlib figure whose panels have names, as in `plt.subplot_mosaic`."""

    def __init__(self, panels: Any, size: tuple[float, float], **mosaic: Any):
        with styled:
            self.figure = Figure(figsize=size)
            self.axes: dict[str, Axes] = self.figure.subplot_mosaic(panels, **mosaic)
        self._drawn: list[pd.DataFrame] = []
        self.facets: dict[str, dict[str, Any]] = {}  # of a panel: what all its numbers have in common

    def __getitem__(self, panel: str) -> Axes:
        return self.axes[panel]

    def require(self, panels: Iterable[str]) -> None:
        """Raises ValueError where one of these panels is not there."""
        if absent := [panel for panel in panels if panel not in self.axes]:
            raise ValueError(
                f"panel {', '.join(map(str, absent))} is not in the figure: choose among {', '.join(self.axes)}"
            )

    @styled
    def part(self, panels: Sequence[str], width: float) -> Figure:
        """The figure with these panels alone, laid out anew in as many columns as `width` inches have room for.

        Raises ValueError where one is not there.
        """
        self.require(panels)
        columns = max(1, min(len(panels), int(width // PANEL[0])))
        rows = ceil(len(panels) / columns)
        for ax in self.figure.axes:
            self.figure.delaxes(ax)
        cells = self.figure.add_gridspec(rows, columns)
        for i, panel in enumerate(panels):
            ax = self.figure.add_axes(self[panel])
            ax.set_subplotspec(cells[i])
            ax.set_title(fill(ax.get_title("left"), int(LETTERS * width / columns)), loc="left")
        self.figure.set_size_inches(width, rows * width / columns * 0.8)
        self.figure.set_layout_engine("constrained")
        return self.figure

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        content = BytesIO()
        with styled:
            self.figure.savefig(content, format="png")
        return content.getvalue()

    @property
    def numbers(self) -> pd.DataFrame:
        return pd.concat(self._drawn, ignore_index=True) if self._drawn else pd.DataFrame()

    def add(self, panel: str, numbers: pd.DataFrame) -> None:
        """Numbers that were drawn into a panel by other means."""
        self._drawn.append(numbers.assign(panel=panel, **self.facets.get(panel, {})))

    def curves(
        self,
        panel: str,
        runs: Runs,
        y: str,
        by: str,
        x: str = "step",
        label: Callable[[Any], str] = format_value,
        styles: Styles | None = None,
    ) -> None:
        """Median over runs and the band of eight in ten, for each value of `by`: against steps, or against a param at the end.

        `styles` are what panels have in common; else they are this panel's own.
        """
        frame = runs.histories if x == "step" else runs.table
        with styled:
            self.add(panel, median_and_band(self[panel], frame, x, y, by, label, styles))
            if x == "step":
                step_axis(self[panel])
            else:
                self[panel].set_xlabel(x)
            legend(self[panel])

    def intervals(
        self, panel: str, atoms: Iterable[Atom], row: Callable[[Atom], str] = lambda atom: atom.scope
    ) -> None:
        """A dot with its interval for each atom, downwards, on the band of its margin; filled where it holds."""
        shown, ax = [], self[panel]
        with suppress(Lacking):  # of a part of a sweep the atoms that are there, as of curves
            for atom in atoms:
                shown += [atom] if atom.value is not None else []
        with styled:
            for i, atom in enumerate(shown):
                color = {"holds": "#1b7a3d", "inconclusive": "0.55"}.get(atom.outcome(), "#bd1f01")
                ax.fill_betweenx([i - 0.4, i + 0.4], -atom.margin, atom.margin, color="0.93", linewidth=0, zorder=0)
                if atom.low is not None and atom.high is not None:
                    ax.hlines(i, atom.low, atom.high, color=color)
                ax.plot(
                    atom.value or 0.0,
                    i,
                    "o",
                    color=color,
                    markersize=5,
                    fillstyle="full" if atom.outcome() == "holds" else "none",
                )
            ax.axvline(0, color="black", linewidth=0.8, zorder=1)
            ax.set_yticks(range(len(shown)), [row(atom) for atom in shown])
            ax.set_ylim(max(len(shown), 1) - 0.5, -0.5)
            ax.set_xlabel(shown[0].unit if shown else "")
            ax.grid(visible=False, axis="y")
        self.add(
            panel,
            pd.DataFrame(
                [{"scope": a.scope, "text": a.text, "value": a.value, "low": a.low, "high": a.high} for a in shown]
            ),
        )

    def strip(
        self,
        panel: str,
        runs: Runs,
        y: str,
        by: str,
        label: Callable[[Any], str] = format_value,
        color: str = "",
        styles: Styles | None = None,
    ) -> None:
        """A dot for each run, side by side within its value of `by`, in the color of its value of `color` (or of `by` itself):
        what a mean would hide stays visible. `styles`, of `color`, are what panels have in common; else they are this panel's own.
        """
        require(runs.table, y, by, color or by)
        ax, places = self[panel], styles_of(runs.table[by].unique())
        colors = styles or styles_of(runs.table[color or by])
        with styled:
            for j, (shade, style) in enumerate(colors.items()):
                for i, value in enumerate(places):
                    chosen = (runs.table[by] == value) & (runs.table[color or by] == shade)
                    values = np.sort(runs.table.loc[chosen, y].dropna().to_numpy(float))
                    middle, room = (
                        (i + GROUP * ((j + 0.5) / len(colors) - 0.5), GROUP / len(colors)) if color else (i, 1.0)
                    )
                    x = middle + room * _aside(values, np.ptp(runs.table[y].dropna()) / DOTS)
                    ax.plot(x, values, "o", color=style["color"], markersize=3.5, alpha=0.75,
                            label=label(shade) if color and not i else None)  # fmt: skip
            ax.set_xticks(range(len(places)), [label(value) for value in places])
            ax.set_ylabel(y)
        self.add(panel, runs.table[[by, *filter(None, [color]), y]].rename(columns={y: "value"}).assign(measure=y))

    def heat(
        self,
        panel: str,
        table: pd.DataFrame,
        x: str,
        y: str,
        z: str,
        form: str = "{:.2f}",
        colors: Colors | None = None,
    ) -> None:
        """The mean of `z` for each pair of values of `x` and `y`, written into its cell while there are few; never, where `form` is empty.

        A cell without a value is hatched. `colors` is what panels have in common; else they are this panel's own, with a bar where
        nothing is written.
        """
        require(table, x, y, z)
        grid = table.pivot_table(z, y, x, aggfunc="mean", observed=True, sort=False, dropna=False)
        ax, values = self[panel], grid.to_numpy(float)
        with styled:
            ax.patch.set(hatch="///", edgecolor="0.8")
            norm = colors or color_scale(values)
            few = form != "" and max(grid.shape) <= WRITTEN
            edges: dict[str, Any] = {"edgecolors": "white", "linewidth": 1} if few else {"rasterized": True}
            mesh = ax.pcolormesh(np.ma.masked_invalid(values), cmap="viridis", norm=norm, **edges)
            for (i, j), value in np.ndenumerate(values if few else np.empty((0, 0))):
                if np.isfinite(value):
                    ax.text(j + 0.5, i + 0.5, form.format(value), ha="center", va="center", fontsize=8,
                            color="white" if norm(value) < 0.6 else "black")  # fmt: skip
            if not (few or colors):
                self.figure.colorbar(mesh, ax=ax, label=z, format="{x:g}")
            for axis, labels in ((ax.xaxis, grid.columns), (ax.yaxis, grid.index)):
                whole = few or not pd.api.types.is_numeric_dtype(labels)
                shown = np.linspace(0, len(labels) - 1, WRITTEN if whole else TICKS)
                shown = np.unique(shown.round().astype(int))[: len(labels)]
                named = format_value if whole else "{:.3g}".format
                axis.set_ticks(shown + 0.5, [named(labels[i]) for i in shown])
            ax.set(xlabel=x, ylabel=y)
            ax.grid(visible=False)
            if not pd.api.types.is_numeric_dtype(grid.index):
                ax.yaxis.set_inverted(True)  # words are read downwards, in panels that share the axis, too
        self.add(panel, grid.reset_index().melt(y, value_name="value").dropna(subset="value"))

    def plane(self, panel: str, run: Replay, step: int, steep: float = 0.0) -> None:
        """The boundary over the training points, with each hidden unit's line (and the strip |z| < `steep`)."""
        with styled:
            unit_lines(self[panel], run.data, lambda X: run.forward(X, step).Z1, steep)
            boundary(self[panel], run.data, lambda X: run.forward(X, step).Z2[0])

    def paths(self, panel: str, run: Replay, label: str, **style: Any) -> None:
        """Rows of W1 in the plane of the first two weights while training, from the first step to a dot at the last."""
        paths = np.stack([p.W1[:, :2] for p in run.parameters])  # (p, n_h, 2)
        with styled:
            for unit in range(paths.shape[1]):
                x, y = paths[:, unit].T
                self[panel].plot(x, y, linewidth=1.3, label=label if unit == 0 else None, **style)
                self[panel].plot(x[-1:], y[-1:], "o", markersize=5, color=style.get("color"))
            self[panel].set(xlabel="weight of x1", ylabel="weight of x2")
        rows = [{"step": s, "unit": u, "w1": w[0], "w2": w[1], "run": label}
                for s, W1 in zip(run.steps, paths, strict=True) for u, w in enumerate(W1)]  # fmt: skip
        self.add(panel, pd.DataFrame(rows))


def _aside(values: np.ndarray, size: float) -> np.ndarray:
    """Where the dots of rising values stand, within [-0.4, 0.4]: side by side in bins of `size`."""
    _, first, counts = np.unique(np.floor(values / (size or 1.0)), return_index=True, return_counts=True)
    rank, n = np.arange(len(values)) - np.repeat(first, counts), np.repeat(counts, counts)
    return (rank - (n - 1) / 2) * np.minimum(0.08, 0.8 / n)


def color_scale(values: np.ndarray) -> Colors:
    """Logarithmic where the values span decades."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    return (matplotlib.colors.LogNorm if 0 < 100 * low < high else matplotlib.colors.Normalize)(low, high)
