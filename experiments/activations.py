"""Where |z| is large the slopes of sigmoid and tanh are small, while ReLU's is 1 above zero and 0 below.

Section: 6.2.2

Both follow from the formulas: sigmoid' = e / (1 + e)^2 < e and tanh' < 4 e^2 with e = exp(-|z|). That tanh hands on
values around zero does not: it is odd only about z = 0. LeCun et al. (1998) ask for inputs of mean zero in each unit
over the samples; a hidden bias, or weights that have grown, moves a unit's mean away, so it is measured unit by unit.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import (
    Atom,
    Page,
    Runs,
    atom,
    below,
    effect,
    replay,
    styled,
    styles_of,
    theorem,
    with_weights,
)
from shallowexp.network.activations import LeakyReLU, ReLU, Sigmoid, Tanh

CURVES = {"sigmoid": Sigmoid(), "tanh": Tanh(), "relu": ReLU(), "leaky_relu": LeakyReLU()}
BOUNDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda z: np.exp(-np.abs(z)),
    "tanh": lambda z: 4 * np.exp(-2 * np.abs(z)),
}
Z = np.arange(-4000, 4001) / 100
OFFSET = "offset/A1"
CENTRED, MARGIN, UNIT = 0.25, 0.1, "of rms"  # below CENTRED a unit's values count as centred
CARD = "slopes"


def figure(runs: Runs) -> Page:
    """Sigmoid's and tanh's slopes vanish where |z| is large; tanh's outputs are the nearest to mean zero, if not at it."""
    page = Page([["slopes", "offsets"]], size=(11, 4.2))
    ax, z = page["slopes"], Z[np.abs(Z) <= 6]
    with styled:
        for name, style in styles_of(CURVES).items():
            ax.plot(z, CURVES[name].derivative(z), label=name.replace("_", " "), **style)
        ax.legend(loc="center left")
        ax.set(title="slope g'(z)", xlabel="z")
    page.add("slopes", pd.DataFrame({name: g.derivative(z) for name, g in CURVES.items()} | {"z": z}))
    page.curves("offsets", _with_offsets(runs), OFFSET, by="activation")
    page["offsets"].set(
        title="|mean| / root mean square of a unit's values, all data sets",
        ylabel="0: centred; 1: constant",
        ylim=(0, None),
    )
    return page


def atoms(runs: Runs) -> Iterator[Atom]:
    for name, bound in BOUNDS.items():
        excess = (CURVES[name].derivative(Z) / bound(Z)).max()
        formula = {"sigmoid": "e^-|z|", "tanh": "4 e^-2|z|"}[name]
        yield theorem(bool(excess < 1 + 1e-12), f"{name}'s slope is at most {formula}, so small where |z| is large", "12", scope=name,
                      detail=f"slope / bound is at most {excess:.6f} on [-40, 40]")  # fmt: skip
    z = Z[Z != 0]
    differences = (ReLU()(z + 1e-3) - ReLU()(z - 1e-3)) / 2e-3  # an independent oracle; none of them crosses 0
    wrong = max(np.abs(slopes - (z > 0)).max() for slopes in (ReLU().derivative(z), differences))
    yield theorem(
        bool(wrong < 1e-9),
        "ReLU's slope is 1 above zero and 0 below",
        "14",
        scope="ReLU",
        detail=f"off by at most {wrong:.0e}",
    )

    last = _with_offsets(runs)
    last = last.at(last.histories["step"].max())
    rivals = last.compare(OFFSET, "activation", "tanh", ("sigmoid", "relu"), pair=("data", "seed"))
    yield from below(rivals, MARGIN, UNIT, "a tanh unit's values lie nearer to mean 0 than those of {activation} after training",
                     statement="10", role="extension")  # fmt: skip
    for data, values in last.where(activation="tanh").table.groupby("data")[OFFSET]:
        yield atom(effect(values), "at most", CENTRED, UNIT, "a tanh unit's values are still centred after training, |mean| / rms",
                   "10", "extension", f"tanh on {data}".replace("_", " "))  # fmt: skip


def _with_offsets(runs: Runs) -> Runs:
    """With the column `offset` at each step whose weights were kept: the mean over units of |mean| / rms of A1."""
    rows = []
    for fingerprint in with_weights(runs, runs.table):
        run = replay(runs, fingerprint)
        rows += [(fingerprint, step, offset(run.forward(run.data.X, step).A1)) for step in run.steps]
    found = pd.DataFrame(rows, columns=["fingerprint", "step", "offset/A1"])
    return runs._replace(histories=runs.histories.merge(found, on=["fingerprint", "step"]))


def offset(A1: np.ndarray) -> float:
    """Mean over units of |mean| / root mean square of A1 (n_h, m): 0 is centred, 1 constant, as dead units count."""
    size = np.sqrt(np.mean(A1**2, axis=1))
    return float(np.mean(np.divide(np.abs(A1.mean(axis=1)), size, out=np.ones_like(size), where=size > 0)))
