"""The chapter's formulas give the gradients of J, for every activation and output; its code does not run as printed.

Section: 6.3

Held against central differences of a loss that is written apart from the package, in extended precision. What the chapter
calls the derivative of J is that of m J: it lacks 1/m, which dW and db then bring. Of the code as printed, two calls do
not run, one shape does not fit, and a sum without keepdims makes b1 grow.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, Page, Replay, Runs, replay, theorem
from shallowexp.network.initializers import Parameters
from shallowexp.network.passes import backward, forward

SAMPLES, SHIFT, CLOSE = 25, 1e-6, 1e-6  # of a run; of the central difference; relative deviation
HIDDEN: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, z / 100),
    "identity": lambda z: z,
}


def loss(output: str, z: np.ndarray, y: np.ndarray) -> Any:
    """J as 6.3 has it, by the names of the output and from its logits."""
    if output == "sigmoid":
        a = 1 / (1 + np.exp(-z))
        return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum() / z.shape[1]
    if output == "softmax":
        return -(y * np.log(np.exp(z) / np.exp(z).sum(axis=0))).sum() / z.shape[1]
    a = 1 / (1 + np.exp(-z)) if output == "sigmoid_squared" else np.where((z > 0) | (output == "identity"), z, 0)
    return ((a - y) ** 2).sum() / (2 * z.shape[1])


def deviation(run: Replay, activation: str, output: str) -> float:
    """The largest deviation of dW1, db1, dW2, db2 from central differences at the kept steps, relative to the largest entry."""
    worst = 0.0
    for parameters in run.parameters:
        cache = forward(run.data.X, parameters, run.activation)
        smooth = np.flatnonzero((cache.Z1 != 0).all(axis=0) & (cache.Z2 != 0).all(axis=0))[
            :SAMPLES
        ]  # a kink has no derivative
        X, Y = run.data.X[:, smooth], run.data.Y[:, smooth]
        wide = X.astype(np.longdouble), Y.astype(np.longdouble)
        cache = forward(X, parameters, run.activation)
        for i, found in enumerate(backward(X, Y, parameters, cache, run.activation, run.output)):
            expected = _differences(*wide, parameters, i, HIDDEN[activation], output)
            worst = max(worst, float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6)))
    return worst


def _differences(
    X: np.ndarray, Y: np.ndarray, parameters: Parameters, i: int, g: Callable[[Any], Any], output: str
) -> np.ndarray:
    p = [a.astype(np.longdouble) for a in parameters]
    found = np.zeros(p[i].shape)
    for place in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):
            moved = [a.copy() for a in p]
            moved[i][place] += sign * SHIFT
            W1, b1, W2, b2 = moved
            ends.append(loss(output, W2 @ g(W1 @ X + b1) + b2, Y))
        found[place] = (ends[0] - ends[1]) / (2 * SHIFT)
    return found


def deviations(runs: Runs) -> pd.DataFrame:
    rows = [
        {
            "activation": row["activation"],
            "output": row["output"],
            "deviation": deviation(replay(runs, str(f)), row["activation"], row["output"]),
        }
        for f, row in runs.table.iterrows()
        if f in runs.weights
    ]
    return pd.DataFrame(rows, columns=["activation", "output", "deviation"])


def figure(runs: Runs) -> Page:
    """Every gradient agrees with differences of the loss to eight digits or more, whatever the activation and the output."""
    page, found = Page("a", size=(7.5, 3.6)), deviations(runs)
    found["digits"] = -np.log10(found["deviation"].clip(lower=1e-16))
    if len(found):
        named = found.assign(output=found["output"].str.replace("_", "\n"))
        page.heat("a", named, "output", "activation", "digits", "{:.1f}")
    page["a"].set(title="digits in which backward pass and differences agree")
    return page


def runs_as_printed(code: str) -> bool:
    try:
        eval(code, {"np": np})
    except (TypeError, AttributeError):
        return False
    return True


def atoms(runs: Runs) -> Iterator[Atom]:
    found = deviations(runs)
    binary = found[found["output"] == "sigmoid"]
    for statement, rows, text in (
        ("26", binary, "dZ2 = A2 - Y leads to the gradients of the cross-entropy"),
        ("27", found, "dW2 and db2 are the derivatives of J, for every output"),
        ("28", found, "dW1 and db1 are the derivatives of J, for every activation"),
    ):
        detail = (
            f"largest relative deviation of {len(rows)} cells: {rows['deviation'].max():.0e}"
            if len(rows)
            else "no runs"
        )
        yield theorem(
            bool(len(rows)) and bool((rows["deviation"] < CLOSE).all()),
            text,
            statement,
            scope="the formulas",
            detail=detail,
        )
    ratio = printed_dA2() / derivative_of_J()
    yield theorem(bool(np.allclose(ratio, 1)), "dA2 as printed is the derivative of J", "26", scope="dA2",
                  detail=f"it is m times that: {ratio[0]:.3f} at m = {len(ratio)}")  # fmt: skip
    grown = np.zeros((4, 1)) - np.sum(np.ones((4, 3)), axis=1)
    yield theorem(grown.shape == (4, 1), "np.sum(dZ, axis=1) keeps the bias's shape", "27", scope="np.sum without keepdims",
                  detail=f"b1 (4, 1) becomes {grown.shape}; keepdims=True keeps it")  # fmt: skip
    for code, call in (("np.random.randn((4,3))", "np.random.randn(4, 3)"), ("np.zero((4,1))", "np.zeros((4, 1))")):
        yield theorem(runs_as_printed(code), f"{code} runs", "33", scope=code, detail=f"the call is {call}")
    yield theorem(np.random.RandomState(0).randn(4, 3).shape == (4, 3), "a random W1 for three inputs and four units is (4, 3)",
                  "33", scope="the idea")  # fmt: skip
    fits = np.zeros((3, 4)).shape[1] == np.zeros((3, 1)).shape[0]
    yield theorem(fits, "the zero W1 as printed, 3 x 4, fits x (3, 1)", "31", "control", "the shape", "it is (4, 3)")


Y, A2 = np.array([0.0, 1, 1, 0]), np.array([0.2, 0.6, 0.9, 0.3])  # any labels and outputs of four samples


def printed_dA2() -> np.ndarray:
    return np.asarray((A2 - Y) / (A2 * (1 - A2)))


def derivative_of_J(shift: float = 1e-6) -> np.ndarray:
    def J(a: np.ndarray) -> float:
        return float(-(Y * np.log(a) + (1 - Y) * np.log(1 - a)).mean())

    return np.array([(J(A2 + shift * e) - J(A2 - shift * e)) / (2 * shift) for e in np.eye(len(Y))])
