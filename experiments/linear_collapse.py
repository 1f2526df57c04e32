"""Without a nonlinearity in the hidden layers the network is a linear model, whatever its size and depth.

Section: 6.2.2

W2 (W1 x + b1) + b2 is one linear map, so the network can do no better than logistic regression, which is here fitted apart
by a quasi-Newton method. Equal at convergence is not equal in learning: the loss is convex in the product but not in W1
and W2 (Saxe et al. 2013), with a saddle at zero, where logistic regression starts without trouble and this network moves
its output bias alone.
"""

from collections.abc import Iterator
from functools import reduce

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from shallowexp.claims.vocabulary import Atom, Page, Replay, Runs, atom, effect, replay, theorem
from shallowexp.network.data import Dataset
from shallowexp.network.outputs import Sigmoid

MARGIN, GAIN, UNIT = 0.02, 0.05, "nats"
ROUNDING = 1e-12  # relative
DEPTHS = range(1, 6)
SHOWN = "flower"


def linear_model(points: Dataset) -> tuple[np.ndarray, float]:
    """Coefficients (n_x + 1,) and loss of the best logistic regression Z2 = v [X; 1], found from v = 0."""
    X = np.vstack([points.X, np.ones(points.X.shape[1])])

    def loss(v: np.ndarray) -> tuple[float, np.ndarray]:
        Z2 = v[None] @ X
        return Sigmoid().loss(Z2, points.Y), (Sigmoid().dZ2(Z2, points.Y) @ X.T / X.shape[1]).ravel()

    found = minimize(loss, np.zeros(len(X)), jac=True, method="BFGS")
    return found.x, float(found.fun)


def with_gap(runs: Runs) -> Runs:
    """With `gap`, the training loss above logistic regression's on the same data, and the network's name."""
    best: dict[tuple[str, int], float] = {}
    for fingerprint, row in runs.table.iterrows():
        key = row["data"], row["data.seed"]
        if key not in best and fingerprint in runs.weights:
            best[key] = linear_model(replay(runs, str(fingerprint)).data)[1]

    def gap(frame: pd.DataFrame) -> pd.Series:
        keys = zip(frame["data"], frame["data.seed"], strict=True)
        excess: pd.Series = frame["train/loss"] - np.array([best.get(key, np.nan) for key in keys])
        return excess

    def network(frame: pd.DataFrame) -> pd.Series:
        units = frame["hidden_size"].map("{:g} ".format) + frame["activation"]
        return units + np.where(frame["init"] == "zero", " from zero", "")

    return runs.label(gap=gap, network=network)


CARD = "line"


def figure(runs: Runs) -> Page:
    """Identity units end at logistic regression's straight line and loss; from zero they never get there."""
    judged, page = with_gap(runs), Page([["line", "paths", "gaps"]], size=(13, 4.2), width_ratios=[1, 1.2, 1.5])
    for run in _replays(runs.where(data=SHOWN, activation="identity", init="random"))[-1:]:
        page.plane("line", run, int(run.steps[-1]))
        v, _ = linear_model(run.data)
        reach = np.array(page["line"].get_xlim())
        page["line"].plot(reach, -(v[2] + v[0] * reach) / v[1], "--", color="#ffa90e", linewidth=2.5)
        page["line"].set(title="identity units", xlim=reach, ylim=reach, xlabel="dashed: logistic regression")
    page.curves("paths", judged.where(data=SHOWN), "gap", by="network")
    page["paths"].set(title=f"{SHOWN}: nats above logistic regression")
    page.intervals("gaps", atoms(runs))
    page["gaps"].set(title="nats above logistic regression, at the end")
    return page


def _replays(runs: Runs) -> list[Replay]:
    return [replay(runs, fingerprint) for fingerprint in runs.table.index if fingerprint in runs.weights]


def linear_error(run: Replay) -> float:
    """How far the logits of the data are from W2 W1 X + W2 b1 + b2, relative to the largest."""
    W1, b1, W2, b2 = run.parameters[-1]
    Z2 = run.forward(run.data.X, int(run.steps[-1])).Z2
    return float(np.abs(Z2 - (W2 @ W1 @ run.data.X + W2 @ b1 + b2)).max() / np.abs(Z2).max())


def depth_error(depth: int) -> float:
    """How far a network of `depth` identity layers is from one linear map, relative to its largest output."""
    draw = np.random.RandomState(depth).randn
    layers, X = [(draw(5, 5), draw(5, 1)) for _ in range(depth + 1)], draw(5, 50)
    out = reduce(lambda A, layer: layer[0] @ A + layer[1], layers, X)
    V = reduce(lambda V, layer: layer[0] @ V, layers, np.eye(5))
    c = reduce(lambda c, layer: layer[0] @ c + layer[1], layers, np.zeros((5, 1)))
    return float(np.abs(out - (V @ X + c)).max() / np.abs(out).max())


def atoms(runs: Runs) -> Iterator[Atom]:
    identity = runs.where(activation="identity", init="random")
    errors = [linear_error(run) for run in _replays(identity)]
    most = f"largest relative deviation in {len(errors)} runs: {max(errors, default=0):.0e}"
    yield theorem(
        max(errors, default=0) <= ROUNDING, "the trained network's logits are W2 W1 X + W2 b1 + b2", "21", detail=most
    )
    deep = {depth: depth_error(depth) for depth in DEPTHS}
    yield theorem(max(deep.values()) <= ROUNDING, "1 to 5 identity layers are one linear map", "22",
                  detail=f"largest relative deviation: {max(deep.values()):.0e}")  # fmt: skip
    table = with_gap(runs).table
    table = table.assign(gap=table["gap"].where(table["outcome"] == "finished"))
    for network, role, statement, expects, margin, text in (
        ("1 identity", "stated", "23", "within", MARGIN, "1 identity unit ends at logistic regression's loss on {}"),
        ("8 identity", "stated", "23", "within", MARGIN, "8 identity units end at logistic regression's loss on {}"),
        ("8 tanh", "control", "24", "below", GAIN, "8 tanh units end below logistic regression on {}"),
        ("8 identity from zero", "extension", "", "above", GAIN, "from zero weights the network stays above logistic regression on {}"),
    ):  # fmt: skip
        for data in ("flower", "moons", "circles"):
            gaps = table[(table["network"] == network) & (table["data"] == data)].set_index("seed")["gap"]
            yield atom(effect(gaps), expects, margin, UNIT, text.format(data), statement, role, f"{data}, {network}")
