"""How far W1 moves: lazy where weights are large and many, condensed where they are small.

Chizat et al. (2019) call training lazy where the weights barely move; Luo et al. (2021) draw the border between a linear and a
condensed regime over the weights' scale, as the width grows without end. This is what is left of it up to 256 units.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, atom, effect
from shallowexp.fields.field import Field

MOVED = "change/W1"
SMALL, UNSCALED = 0.01, 1.0
FEW = 4  # units; with fewer the width decides what can be learned at all
TENTH, NATS = 0.1, 0.05


def moved(fields: Sequence[Field], scale: float) -> pd.DataFrame:
    """(seeds, widths) decades by which W1 moved, over its initial norm."""
    return pd.DataFrame([np.log10(field.where_trained(MOVED)[:, field.x.nearest(scale)]) for field in fields])


def slopes(fields: Sequence[Field], scale: float) -> pd.Series:
    """Decades of movement a decade of units, of each seed."""
    wide = fields[0].y.values >= FEW
    decades = moved(fields, scale).loc[:, wide].dropna()
    if decades.empty:
        return pd.Series(dtype=float)
    return pd.Series(np.polyfit(np.log10(fields[0].y.values[wide]), decades.T, 1)[0])


def atoms(fields: Sequence[Field], zooms: Sequence[Field]) -> Iterator[Atom]:
    yield atom(effect(moved(fields, SMALL).min(axis=1)), "above", TENTH, "decades",
               "W1 x 0.01 moves by more than its own norm, at every width", role="extension")  # fmt: skip
    yield atom(effect(moved(fields, UNSCALED).max(axis=1)), "below", TENTH, "decades",
               "W1 x 1 moves by less than its own norm, at every width", role="extension")  # fmt: skip
    for scale in (SMALL, UNSCALED):
        yield atom(effect(slopes(fields, scale)), "below", TENTH, "decades a decade of units",
                   f"the more units, the less W1 x {scale:g} moves", role="extension")  # fmt: skip
    column = fields[0].x.nearest(UNSCALED)
    lazy = pd.Series([field.where_trained("train/loss")[-1, column] - field.zero_loss for field in fields])
    yield atom(effect(lazy), "below", NATS, "nats, from the loss of weights of 0",
               "with the most units a net learns although W1 x 1 barely moves", role="extension")  # fmt: skip
