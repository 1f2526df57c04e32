"""Hidden units whose weights start equal stay equal, so a layer is worth only as many units as start out different.

Section: 6.4

Equal rows of W1 are not enough: units stay together only if their entries of W2 are equal too. Nor are different rows
enough: units count only up to what their activation cannot tell apart, the sign for tanh and sigmoid, a positive factor for
(leaky) ReLU, any factor for none. Repeated units are worth one unit, yet do not learn like a single one: k equal units learn with k times the
rate on the sum of their W2 and with 1/k of it on w, and may end in another minimum, better or worse. Blumenfeld et al.
(2020) plot accuracy against the number of different features at the start; a little noise makes up for those that are missing.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import legend, median_and_band, step_axis, styled, styles_of
from shallowexp.claims.replay import replay, with_weights
from shallowexp.claims.statistics import (
    drop_undefined,
    effects_by,
    join_estimates,
    mean_over_seeds,
    optional,
    paired,
    parts,
    require,
    summarise,
)
from shallowexp.claims.verdict import Estimate, Verdict, criteria
from shallowexp.network.diagnostics import TOLERANCE, effective_units
from shallowexp.network.passes import forward
from shallowexp.runs import Runs

UNITS, ACCURACY = "symmetry/effective_units", "train/accuracy"
MARGIN = 0.02  # training accuracy within which repeated units are worth as many alone
REPEATED, BLURRED, ALONE = "repeated to 8", "repeated, with noise", "that many alone"
HALF, ZERO = "only W1 or W2 repeated", "W1 = 0"
KINDS = {"both": "W1 and W2 repeated", "W1": "only W1 repeated", "W2": "only W2 repeated"}
COUNTS = {"rows": "different rows [w, b]", "effective": "effective units", "rank": "rank of A1"}


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Units stay together if W1 and W2 repeat; accuracy follows the number of units that differ, until noise sets all of them free."""
    histories = _named(runs.histories)
    page = Figure(figsize=(12.5, 6))
    top, bottom = page.subfigures(2, 1)
    (paths, counts), curves = top.subplots(1, 2, width_ratios=[1, 1.6]), bottom.subplots(1, 3, sharey=True)
    tanh = histories[(histories["data"] == "flower") & (histories["activation"] == "tanh")]
    locked = tanh[(tanh["init.unique"] == 2) & (tanh["init.noise"] == 0)]
    drawn = [median_and_band(paths, locked, "step", UNITS, "init.repeat", KINDS.get), _counts(counts, runs)]
    paths.set(title="tanh, 2 of 8 units different: effective units", ylim=(0, None))
    step_axis(paths)
    legend(paths)
    table = _named(runs.table)
    table = table[(table["activation"] == "tanh") & table["kind"].isin([REPEATED, BLURRED, ALONE])]
    for ax, (name, part) in zip(curves, table.groupby("data"), strict=False):
        drawn.append(median_and_band(ax, part, "units", ACCURACY, "kind").assign(data=name))
        ax.set_xscale("log", base=2)
        ax.set(title=f"{name}, tanh", xlabel="different units at the start", xticks=sorted(part["units"].unique()))
        ax.xaxis.set_major_formatter("{x:.0f}")
    curves[0].set_ylabel("training accuracy")
    legend(curves[0], loc="lower right")
    return page, pd.concat(drawn, ignore_index=True)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """With the columns kind and units: how many differ at the start, and what the others are."""
    require(frame, "data", "activation", "init", "init.scale", "hidden_size", "seed", UNITS, ACCURACY)
    frame = optional(frame, "init.unique", "init.repeat", "init.noise")
    duplicate, jittered = frame["init"] == "duplicate", frame["init.noise"] > 0
    both = duplicate & (frame["init.repeat"] == "both")
    cases = {REPEATED: both & ~jittered, BLURRED: both & jittered, HALF: duplicate, ALONE: frame["init.scale"] > 0}
    kind = np.select(list(cases.values()), list(cases), ZERO)
    return frame.assign(kind=kind, units=frame["init.unique"].fillna(frame["hidden_size"]).astype(int))


def _counts(ax, runs: Runs) -> pd.DataFrame:
    """Three ways to count the units of one run at its end."""
    table = _named(runs.table)
    table = table[(table["data"] == "flower") & (table["hidden_size"] == 8)]
    shown = {"2 of 8": table[(table["kind"] == REPEATED) & (table["units"] == 2)], ZERO: table[table["kind"] == ZERO]}
    cases = {
        f"{activation}\n{start}": with_weights(runs, part, activation=activation)
        for start, part in shown.items()
        for activation in styles_of(part["activation"])
    }
    counted = {name: _count(runs, found[0]) for name, found in cases.items() if found}
    counted = pd.DataFrame(counted, index=list(COUNTS)).T
    for i, (count, label) in enumerate(COUNTS.items()):
        at = np.arange(len(counted)) + 0.27 * (i - 1)
        bars = ax.bar(at, counted[count], 0.25, label=label, color=("0.75", "#006BA4", "white")[i], edgecolor="black")
        ax.bar_label(bars, fmt="{:.0f}")
    ax.set_xticks(range(len(counted)), counted.index)
    ax.set(title="Three counts of the same 8 units at the end", ylim=(0, 11.5))
    legend(ax, ncols=3, loc="upper left")
    ax.grid(False)
    return counted.rename_axis("case").reset_index()


def _count(runs: Runs, fingerprint: str) -> list[int]:
    run = replay(runs, fingerprint)
    rows = np.hstack([run.parameters[-1].W1, run.parameters[-1].b1])
    A1 = forward(run.data.X, run.parameters[-1], run.activation).A1
    effective = effective_units(rows, run.activation.invariance)
    return [effective_units(rows, "equal"), effective, np.linalg.matrix_rank(A1, rtol=TOLERANCE)]


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: (1) with W1 and W2 repeated every run of an activation and data set keeps as many effective
    units as differ at the start, at every logged step; (2) so it does with only W1 repeated; (3) 8 units of which u
    differ and u units alone reach the same training accuracy within MARGIN, paired by seed and with the whole 95%
    interval, on each data set and for each u. Supported if all hold, refuted if none.
    """
    table, kept = _named(runs.table), _kept(_named(runs.histories))
    worths = effects_by(_pairs(table, REPEATED, ALONE), "data", "units")
    repeated = table[(table["kind"] == REPEATED) & table["units"].isin([1, 8])]
    few, unpaired = drop_undefined(paired(repeated, ACCURACY, "units", 1, 8, ("activation", "data", "seed")))
    kept = kept[kept.index.get_level_values("init.repeat").isin(["both", "W1"])]
    stay = [(KINDS[repeat], share == 1) for (repeat, *_), share in kept.items()]
    worth = [(data, _alike(effect)) for (data, _), effect in worths.items()]
    return Verdict(
        criteria([*_together(kept), *parts("accuracy of 8 units minus as many alone as differ, {}", worths, _alike)]),
        "training accuracy, 8 tanh units of which 1 differs minus 8 that all do, mean over the data sets, paired by "
        f"seed{unpaired}",
        mean_over_seeds(few),
        f"Equal units stay equal {summarise(stay, 'with {}')}. 8 units of which u differ learn like u alone "
        f"{summarise(worth, 'on {}')}.",
        _noise(table),
    )


def _alike(effect: Estimate) -> bool:
    return max(-effect.low, effect.high) < MARGIN


def _together(kept: pd.Series) -> list[tuple[str, bool]]:
    names = [f"{KINDS[repeat]}, {data}, {activation}" for repeat, data, activation in kept.index]
    return [
        (f"{name}: together at {share:.0%} of logged steps", share == 1)
        for name, share in zip(names, kept, strict=True)
    ]


def _pairs(table: pd.DataFrame, left: str, right: str) -> pd.Series:
    """Accuracies of one kind minus the other."""
    return paired(table, ACCURACY, "kind", left, right, ("activation", "data", "units", "seed"))


def _kept(histories: pd.DataFrame) -> pd.Series:
    """At which fraction of the logged steps of all runs the units that start equal are counted as one, for each cell."""
    repeated = histories[histories["kind"].isin([REPEATED, HALF])]
    as_started = repeated[UNITS] == repeated["units"]
    return as_started.groupby([repeated[name] for name in ("init.repeat", "data", "activation")]).mean()


def _noise(table: pd.DataFrame) -> str:
    """What noise gains where a single unit differs."""
    gains = effects_by(_pairs(table[table["units"] == 1], BLURRED, REPEATED), "data")
    return f"What noise gains where 1 unit differs: {join_estimates(gains) or 'not in these runs'}."
