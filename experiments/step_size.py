"""Over many iterations the loss falls until it settles, though at the edge of stability not at every step.

Section: 6.1

The descent lemma promises a lower loss at every step only while the learning rate is below 2 / sharpness, the sharpness
being the largest eigenvalue of the Hessian of J (Nesterov 2004). Cohen et al. (2021) found that training itself sharpens
the minimum until the two meet, the edge of stability, and that from there on the loss falls on the whole but not at
every step. The chapter says usually and gradually, and names no learning rate; the course's is 1.2.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.sparse.linalg import LinearOperator, eigsh

from shallowexp.claims.vocabulary import (
    Atom,
    Effect,
    Page,
    Replay,
    Runs,
    atom,
    effect,
    replay,
    require,
    with_weights,
)
from shallowexp.network.initializers import Parameters
from shallowexp.network.passes import backward, forward

ROUNDING = 1e-12  # a rise relative to the loss that the last bits alone can make
DATA, RATE, RATES = "flower", 1.2, (0.3, 1.2, 2.4, 4.8)
SETS = ("flower", "iris", "wine")
SHIFT = 1e-5  # of the central difference that stands for a Hessian-vector product
FELL, RISING, SETTLED = 0.05, 0.1, 0.02  # nats; of steps; nats
CARD = "sharpness"


def figure(runs: Runs) -> Page:
    """Large learning rates reach the edge, learning rate x sharpness = 2, and there many steps raise the loss."""
    page, steps = Page([["sharpness", "rises"]], size=(11, 4)), rises(runs)
    page.curves("sharpness", runs._replace(histories=sharpness(runs, steps)), "eta sharpness", by="train.learning_rate")
    page["sharpness"].axhline(2, color="black", linewidth=0.9)
    page["sharpness"].set(
        title=f"{DATA}: learning rate x sharpness; line: edge of stability", yscale="log", ylim=(0.05, 10)
    )
    shown = steps[steps["data"] == DATA].assign(step=steps["window"])
    mean = shown.groupby(["train.learning_rate", "step"])["rise"].mean().reset_index()
    page.curves("rises", runs._replace(histories=mean), "rise", by="train.learning_rate")
    page["rises"].set(title=f"{DATA}: fraction of steps that raise the loss, by learning rate", ylim=(-0.02, 0.62))
    return page


def rises(runs: Runs) -> pd.DataFrame:
    """A row for each pair of consecutive logged steps: `window`, where their stretch of steps begins, and `rise`."""
    require(runs.histories, "fingerprint", "step", "train/loss", "train.learning_rate", "data", "seed")
    rows = runs.histories.sort_values(["fingerprint", "step"]).reset_index(drop=True)
    before = rows.groupby("fingerprint")[["step", "train/loss"]].shift()
    follows = rows["step"] - before["step"] == 1
    rise = rows["train/loss"] > before["train/loss"] * (1 + ROUNDING)
    return rows.assign(window=rows["step"].where(~follows).ffill(), rise=rise.astype(float))[follows]


def sharpness(runs: Runs, steps: pd.DataFrame) -> pd.DataFrame:
    """Learning rate times sharpness at the start of each window, for the runs on DATA whose weights were kept."""
    starts, rows = set(steps["window"]), []
    for fingerprint in with_weights(runs, runs.table, data=DATA):
        run, rate = replay(runs, fingerprint), float(runs.table["train.learning_rate"][fingerprint])
        for step, parameters in zip(run.steps, run.parameters, strict=True):
            if step in starts:
                rows.append((fingerprint, step, rate, rate * largest_eigenvalue(run, parameters)))
    return pd.DataFrame(rows, columns=["fingerprint", "step", "train.learning_rate", "eta sharpness"])


def largest_eigenvalue(run: Replay, parameters: Parameters) -> float:
    """Of the Hessian of J, by Lanczos iteration on differences of gradients."""
    center = np.concatenate([p.ravel() for p in parameters])
    ends = np.cumsum([p.size for p in parameters])[:-1]

    def gradient(vector: np.ndarray) -> np.ndarray:
        moved = Parameters(*(v.reshape(p.shape) for v, p in zip(np.split(vector, ends), parameters, strict=True)))
        cache = forward(run.data.X, moved, run.activation)
        found = backward(run.data.X, run.data.Y, moved, cache, run.activation, run.output)
        return np.concatenate([d.ravel() for d in found])

    def product(vector: np.ndarray) -> np.ndarray:
        shift = SHIFT * vector.ravel() / np.linalg.norm(vector)
        scale = float(np.linalg.norm(vector)) / (2 * SHIFT)
        return np.asarray(scale * (gradient(center + shift) - gradient(center - shift)))

    hessian = LinearOperator((len(center),) * 2, matvec=product, dtype=float)
    return float(eigsh(hessian, k=1, which="LA", v0=np.ones(len(center)), tol=1e-3, return_eigenvectors=False)[0])


def atoms(runs: Runs) -> Iterator[Atom]:
    steps, rows = (
        rises(runs),
        runs.histories.set_index(["data", "train.learning_rate", "seed", "step"])["train/loss"].sort_index(),
    )
    loss = rows[~rows.index.duplicated()].unstack("step")
    last = int(runs.histories["step"].max())
    late = runs.nearest(0.7 * last)
    for data in SETS:
        course = _cell(loss, data, RATE)
        yield atom(effect(course[last] - course[0]), "below", FELL, "nats", f"after {last} steps the loss is lower than at the start on {data}",
                   "5", scope=f"{data}, falls")  # fmt: skip
        yield atom(effect(course[last] - course[late]), "within", SETTLED, "nats",
                   f"the loss hardly changes from step {late} to {last} on {data}", "5", scope=f"{data}, settles")  # fmt: skip
        found = _rising(steps, data, RATE)
        yield atom(Effect.of(found - RISING), "below", 0.02, "of steps beyond one in ten", f"fewer than one step in ten raises the loss on {data}",
                   "5", scope=f"{data}, gradually", detail=f"mean {found.mean():.1%}" if len(found) else "")  # fmt: skip
    for rate in RATES:
        found = _rising(steps, DATA, rate)
        yield atom(Effect.of(found), "within", 0.001, "of steps", f"every step lowers the loss on {DATA} at learning rate {rate:g}",
                   role="extension", scope=f"{DATA}, learning rate {rate:g}")  # fmt: skip


def _cell(loss: pd.DataFrame, data: str, rate: float) -> pd.DataFrame:
    """Loss by seed and step; undefined where nothing is there."""
    chosen = (loss.index.get_level_values("data") == data) & (
        loss.index.get_level_values("train.learning_rate") == rate
    )
    return loss[chosen]


def _rising(steps: pd.DataFrame, data: str, rate: float) -> pd.Series:
    """Fraction of rising steps by seed."""
    cell = steps[(steps["data"] == data) & (steps["train.learning_rate"] == rate)]
    return cell.groupby("seed")["rise"].mean()
