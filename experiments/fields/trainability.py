"""Which initial scales and learning rates train: how large weights may be is a question of the rate, too.

The chapter names one scale, 0.01, and no other, and the course one learning rate, 1.2; dashed lines mark them. With tanh or
sigmoid and cross-entropy nothing diverges, since no factor of a gradient is unbounded: it oscillates instead, and ends with
more loss than weights of 0 have.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, atom, effect
from shallowexp.fields.field import Field

SMALL, UNSCALED, LARGE = 0.01, 1.0, 100.0
RATE = 1.2
SAME, MORE = 0.01, 0.05  # nats of training loss
APART = 0.1  # decades


def best(fields: Sequence[Field], scale: float) -> pd.DataFrame:
    """A row for each field: the lowest loss that any learning rate reaches from weights of this scale, and that rate."""
    columns = [
        pd.Series(field.where_trained("train/loss")[:, field.x.nearest(scale)], field.y.values) for field in fields
    ]
    return pd.DataFrame([{"loss": column.min(), "rate": column.fillna(np.inf).idxmin()} for column in columns])


def atoms(fields: Sequence[Field], zooms: Sequence[Field]) -> Iterator[Atom]:
    small, unscaled, large = (best(fields, scale) for scale in (SMALL, UNSCALED, LARGE))
    yield atom(effect(unscaled["loss"] - small["loss"]), "at most", SAME, "nats",
               "each at its best rate, weights x 1 end with no more loss than weights x 0.01", role="extension")  # fmt: skip
    yield atom(effect(large["loss"] - small["loss"]), "above", MORE, "nats",
               "at its best rate even, weights x 100 end with more loss than weights x 0.01", role="extension")  # fmt: skip
    yield atom(effect(np.log10(small["rate"] / RATE)), "above", APART, "decades",
               "the best rate of weights x 0.01 is above the course's 1.2", role="extension")  # fmt: skip
