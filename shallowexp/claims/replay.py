"""Runs whose weights were kept, as arrays again: their data, their activation, their parameters while training."""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from shallowexp import search_here
from shallowexp.analysis import Lacking, Runs
from shallowexp.network import activations, data, outputs
from shallowexp.network.choices import rebuild
from shallowexp.network.initializers import Parameters
from shallowexp.network.passes import Forward, forward

T = TypeVar("T")


class Replay(NamedTuple):
    """A run whose weights were kept, as arrays again."""

    data: data.Dataset
    activation: activations.Activation
    output: outputs.Output
    steps: np.ndarray  # (p,)
    parameters: list[Parameters]  # p of them

    def at(self, step: int) -> Parameters:
        """As they stood at `step`: those of the last logged step that is not after it."""
        return self.parameters[max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)]

    def forward(self, X: np.ndarray, step: int) -> Forward:
        return forward(X, self.at(step), self.activation)

    @property
    def in_plane(self) -> bool:
        """Whether boundary and hidden units can be drawn: two inputs, one output."""
        return self.parameters[0].W1.shape[1] == 2 and len(self.parameters[0].W2) == 1


def with_weights(runs: Runs, table: pd.DataFrame, **choices: object) -> list[str]:
    """Fingerprints of the rows of `table` that have these choices and whose weights were kept."""
    kept = set(runs.weights)  # names only: each look into the mapping reads a file
    matching = (table[list(choices)] == pd.Series(choices)).all(axis=1)
    return [fingerprint for fingerprint in table.index[matching] if fingerprint in kept]


def replay(runs: Runs, fingerprint: str) -> Replay:
    """The data, the activation and the parameters at each logged step of one of `runs.weights`.

    Raises Lacking where the data, read from a user's own file, are no longer those it was trained on.
    """
    kept = runs.weights[fingerprint]
    parameters = [Parameters(*arrays) for arrays in zip(*(kept[name] for name in Parameters._fields), strict=True)]
    choices = json.loads(str(kept["choices"]))
    trained_on = _rebuilt(data.Data, choices["data"]).load()
    if trained_on.digest != choices["digest"]:
        raise Lacking(f"the data of run {fingerprint} have changed since it was trained")
    return Replay(
        trained_on,
        _rebuilt(activations.Activation, choices["activation"]),
        _rebuilt(outputs.Output, choices["output"]),
        kept["steps"],
        parameters,
    )


def _rebuilt(kind: type[T], description: Mapping[str, Any]) -> T:
    """A choice of this kind, from a file that may be anyone's: nothing else in it is called. Raises Lacking."""
    module, name = description["module"], description["name"]
    if not module.startswith("shallowexp."):
        search_here()
    named = getattr(import_module(module), name)
    if not (isinstance(named, type) and issubclass(named, kind)):
        raise Lacking(f"{module}.{name}, which the run's weights name, is no {kind.__name__}")
    rebuilt: T = rebuild(description)
    return rebuilt
