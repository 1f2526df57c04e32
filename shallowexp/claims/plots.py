"""Figures of any runs without code: what is not an axis, a color, a panel or a seed is a panel too, or is named as pooled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from math import ceil
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from shallowexp.analysis import POOLED, Runs, cell_params, confounded, undefined
from shallowexp.claims.choice import Choice, check, color_of, kind_of, measure_of, narrowed
from shallowexp.claims.figures import Styles, styled, styles_of
from shallowexp.claims.page import COLUMN, COLUMNS, LETTERS, PANEL, WRITTEN, Colors, Page, color_scale
from shallowexp.claims.statement import format_value
from shallowexp.errors import UserError

WIDTHS = {"page": 11.0, "paper": COLUMN, "wide": COLUMNS, "slides": 6.7}  # inches; of slides half of 13.3
PANELS = 12  # that a reader tells apart
CAPTION, LINE = 16, 0.17  # letters of the caption on an inch; inches of a line of it or of the legend
NUMBER = "{:.3g}"  # in a cell of a heat map
LOST = {"heat": ", hatched where most did", "final": ", crosses where all did"}
FAR = 1000  # times the median: what lies above is cut off, and the caption says so
APART = 30  # times the smallest: from here on a scale is logarithmic


class TooManyPanels(UserError):
    """More than one figure can show."""

    def __init__(self, facets: Sequence[str], most: int):
        self.facets = facets
        super().__init__(
            f"one figure cannot show all of {', '.join(facets)}: more than {most} panels. Choose with where.<key>=<value>, "
            f"give one of them by=, or take medians over it with pool={facets[-1]}"
        )


@styled
def plot(runs: Runs, choice: Choice, width: float = WIDTHS["page"], most: int = PANELS) -> Page:
    """The figure, `width` inches wide, of at most so many panels.

    Raises UserError for a metric or a param that these runs do not have, and where too much varies for one figure.
    """
    runs = narrowed(runs, choice.where)
    kind = choice.kind or kind_of(runs, choice)
    check(runs, choice, kind)
    used = [name for name in (choice.x, choice.y, choice.by, choice.panel) if name in runs.params]
    if "sweep" not in used:
        runs = runs.once()
    left = cell_params(runs.table[runs.params], used, choice.pool)
    by = choice.by or ("" if kind == "heat" else color_of(runs, left))
    facets = [name for name in (choice.panel, *left) if name and name != by]
    absent = _without_axes(runs, choice, kind)
    runs = as_words(
        runs._replace(table=runs.table.drop(absent)), [*facets, *filter(None, [by]), *(used if kind == "dots" else ())]
    )
    panels = list(islice(_panels(runs, facets), most + 1))
    if len(panels) > most:
        raise TooManyPanels(facets, most)
    columns = _columns(len(panels), runs.table[facets[-1]].nunique() if facets else 1, width)
    page = _paged(len(panels), columns, width)
    styles = styles_of(runs.table[by].unique()) if by else {}
    for number, (values, part) in enumerate(panels):
        page.facets[str(number)] = values
        if kind != "heat":
            _draw(page, str(number), part, kind, choice, by, styles)
    if kind == "heat":
        _heat(page, _cells([part for _, part in panels], choice), choice, width / columns)
    for number, (values, ax) in enumerate(zip(page.facets.values(), page.axes.values(), strict=True)):
        title = ", ".join(f"{name} {format_value(value)}" for name, value in values.items())
        ax.set_title(fill(title, int(LETTERS * width / columns)))
        if number % columns:
            ax.set_ylabel("")
        if kind in ("heat", "dots") and not _fit([label.get_text() for label in ax.get_xticklabels()], width / columns):
            ax.tick_params(axis="x", labelrotation=30)
    cut = _scale_axes(page, runs, choice, kind) if kind != "heat" else ""
    also = confounded(runs.table[runs.params], [name for name in (*used, *facets, by, *choice.pool) if name])
    told = (
        _caption(runs, kind, choice, {*used, by, *facets})
        + (f" With them varies {', '.join(also)}." if also else "")
        + cut
    )
    if kind == "heat" and _lacks_cells(runs.table, choice, facets, len(panels)):
        told += " Cells without a run are hatched."
    left_out = f" {len(absent)} runs without {choice.x} are left out." if len(absent) else ""
    caption = fill(told + left_out, int(CAPTION * width))
    page.figure.suptitle(caption, fontsize=7, color="0.35", x=0.01, ha="left")
    lines = caption.count("\n") + (_legend(page, by, styles) if by else 0)
    page.figure.set_size_inches(width, page.figure.get_figheight() + LINE * lines)
    return page


def _legend(page: Page, title: str, styles: Styles) -> int:
    """One for all panels, below them, where it hides nothing; returns how many lines it takes."""
    drawn = {
        word: handle for ax in page.axes.values() for handle, word in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    labels = [word for word in map(format_value, styles) if word in drawn]
    if not labels:
        return 0
    entry = 0.6 + max(map(len, labels)) / LETTERS  # inches
    columns = max(1, min(len(labels), int(page.figure.get_figwidth() / entry)))
    page.figure.legend([drawn[word] for word in labels], labels, title=title, ncols=columns, loc="outside lower center")
    return 1 + ceil(len(labels) / columns)


def _without_axes(runs: Runs, choice: Choice, kind: str) -> pd.Index:
    """The runs that have no value on a numeric axis."""
    axes = {"final": [choice.x], "heat": [choice.x, choice.y]}.get(kind, [])
    return runs.table.index[runs.table[axes].isna().any(axis=1)] if axes else runs.table.index[:0]


def as_words(runs: Runs, names: Sequence[str]) -> Runs:
    """With words in the params in which some run has no value: null, or a dash where its choice has no such key."""
    undefined = [name for name in names if runs.table[name].isna().any()]
    return runs.label(**{name: lambda frame, name=name: _filled(frame, name) for name in undefined})


def _panels(runs: Runs, facets: Sequence[str]) -> Iterable[tuple[dict[str, Any], Runs]]:
    """The values and the runs of each combination that is there."""
    if not facets:
        yield {}, runs
        return
    for row in runs.table[list(facets)].drop_duplicates().sort_values(list(facets), key=_rank).itertuples(index=False):
        values = dict(zip(facets, row, strict=True))
        yield values, runs.where(values)


def _rank(values: pd.Series) -> pd.Series:
    """Where each stands in a legend."""
    return values.map({value: i for i, value in enumerate(styles_of(values.unique()))})


def _filled(frame: pd.DataFrame, name: str) -> pd.Series:
    absent = undefined(name)
    return frame[name].map(lambda value: absent if pd.isna(value) else format_value(value))


def _columns(panels: int, apart: int, width: float) -> int:
    """Of panels in rows: `apart`, the values of the last facet, where these fit."""
    most = max(1, int(width // PANEL[0]))
    return apart if 1 < apart <= most and panels % apart == 0 else min(panels, most)


def _paged(panels: int, columns: int, width: float) -> Page:
    names = [str(i) if i < panels else "." for i in range(ceil(panels / columns) * columns)]
    mosaic = [names[i : i + columns] for i in range(0, len(names), columns)]
    height = PANEL[1] * max(1.0, min(1.4, width / columns / PANEL[0] / 1.3))
    return Page(mosaic, (width, len(mosaic) * height + 0.25), sharey=True)


def _draw(page: Page, panel: str, runs: Runs, kind: str, choice: Choice, by: str, styles: Styles) -> None:
    measure, x = choice.y, choice.x
    runs = runs._replace(table=runs.table.assign(**{measure: _ended(runs.table, measure)}))
    if kind == "dots":
        page.strip(panel, runs, measure, x, color=by, styles=styles)
        for line in page[panel].lines:
            line.set(
                markersize=5, markeredgecolor="white", markeredgewidth=0.5
            )  # of dots that touch each can be counted
        page[panel].set_xlim(-0.5, runs.table[x].nunique() - 0.5)  # where all have diverged, too
        page[panel].set_xlabel(x)
    else:
        page.curves(panel, runs if by else runs.label(all=lambda _: "all runs"), measure, by or "all", x, styles=styles)
        page[panel].set_ylabel(measure)
    if kind == "final":
        for line in page[panel].lines:
            line.set(marker="o", markersize=4)  # the values that were swept
        _mark_diverged(page[panel], runs.table, measure, x, by, styles)
    if drawn := page[panel].get_legend():
        drawn.remove()  # one is enough for all panels
    if kind != "curves" and runs.table[measure].isna().all():
        page[panel].text(0.5, 0.5, "all runs diverged", ha="center", va="center", transform=page[panel].transAxes)


def _heat(page: Page, cells: Sequence[pd.DataFrame], choice: Choice, width: float) -> None:
    """A map in each panel, `width` inches wide: with numbers where they fit into all of them, else with one bar of colors."""
    measure, colors = measure_of(choice, "heat"), _colors(cells, choice)
    longest = max((NUMBER.format(value) for table in cells for value in table[measure].dropna()), key=len, default="")
    shape = cells[0][choice.x].nunique(), cells[0][choice.y].nunique()
    written = max(shape) <= WRITTEN and _fit([longest] * shape[0], width)
    for panel, table in zip(page.axes, cells, strict=True):
        page.heat(panel, table, choice.x, choice.y, measure, NUMBER if written else "", colors)
    if not written:
        bar = ScalarMappable(colors, "viridis")
        page.figure.colorbar(bar, ax=[*page.axes.values()], label=measure, format="{x:g}")


def _lacks_cells(table: pd.DataFrame, choice: Choice, facets: Sequence[str], panels: int) -> bool:
    """Whether a pair of the axes' values has no run in some panel."""
    there = table[[choice.x, choice.y, *facets]].drop_duplicates()
    return len(there) < table[choice.x].nunique() * table[choice.y].nunique() * panels


def _fit(words: Sequence[str], width: float) -> bool:
    """Whether these words, of 8 points, have room side by side in a panel so wide, its labels at the left excepted."""
    return len(words) * max(map(len, words), default=0) <= LETTERS * 10 / 8 * (width - 0.75)


def _mark_diverged(ax: Axes, table: pd.DataFrame, measure: str, x: str, by: str, styles: Styles) -> None:
    """A cross at the upper edge where no run has a value, each color on a line of its own."""
    for row, (value, style) in enumerate((styles or {None: {"color": "black"}}).items()):
        ended = (table[table[by] == value] if by else table).groupby(x)[measure].count()
        lost = ended.index[ended == 0]
        ax.plot(
            lost, np.full(len(lost), 0.97 - 0.05 * row), "x", color=style["color"], transform=ax.get_xaxis_transform()
        )


def _scale_axes(page: Page, runs: Runs, choice: Choice, kind: str) -> str:
    """The same scales for all panels, by what they show of finished runs; says where values are cut off."""
    measure = measure_of(choice, kind)
    values = runs.histories[measure] if kind == "curves" else _ended(runs.table, measure)
    values = values[np.isfinite(values)]
    first = page["0"]
    swept = runs.table[choice.x] if kind == "final" else pd.Series(dtype=float)
    for ax in page.axes.values():
        if _spread(swept):
            ax.set_xlim(swept.min() / 1.2, swept.max() * 1.2)
            ax.set_xscale("log")
            _tick(ax.xaxis, swept)
        elif kind == "final" and (swept % 1 == 0).all():
            ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    top = _top(values) if len(values) else 0.0
    cut = len(values) > 0 and 0 < top < values.max()
    if _spread(values):
        first.set_ylim(values.min() / 1.1, 1.1 * min(values.max(), top or np.inf))
        first.set_yscale("log")
        _tick(first.yaxis, values)
    elif cut:
        first.set_ylim(values.min(), top)
    return f" Cut off at {top:,.3g}." if cut else ""


def _tick(axis: Axis, values: pd.Series) -> None:
    """A logarithmic axis: plain numbers, and more than powers of ten where these would be two at most."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 100 * values.min() else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _ended(table: pd.DataFrame, measure: str) -> pd.Series:
    """The last value of each run; undefined where it diverged."""
    return table[measure].where(table["outcome"] == "finished")


def _cells(parts: Sequence[Runs], choice: Choice) -> list[pd.DataFrame]:
    """Of each panel a row for each pair of the axes' values: the median of its finished runs, undefined where most have diverged.

    Axes are the same for all: in the order of a legend, with what only other panels have.
    """
    measure, axes = measure_of(choice, "heat"), [choice.x, choice.y]
    tables = [part.table.assign(**{measure: _ended(part.table, measure)}) for part in parts]
    pairs = pd.MultiIndex.from_product([styles_of(pd.concat(tables)[name]) for name in axes], names=axes)
    cells = [table.groupby(axes)[measure] for table in tables]
    return [of.median().where(of.count() * 2 >= of.size()).reindex(pairs).reset_index() for of in cells]


def _colors(cells: Sequence[pd.DataFrame], choice: Choice) -> Colors:
    """The same for all panels."""
    values = pd.concat(cells)[measure_of(choice, "heat")]
    values = values.clip(upper=_top(values))
    return LogNorm(values.min(), values.max()) if _spread(values) else color_scale(values.to_numpy(float))


def _spread(values: pd.Series) -> bool:
    found = values[np.isfinite(values)]
    return len(found) > 0 and found.min() > 0 and found.max() > APART * found.min()


def _top(values: pd.Series) -> float:
    """Up to where values are shown: what is on its way to infinity would leave no room for the others."""
    return FAR * float(values.abs().median())


def _caption(runs: Runs, kind: str, choice: Choice, used: set[str]) -> str:
    """What a point stands for: nothing is pooled that is not said here."""
    varied = runs.varied()
    pooled = [
        f"{name} ({len(varied[name])})" for name in (*POOLED, *choice.pool) if name in varied and name not in used
    ]
    diverged = int((runs.table["outcome"] == "diverged").sum())
    if kind == "dots":
        point = "A dot a run"
    elif pooled:
        point = f"Median over {', '.join(pooled)}" + ("" if kind == "heat" else "; band: eight of ten runs")
    else:
        point = "One run each"
    lost = f"; {diverged} diverged{LOST.get(kind, '')}"
    point = (
        f"{measure_of(choice, kind)}: {point[0].lower()}{point[1:]}" if kind == "heat" else point
    )  # it has no axis of its own
    return f"{point}. {len(runs.table)} runs{lost if diverged else ''}."
