"""Runs whose weights were kept, as arrays again: their data, their activation, their parameters while training."""

from dataclasses import fields, is_dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from shallowexp import activations, data
from shallowexp.claims import Runs
from shallowexp.initializers import Parameters
from shallowexp.network import Forward, forward


class Replay(NamedTuple):
    """A run whose weights were kept, as arrays again."""

    data: data.Dataset
    activation: activations.Activation
    steps: np.ndarray  # (p,)
    parameters: list[Parameters]  # p of them

    def at(self, step: int) -> Parameters:
        """As they stood at `step`: those of the last logged step that is not after it."""
        return self.parameters[max(np.searchsorted(self.steps, step, side="right") - 1, 0)]

    def forward(self, X: np.ndarray, step: int) -> Forward:
        return forward(X, self.at(step), self.activation)

    @property
    def in_plane(self) -> bool:
        """Whether boundary and hidden units can be drawn: two inputs, one output."""
        return self.parameters[0].W1.shape[1] == 2 and len(self.parameters[0].W2) == 1


def with_weights(runs: Runs, table: pd.DataFrame, **choices) -> list[str]:
    """Fingerprints of the rows of `table` that have these choices and whose weights were kept."""
    kept = set(runs.weights)  # names only: each look into the mapping reads a file
    matching = (table[list(choices)] == pd.Series(choices)).all(axis=1)
    return [fingerprint for fingerprint in table.index[matching] if fingerprint in kept]


def replay(runs: Runs, fingerprint: str) -> Replay:
    """The data, the activation and the parameters at each logged step of one of `runs.weights`."""
    row, kept = runs.table.loc[fingerprint], runs.weights[fingerprint]
    parameters = [Parameters(*arrays) for arrays in zip(*(kept[name] for name in Parameters._fields), strict=True)]
    return Replay(_choice(data, "data", row).load(), _choice(activations, "activation", row), kept["steps"], parameters)


def _choice(module, group: str, row: pd.Series):
    """The object that `row` names: its class is the choice's name without underscores, its keys are `group`.key."""
    classes = {name.lower(): choice for name, choice in vars(module).items() if is_dataclass(choice)}
    choice = classes[row[group].replace("_", "")]
    return choice(**{key.name: key.type(row[f"{group}.{key.name}"]) for key in fields(choice)})
