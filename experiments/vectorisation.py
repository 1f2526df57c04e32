"""The matrix form computes what the loops over units and samples compute, and it is faster.

Section: 6.2.1

The chapter shows both and states the speed without a number. What is saved is the interpreter's work for each product,
not arithmetic, so the gain grows with the number of samples. Equal means up to rounding: this package's einsum adds the
products in the loop's order and can agree to the last bit, a BLAS product (`@`) need not. The equality is computed again
from the weights of the runs; the times come from benchmarks/vectorisation.py, measured once and kept beside this file,
because a figure must not depend on the machine that draws it.
"""

import json
from collections.abc import Iterator
from operator import matmul
from pathlib import Path

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, Effect, Page, Replay, Runs, atom, legend, replay, styles_of, theorem
from shallowexp.network.passes import exact, forward, forward_by_sample

ROUNDING = 1e-12  # largest difference, relative to the largest value, that counts as equal
COMPARED = 40  # samples of each run that go through the loop
UNITS, SAMPLES, MATRIX = "loop over samples and units", "loop over samples", "matrix form"
MARGIN, UNIT = 0.1, "times as fast, beyond 1"
TIMES = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
CARD = "times"


def figure(runs: Runs) -> Page:
    """The loops' time grows with every sample, the matrix form's hardly does."""
    page, rows = Page([["times", "ratios"]], size=(11, 4)), pd.DataFrame(TIMES["rows"]).drop(columns="rounds")
    matrix = rows[rows["form"] == MATRIX].set_index("samples")["median"]
    rows["ratio"] = rows["median"] / rows["samples"].map(matrix)
    for form, style in styles_of(rows["form"]).items():
        line = rows[rows["form"] == form]
        page["times"].plot(line["samples"], 1e3 * line["median"], label=form, marker="o", markersize=3.5, **style)
        page["ratios"].plot(line["samples"], line["ratio"], marker="o", markersize=3.5, **style)
    page["times"].set(title="processor time of a forward pass in ms", xscale="log", yscale="log", xlabel="samples")
    page["ratios"].set(title="times the matrix form's", xscale="log", yscale="log", xlabel="samples")
    page["ratios"].text(
        0.03, 0.97, f"{TIMES['machine']},\n{TIMES['date']}", transform=page["ratios"].transAxes, va="top", fontsize=8
    )
    legend(page["times"])
    page.add("ratios", rows)
    return page


def difference(run: Replay) -> float:
    """The largest difference of Z1, A1 and Z2 between loop and matrix form at the end, relative to the largest value.

    The matrix form with both products: exact and `@`.
    """
    X, parameters = run.data.X[:, :COMPARED], run.parameters[-1]
    loop = forward_by_sample(X, parameters, run.activation)
    forms = [forward(X, parameters, run.activation, product) for product in (exact, matmul)]
    pairs = [pair for form in forms for pair in zip(loop, form, strict=True)]
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(float).tiny)) for a, b in pairs)


def gain(slow: str, samples: int) -> Effect:
    """How many times as fast the matrix form is, beyond 1, over timing rounds."""
    rounds = {row["form"]: np.array(row["rounds"]) for row in TIMES["rows"] if row["samples"] == samples}
    return Effect.of(rounds[slow] / rounds[MATRIX] - 1)


def atoms(runs: Runs) -> Iterator[Atom]:
    found = [difference(replay(runs, fingerprint)) for fingerprint in runs.table.index if fingerprint in runs.weights]
    most = f"largest relative difference in {len(found)} runs: {max(found, default=0):.0e}"
    for statement, what in (("7", "unit by unit"), ("8", "sample by sample")):
        yield theorem(
            max(found, default=0) <= ROUNDING, f"the matrix form equals the computation {what}", statement, detail=most
        )
    measured = f"over timing rounds, {TIMES['machine']}, {TIMES['date']}"
    for statement, slow, samples in (
        ("7", UNITS, 1),
        ("8", SAMPLES, 1),
        ("8", SAMPLES, 10),
        ("8", SAMPLES, 100),
        ("8", SAMPLES, 1000),
    ):
        text = f"the matrix form is faster than the {slow} at m = {samples}"
        yield atom(gain(slow, samples), "above", MARGIN, UNIT, text, statement, scope=f"m = {samples}", detail=measured)
