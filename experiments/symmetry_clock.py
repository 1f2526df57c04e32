"""How long nearly equal hidden units stay together: a clock that runs evenly in the logarithm of their difference.

Section: 6.4

The chapter's "equal always" is about exact equality. Units that differ by relative noise separate by a tenth after a time
that is linear in the decades of noise, since their distance grows like exp(c t) on the plateau near zero weights (Fukumizu &
Amari 2000 on such plateaus). tanh is about four times as fast as sigmoid, as its slope at 0 is; eight units instead of ten
take about four fifths of the time. Some networks leave the plateau with their units still together, which then part much
later or not at all: they are counted, and the pace is that of the others. Rounding is noise too, of 1e-16: it parts ten
units that the chapter's own products were to keep equal, where exact products keep them for ever.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from shallowexp.claims.statistics import Effect
from shallowexp.claims.vocabulary import Atom, Page, Runs, atom, effect, legend, styles_of, theorem

APART, SEPARATION = 0.1, "symmetry/separation"
NOISE, SCALE = "init.noise", 0.01
KEYS = ["activation", "train.engine", "train.dtype", NOISE, "seed"]
LEAST = 1e-12  # absolute; below it rounding is as loud
AUDIBLE, LOST = 1e-6, 1e-12  # louder than float32's rounding of a weight, 6e-10; far below it
SAME = 2  # steps
RATIO, LOOSE = 4, 0.5  # of the slopes at zero


def times(runs: Runs) -> pd.DataFrame:
    """A row for each run: the step at which its units are a tenth apart, between logged steps by the logarithm; NaN if never."""
    rows = []
    for key, history in runs.histories.groupby(KEYS, dropna=False):
        step, apart = (history.sort_values("step")[name].to_numpy(float) for name in ("step", SEPARATION))
        over = np.flatnonzero(apart >= APART)
        time = np.nan
        if len(over) and over[0] > 0:
            i = over[0]
            logs = np.log(np.maximum(apart[i - 1 : i + 1], 1e-300))
            time = step[i - 1] + (step[i] - step[i - 1]) * (np.log(APART) - logs[0]) / (logs[1] - logs[0])
        rows.append((*key, time))
    return pd.DataFrame(rows, columns=[*KEYS, "time"])


def figure(runs: Runs) -> Page:
    """Straight lines: every decade of noise less holds the units together as much longer, until rounding is louder."""
    page, found = Page("a", size=(8, 4.6)), times(runs)
    found = found[found[NOISE] > 0].assign(decades=lambda frame: -np.log10(frame[NOISE] / SCALE))
    markers = {("compiled", "float64"): "o", ("compiled", "float32"): "s", ("chapter", "float64"): "x"}
    for (name, engine, dtype), part in found.groupby(["activation", "train.engine", "train.dtype"]):
        color = styles_of([name])[name]["color"]
        if (engine, dtype) == ("compiled", "float64"):
            for _, seed in part.groupby("seed"):
                page["a"].plot(seed["decades"], seed["time"], color=color, linewidth=0.5, alpha=0.35)
        middle = part.fillna({"time": np.inf}).groupby("decades")["time"].median().replace(np.inf, np.nan)
        label = f"{name}, {'@' if engine == 'chapter' else dtype}"
        page["a"].plot(middle.index, middle, markers.get((str(engine), str(dtype)), "d"), linestyle="-", markersize=5,
                       color=color, alpha=1 if dtype == "float64" else 0.5, label=label)  # fmt: skip
    page["a"].set(
        xlabel="decades of relative noise below 1", ylabel=f"steps until rows are {APART:.0%} apart", ylim=(0, None)
    )
    legend(page["a"], title="median over seeds")
    page.add("a", found)
    return page


def clock(found: pd.DataFrame, activation: str, engine: str = "compiled", dtype: str = "float64") -> pd.DataFrame:
    """The times of one arm: a row for each noise, a column for each seed."""
    chosen = found[(found["activation"] == activation) & (found["train.engine"] == engine)]
    return chosen[chosen["train.dtype"] == dtype].pivot(index=NOISE, columns="seed", values="time")


def pace(arm: pd.DataFrame) -> pd.Series:
    """Steps a decade of noise, of each seed whose units part at every noise: the slope of a straight line through the loud ones."""
    parted = arm[arm.index > 0].dropna(axis="columns")
    loud = parted[parted.index >= LEAST]
    if loud.empty or len(loud) < 2:
        return pd.Series(dtype=float)
    return pd.Series(np.polyfit(-np.log10(loud.index), loud, 1)[0], loud.columns)


def atoms(runs: Runs) -> Iterator[Atom]:
    found = times(runs)
    clocks = {name: clock(found, name) for name in ("tanh", "sigmoid")}
    paces = {name: pace(clocks[name]) for name in clocks}
    for name, steps in paces.items():
        yield atom(effect(steps), "above", 1, "steps a decade", f"{name}: a decade less noise holds the units together longer",
                   "31", "extension", f"{name}, float64", _parted(steps, clocks[name]))  # fmt: skip
    ratio = (paces["sigmoid"] / paces["tanh"]).dropna()
    yield atom(Effect.of(ratio - RATIO), "within", LOOSE, "of the ratio, beyond 4", "sigmoid takes four times as long a decade as tanh",
               "31", "extension", "sigmoid against tanh", f"ratio {ratio.mean():.2f}" if len(ratio) else "")  # fmt: skip
    for name, exact in clocks.items():
        for arm, its in {"float32": clock(found, name, dtype="float32"), "@": clock(found, name, "chapter")}.items():
            later = (its.reindex([AUDIBLE]) - exact.reindex([AUDIBLE])).iloc[0].dropna()
            yield atom(effect(later), "within", SAME, "steps", f"{name}: where noise is louder than rounding, {arm} changes nothing",
                       "31", "extension", f"{name}, {arm}")  # fmt: skip
        quiet = clock(found, name, dtype="float32")
        lost = quiet[quiet.index <= LOST]
        yield theorem(bool(lost.size and lost.isna().all(axis=None)), f"{name}: noise that float32 rounds away parts nothing", "31",
                      "extension", f"{name}, float32", f"{lost.size} runs")  # fmt: skip
    for engine, text, parts in (
        ("compiled", "without noise exact products keep ten units equal", False),
        ("chapter", "without noise the chapter's own products part ten units by rounding alone", True),
    ):
        silent = found[(found[NOISE] == 0) & (found["train.engine"] == engine)]
        first = silent["time"].min()
        detail = f"{silent['time'].notna().sum()} of {len(silent)} runs part" + (
            f", first at step {first:.0f}" if first == first else ""
        )
        yield theorem(
            len(silent) > 0 and bool(silent["time"].notna().any()) == parts, text, "31", "extension", engine, detail
        )


def _parted(steps: pd.Series, arm: pd.DataFrame) -> str:
    return f"of the {len(steps)} in {len(arm.columns)} seeds whose units part at every noise in the steps trained"
