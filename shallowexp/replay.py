"""Runs whose weights were kept, as arrays again: their data, their activation, their parameters while training."""

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from shallowexp import CONF, activations, data
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
    return Replay(_choice("data", row).load(), _choice("activation", row), kept["steps"], parameters)


def _choice(group: str, row: pd.Series):
    """The object that `row` names: its class is the `_target_` of the choice's YAML, its keys are `group`.key."""
    files = [folder / group / f"{row[group]}.yaml" for folder in (CONF, Path("conf"))]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise ValueError(f"runs with {group}={row[group]} need {files[-1]} in the working directory to be replayed")
    module, _, name = OmegaConf.load(file)["_target_"].rpartition(".")
    choice = getattr(import_module(module), name)
    told = row.dropna().to_dict()  # in Python's own types; what was not set has its default
    values = {key.name: told[f"{group}.{key.name}"] for key in fields(choice) if f"{group}.{key.name}" in told}
    values = {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in values.items()}
    return choice(**OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(choice), values)))
