"""How much noise tells equal units apart in time: it depends on the learning rate.

All weights are x 0.01 and equal, but for noise. A larger rate makes the clock of experiment symmetry_clock run faster, and
should need less noise; where it is too large units saturate before they part.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, atom, effect
from shallowexp.fields.field import Field

UNITS = "symmetry/effective_units"
RATES = (0.1, 1.2, 12.0)
AUDIBLE = 1e-8  # a millionth of the weights
DECADE, HALF = 1.0, 0.5


def needed(field: Field, rate: float) -> float:
    """The decade of the least noise from which on more than one unit is effective; of the most noise where there is none."""
    together = np.flatnonzero(~(field.where_trained(UNITS)[field.y.nearest(rate)] > 1))
    first = min(together[-1] + 1, field.x.count - 1) if len(together) else 0
    return float(np.log10(field.x.values[first]))


def atoms(fields: Sequence[Field], zooms: Sequence[Field]) -> Iterator[Atom]:
    noise = pd.DataFrame([{rate: needed(field, rate) for rate in RATES} for field in fields])
    least = np.log10(fields[0].x.low)
    for slow, fast in pairwise(RATES):
        both = (noise[fast] <= least) & (noise[slow] <= least)  # less noise was not tried
        yield atom(effect((noise[fast] - noise[slow]).mask(both)), "below", DECADE, "decades of noise",
                   f"a rate of {fast:g} needs less noise than one of {slow:g}", role="extension")  # fmt: skip
    missing = pd.Series([
        field.where_trained(UNITS)[field.y.nearest(RATES[1]), field.x.nearest(AUDIBLE)] - float(field.params["hidden_size"])
        for field in fields
    ])  # fmt: skip
    yield atom(effect(missing), "within", HALF, "units, beyond all there are",
               "at the course's 1.2 noise of a millionth of the weights tells all units apart", role="extension")  # fmt: skip
