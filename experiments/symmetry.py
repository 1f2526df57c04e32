"""Hidden units that start equal stay equal, so that many are worth one; small random weights make them differ.

Section: 6.4

Equal rows of A1 make equal rows of dZ1, dW1 and W1, after every update. Fukumizu & Amari (2000) show that a narrow
network's minimum, its units repeated, is a critical point of the wider one; Blumenfeld et al. (2020) that noise, and
not only a random start, sets the units free. All zero is worse than all equal: where g(0) = 0 both weight gradients
vanish and only b2 moves; the sigmoid, with g(0) = 1/2, learns with all units equal; on balanced classes not even it
moves.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import boundary, legend, median_and_band, step_axis, styled, styles_of, unit_lines
from shallowexp.claims.replay import Replay, replay, with_weights
from shallowexp.claims.statistics import (
    drop_undefined,
    effects_by,
    format_estimate,
    mean_over_seeds,
    paired,
    require,
    summarise,
)
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.network.diagnostics import effective_units
from shallowexp.runs import Runs

EQUAL = ("zero", "constant")
INITIALIZERS = (*EQUAL, "random")
TITLES = {"zero": "all zero", "constant": "all 0.01", "random": "random × 0.01"}
PATHS = ("tanh", "sigmoid")  # drawn over each other; with g(0) = 0 and without
MEASURES = ("symmetry/effective_units", "train/accuracy", "gradient/W1", "gradient/W2")
MARGIN = 0.02  # training accuracy that breaking the symmetry must gain


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Equal weights give all hidden units one path, random ones a fan; only the fan gains from more units."""
    table, histories = _unbalanced(runs.table), _unbalanced(runs.histories)
    page = Figure(figsize=(12, 6))
    top, bottom = page.subfigures(2, 1, height_ratios=[1.15, 1])
    *planes, counts = top.subplots(1, len(INITIALIZERS) + 1)
    drawn = [_paths(ax, runs, table, initializer) for ax, initializer in zip(planes, INITIALIZERS, strict=True)]
    wide = histories[histories["hidden_size"] == histories["hidden_size"].max()]
    drawn.append(median_and_band(counts, wide, "step", "symmetry/effective_units", "init", TITLES.get))
    step_axis(counts)
    counts.set(title="Different hidden units", ylim=(0, None))
    legend(counts, loc="center right")
    names = list(styles_of(table["activation"]))
    for ax, name in zip(bottom.subplots(1, len(names) or 1, sharey=True, squeeze=False)[0], names, strict=False):
        cell = table[table["activation"] == name]
        drawn.append(
            median_and_band(ax, cell, "hidden_size", "train/accuracy", "init", TITLES.get).assign(activation=name)
        )
        ax.set_xscale("log", base=2)
        ax.set(title=name, xlabel="hidden units", xticks=sorted(cell["hidden_size"].unique()))
        ax.xaxis.set_major_formatter("{x:.0f}")
    bottom.axes[0].set_ylabel("training accuracy")
    return page, pd.concat(drawn, ignore_index=True)


def _unbalanced(frame: pd.DataFrame) -> pd.DataFrame:
    require(frame, "init", "activation", "hidden_size", "seed", "data.positive_rate", *MEASURES)
    return frame[(frame["data.positive_rate"] != 0.5) & frame["init"].isin(INITIALIZERS)]


def _paths(ax, runs: Runs, table: pd.DataFrame, initializer: str) -> pd.DataFrame:
    """Rows of W1 in the plane while training, of the widest networks whose weights were kept."""
    drawn, counts, widest = [pd.DataFrame()], [], table["hidden_size"].max()
    for name, style in styles_of(PATHS).items():
        for fingerprint in with_weights(runs, table, init=initializer, activation=name, hidden_size=widest)[:1]:
            kept = runs.weights[fingerprint]
            rows = [pd.DataFrame(W1[:, :2], columns=["w1", "w2"]) for W1 in kept["W1"]]
            paths = pd.concat(dict(zip(kept["steps"], rows, strict=True)))
            drawn.append(paths.rename_axis(["step", "unit"]).reset_index().assign(init=initializer, activation=name))
            counts.append(table.loc[fingerprint, "symmetry/effective_units"])
            for unit, path in drawn[-1].groupby("unit"):
                ax.plot(path["w1"], path["w2"], linewidth=1.3, label=name if unit == 0 else None, **style)
                ax.plot(path["w1"].iloc[-1:], path["w2"].iloc[-1:], "o", markersize=5, color=style["color"])
    ax.plot(0, 0, "+", color="black", markersize=10, zorder=1)
    ax.margins(0.12)
    paths = f": {widest} units, {max(counts):.0f} path{'s' if max(counts) > 1 else ''}" if counts else ""
    ax.set(title=f"{TITLES[initializer]}{paths}", xlabel="weight of x1", ylabel="weight of x2")
    legend(ax)
    return pd.concat(drawn)


@styled
def animation(runs: Runs) -> list[Figure]:
    """Boundary and hidden units' lines during training, by initialiser: equal units share one line, random ones spread out."""
    table = _unbalanced(runs.table)
    table = table[table.index.isin(set(runs.weights))]
    wide = table[table["hidden_size"] == table["hidden_size"].max()]
    for name in styles_of(wide["activation"]):  # the sigmoid first, which learns from every initialiser
        chosen = {
            initializer: with_weights(runs, wide, init=initializer, activation=name)[:1] for initializer in INITIALIZERS
        }
        shown = {
            initializer: replay(runs, fingerprint) for initializer, found in chosen.items() for fingerprint in found
        }
        if shown and all(run.in_plane for run in shown.values()):
            steps = sorted(set().union(*(run.steps.tolist() for run in shown.values())))
            return [_frame(shown, step, f"{name}, {wide['hidden_size'].max()} hidden units") for step in steps]
    return []


def _frame(shown: dict[str, Replay], step: int, title: str) -> Figure:
    page = Figure(figsize=(8.4, 3.6))
    page.suptitle(f"{title}: step {step}", x=0.01, ha="left", weight="bold")
    page.supxlabel("green: w·x + b = 0 for each hidden unit; black: the decision boundary", fontsize=9)
    for ax, (initializer, run) in zip(page.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        unit_lines(ax, run.data, lambda X, run=run: run.forward(X, step).Z1)
        boundary(ax, run.data, lambda X, run=run: run.forward(X, step).Z2[0])
        parameters = run.at(step)
        rows = np.hstack([parameters.W1, parameters.b1])[parameters.W1.any(axis=1)]  # w = 0 has no line
        lines = effective_units(rows, "any scale")
        ax.set(title=f"{TITLES[initializer]}: {lines or 'no'} line{'' if lines == 1 else 's'}")
    return page


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: for each activation, every run from zero or constant weights has one effective hidden
    unit at every logged step, and at the largest hidden size random weights gain training accuracy over constant
    ones, paired by seed, with the whole 95% interval above 0.02. Supported if both hold for every activation,
    refuted if for none.
    """
    table = _unbalanced(runs.table)
    widest = table["hidden_size"].max()
    pairs = paired(
        table[table["hidden_size"] == widest], "train/accuracy", "init", "random", "constant", ("activation", "seed")
    )
    gains, lost = drop_undefined(pairs)
    effects = effects_by(pairs, "activation")
    equal = runs.histories[runs.histories["init"].isin(EQUAL)]
    most_units = equal.groupby("activation")["symmetry/effective_units"].max()
    alike = {name: most_units[name] == 1 for name in effects}
    gained = {name: effect.low > MARGIN for name, effect in effects.items()}
    return Verdict(
        criteria(
            [
                (
                    f"{name}: equal weights keep {most_units[name]:.0f} of {widest} units; gain {format_estimate(effect)}",
                    alike[name] and gained[name],
                )
                for name, effect in effects.items()
            ]
        ),
        f"training accuracy at {widest} hidden units, random minus constant, mean of activations, paired by seed{lost}",
        mean_over_seeds(gains),
        f"Equal units stay one unit {summarise(alike.items())}; random weights gain accuracy {summarise(gained.items())}.",
        _rest(runs),
    )


def _rest(runs: Runs) -> str:
    """Where zero weights move at all, as text."""
    zero = runs.histories[runs.histories["init"] == "zero"]
    moved = zero.assign(
        weights=zero[["gradient/W1", "gradient/W2"]].max(axis=1), balanced=zero["data.positive_rate"] == 0.5
    )
    moved = moved.groupby(["balanced", "activation"])["weights"].max() > 0
    sentences = []
    for balanced, part in moved.groupby(level="balanced"):
        names = part.droplevel("balanced")
        where = "balanced" if balanced else "unbalanced"
        sentences.append(
            f"From all zero on {where} classes the weights move for {', '.join(names.index[names]) or 'none'}"
            f" and never for {', '.join(names.index[~names]) or 'none'}."
        )
    return " ".join(sentences)
