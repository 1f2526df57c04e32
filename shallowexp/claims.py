"""A claim of the chapter and what the runs say of it: the words that experiments/*.py speak.

An experiment is a pair of files of one name: conf/experiment/<name>.yaml, its sweep, and experiments/<name>.py with

- a docstring: the claim in one sentence, its section, and what the literature adds;
- `figure(runs) -> (matplotlib Figure, DataFrame)`: the picture and the numbers drawn in it; the first line of its own
  docstring says what to see;
- `verdict(runs) -> Verdict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

SUPPORTED, REFUTED, CONDITIONAL = OUTCOMES = ("supported", "refuted", "conditional")


class Runs(NamedTuple):
    """The tracked runs of one experiment, sorted by fingerprint, which is the index of `table` and the key everywhere."""

    table: pd.DataFrame  # a row each: run_id, params (activation, init.scale, ...; numbers as numbers), last metrics, outcome
    histories: pd.DataFrame  # a row for each run and logged step: fingerprint, step, a column for each metric, and the params
    weights: Mapping[str, Mapping[str, np.ndarray]]  # steps (p,), W1 (p, n_h, n_x), b1, W2, b2 of the runs that kept them


class Estimate(NamedTuple):
    """An effect in raw units with its 95% interval over seeds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    outcome: str  # supported, refuted or conditional
    measure: str  # what `effect` is, with its unit and what was compared
    effect: Estimate
    condition: str  # where the claim holds and where it stops, in words and numbers

    def __post_init__(self):
        if self.outcome not in OUTCOMES:
            raise ValueError(f"a verdict is one of {', '.join(OUTCOMES)}, not {self.outcome!r}")
