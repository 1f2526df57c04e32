"""What the report's live network starts from: the data sets' points, and the draws behind random initial weights."""

from typing import Any

import numpy as np

from shallowexp.network.data import Circles, Flower, Moons

DATA = {"flower": Flower(), "unbalanced": Flower(positive_rate=0.3), "moons": Moons(), "circles": Circles()}
SEEDS, UNITS = 5, 16
DRAWS = 2 * 3 * UNITS  # W1 and W2 of two inputs and one output, then the jitter of both


def ingredients() -> dict[str, Any]:
    """`data`: the training points of each of DATA; `draws`: what RandomState(seed).randn gives first, for each seed; `units`, at most."""
    points = {name: data.load() for name, data in DATA.items()}
    return {
        "data": {
            name: {"x1": found.X[0].tolist(), "x2": found.X[1].tolist(), "y": found.Y[0].astype(int).tolist()}
            for name, found in points.items()
        },
        "draws": [np.random.RandomState(seed).randn(DRAWS).tolist() for seed in range(SEEDS)],
        "units": UNITS,
    }
