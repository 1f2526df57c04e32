"""The clock: its pace is that of seeds whose units part at every noise, and a run that never parts slows no mean."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.claims.claim import find
from shallowexp.claims.vocabulary import Runs

CLOCK = find()["symmetry_clock"].load()
NOISES = [1e-4, 1e-6, 1e-8]


def runs(apart: dict[float, list[float]]) -> Runs:
    """One tanh run of each noise, with this separation of its units at steps 0, 10, 20, ..."""
    rows = [
        {"activation": "tanh", "train.engine": "compiled", "train.dtype": "float64", "init.noise": noise, "seed": 1,
         "step": 10 * i, CLOCK.SEPARATION: value}
        for noise, values in apart.items() for i, value in enumerate(values)
    ]  # fmt: skip
    return Runs(pd.DataFrame(), pd.DataFrame(rows), {})


def test_the_step_is_found_between_logged_ones_by_the_logarithm():
    found = CLOCK.times(runs({1e-4: [0.001, 0.01, 1.0], 1e-6: [0.001, 0.01, 0.09]}))
    assert found["time"].tolist() == pytest.approx([np.nan, 15.0], nan_ok=True)  # 0.1 is half way from 0.01 to 1


def test_a_seed_whose_units_stay_together_is_left_out_of_the_pace():
    arm = pd.DataFrame({1: [40.0, 80.0, 120.0], 2: [50.0, 120.0, np.nan]}, index=NOISES)
    pace = CLOCK.pace(arm)
    assert pace.to_dict() == pytest.approx({1: 20.0})
    assert CLOCK._parted(pace, arm).startswith("of the 1 in 2 seeds")


def test_of_one_noise_there_is_no_pace():
    assert CLOCK.pace(pd.DataFrame({1: [40.0]}, index=[1e-4])).empty
