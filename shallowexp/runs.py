"""Tracked runs as analysis receives them: frames and arrays, whatever store they came from."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd


class Runs(NamedTuple):
    """The tracked runs of one experiment, sorted by fingerprint, which is the index of `table` and the key everywhere.

    `table` has a row for each run: run_id, params (activation, init.scale, ...; numbers as numbers), last metrics, outcome.
    `histories` has a row for each run and logged step: fingerprint, step, a column for each metric, and the params.
    `weights` holds, of the runs that kept them, steps (p,), W1 (p, n_h, n_x), b1, W2, b2.
    """

    table: pd.DataFrame
    histories: pd.DataFrame
    weights: Mapping[str, Mapping[str, np.ndarray]]
