"""The edge between what trains and what does not: a fractal.

Sohl-Dickstein (2024) drew this edge over pairs of learning rates, and found it ragged however closely he looked. Here it lies
between what ends below the loss of weights of 0 and what does not, as an identity output's error has no bound. Each window is a
quarter as wide and as high as the one before, and lies where most of the edge is: a dimension is one of windows so chosen.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from shallowexp.claims.vocabulary import Atom, atom, effect
from shallowexp.fields.edge import border, dimension
from shallowexp.fields.field import Field

DEEP = 4  # zooms; a window is less than a 200th as wide and as high as the whole from here on
LINE, MARGIN = 1.0, 0.1


def atoms(fields: Sequence[Field], zooms: Sequence[Field]) -> Iterator[Atom]:
    deep = pd.DataFrame(
        [(field.params["seed"], dimension(border(field))) for field in zooms if field.window >= DEEP],
        columns=["seed", "found"],
    )
    yield atom(effect(deep.groupby("seed")["found"].mean() - LINE), "above", MARGIN, "beyond the 1 of a line",
               f"a window's edge is no line, after {DEEP} zooms and more: its box-counting dimension", role="extension")  # fmt: skip
