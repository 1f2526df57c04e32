"""Large weights, or inputs as measured, put z where sigmoid and tanh are flat, so that gradients vanish and learning is slow.

Section: 6.2.2 and 6.4

LeCun et al. (1998) and Glorot & Bengio (2010) choose the scale from the fans instead, and watch activations by their
percentiles and gradients by their norms. Scaled together, a larger W2 makes dW1 larger: ||dW1|| can rise while every
slope falls. So the measure is ||dW1|| / ||W1||, and ||dW1|| itself where W2 is kept small. And a hidden layer that
cannot move is still a set of random features, from which W2 learns (Rahimi & Recht 2008). Inputs that are not
standardised differ in their sizes too, which alone makes descent slow: their atoms test advice, not one cause.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.vocabulary import (
    Atom,
    Comparison,
    Page,
    Replay,
    Runs,
    above,
    below,
    legend,
    replay,
    with_weights,
    within,
)
from shallowexp.network.diagnostics import FLAT

CURVED = ("sigmoid", "tanh")
SMALL, LARGE, HUGE = 0.01, 10.0, 100.0
NATS = 0.02  # of training loss that a reader would notice
LOSS, FRACTION, RELATIVE = "train/loss", "saturation/fraction", "gradient/W1_relative"
STEEP = np.arccosh(FLAT**-0.5)  # |z| below which the slope of tanh, 1 / cosh(z)^2, is not flat
INPUTS = {"True": "standardised", "False": "as measured"}
CARD, PLATE = "loss", ("share", "loss")
HEADLINE = """Large weights push z to where sigmoid and tanh are flat: slopes and gradients are almost zero there, and learning is
slow. Yet x 0.01 is not the best choice: after 100 steps the loss is lowest from weights near x 1."""


def figure(runs: Runs) -> Page:
    """Large weights carry z into the flat part, where tanh learns slowly; so do inputs as measured."""
    page = Page([["share", "loss"], ["inputs", "gaps"]], size=(11.5, 6.6))
    flower = _flower(runs)
    page.curves("share", flower.at(0), FRACTION, by="activation", x="init.scale")
    page["share"].set(title="flower: share of flat slopes at the start", xscale="log", xlabel="scale of W", ylabel="")
    page["share"].annotate("ReLU: flat for z < 0,\nhalf of all z, at any scale", (0.001, 0.54), fontsize=8)
    legend(page["share"], loc=(0.01, 0.07), labelspacing=0.15)
    page.curves("loss", flower.where(activation=CURVED).at(100), LOSS, by="activation", x="init.scale")
    page["loss"].set(title="flower: training loss after 100 steps", xscale="log", yscale="log", xlabel="scale of W")
    cancer = runs.optional("data.standardise").where(data="breast_cancer", activation="tanh")
    page.curves("inputs", cancer, LOSS, by="data.standardise", label=lambda value: INPUTS[str(value)])
    page["inputs"].set(title="breast cancer, tanh x 0.01: training loss", ylim=(0, None))
    page.intervals("gaps", (atom for part in (_slower, _inputs) for atom in part(runs)))
    page["gaps"].set_title("What large |z| costs in training loss")
    return page


def _flower(runs: Runs) -> Runs:
    """The chapter's way: W2 as large as W1."""
    return _design(runs.where(data="flower"), small=False)


def _design(runs: Runs, small: bool) -> Runs:
    def chosen(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["init.output_scale"].notna() == small] if "init.output_scale" in frame else frame

    return runs._replace(table=chosen(runs.table), histories=chosen(runs.histories))


def atoms(runs: Runs) -> Iterator[Atom]:
    yield from _inputs(runs)
    measured = _inputs_at(runs.where(data="breast_cancer"), 0, FRACTION)
    yield from above(measured, 0.1, "of slopes", "{activation}: as measured they saturate units at the start", ["activation"],
                     statement="13", role="reason", scope="{activation}, flat slopes")  # fmt: skip
    yield from above(_inputs_at(runs.where(data="wine"), 100, LOSS), NATS, "nats", "So it is with three classes",
                     ["activation"], statement="13", role="extension", scope="{activation} on wine")  # fmt: skip
    yield from _slower(runs)
    start = _flower(runs).at(0)
    yield from above(_scales(start, FRACTION), 0.1, "of slopes", "{activation}: more slopes are flat at the start",
                     ["activation"], statement="35", role="reason", scope="{activation}, flat slopes")  # fmt: skip
    yield from below(_scales(start, RELATIVE), 0.01, "||dW1|| / ||W1||", "{activation}: gradients are small for their weights",
                     ["activation"], statement="35", role="reason", scope="{activation}, gradients")  # fmt: skip
    apart = _design(runs.where(data="flower"), small=True).at(0)
    apart = apart.label(**{"gradient/decades": lambda frame: np.log10(frame["gradient/W1"])})
    yield from below(_scales(apart, "gradient/decades"), 0.3, "decades", "{activation}: the gradient itself, with W2 small",
                     ["activation"], statement="35", role="control", scope="{activation}, dW1")  # fmt: skip
    yield from within(_scales(start, FRACTION, activation="relu"), NATS, "of slopes", "ReLU: half of its slopes are flat (z < 0), at any scale",
                      statement="35", role="control", scope="ReLU, flat slopes")  # fmt: skip
    yield from above(_scales(_flower(runs).at(1000), LOSS, HUGE), NATS, "nats", "{activation}: x 100 is slower still",
                     ["activation"], statement="35", role="extension", scope="{activation} x 100, 1000 steps")  # fmt: skip


def _inputs(runs: Runs) -> Iterator[Atom]:
    for step in (30, 100):
        costs = _inputs_at(runs.where(data="breast_cancer"), step, LOSS)
        yield from above(costs, NATS, "nats", f"{{activation}}: inputs as measured learn more slowly, {step} steps",
                         ["activation"], statement="13", scope=f"{{activation}}, raw inputs, {step} steps")  # fmt: skip


def _inputs_at(runs: Runs, step: int, measure: str) -> Comparison:
    return runs.at(step).compare(measure, "data.standardise", "False", "True", ("activation", "seed"))


def _slower(runs: Runs) -> Iterator[Atom]:
    for step in (30, 100, 1000):
        yield from above(_scales(_flower(runs).at(step), LOSS), NATS, "nats", f"{{activation}}: x 10 is slower, {step} steps",
                         ["activation"], statement="35", scope=f"{{activation}} x 10, {step} steps")  # fmt: skip


def _scales(runs: Runs, measure: str, large: float = LARGE, activation: str | tuple[str, ...] = CURVED) -> Comparison:
    return runs.where(activation=activation).compare(measure, "init.scale", large, SMALL, ("activation", "seed"))


def animation(runs: Runs) -> list[Figure]:
    """Tanh units while training, as lines with the strip where they are not flat: wide from small weights until they have
    learned, narrow from large ones from the start.
    """
    tanh = _flower(runs).where(activation="tanh")
    found = {scale: with_weights(tanh, tanh.table, **{"init.scale": scale})[:1] for scale in (SMALL, LARGE)}
    shown = {f"x {scale:g}": replay(runs, key) for scale, keys in found.items() for key in keys}
    rows = tanh.histories[tanh.histories["fingerprint"].isin([key for keys in found.values() for key in keys])]
    steps = sorted(set().union(*(run.steps.tolist() for run in shown.values())))
    return [_frame(shown, tanh._replace(histories=rows), step) for step in steps]


def _frame(shown: dict[str, Replay], runs: Runs, step: int) -> Figure:
    page = Page([[*shown, "share"]], size=(8.4, 3.6))
    page.figure.suptitle(f"tanh: step {step}", x=0.01, ha="left", weight="bold")
    page.figure.supxlabel("green: w·x + b = 0 for each hidden unit; shaded: where its slope is not flat", fontsize=9)
    for scale, run in shown.items():
        page.plane(scale, run, step, STEEP)
        page[scale].set_title(f"weights {scale}")
    page.curves("share", runs, FRACTION, by="init.scale", label="x {:g}".format)
    page["share"].axvline(step, color="black", linewidth=0.8)
    page["share"].set(title="Share with a flat slope", ylim=(-0.03, 1.03))
    return page.figure
