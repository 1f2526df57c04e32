"""From a group's node to the object that its `_target_` names.

The schema of a choice is that dataclass, so a user's own activation or data set is checked as the built-in ones are.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pkgutil import resolve_name
from typing import Any, cast

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from shallowexp import search_here
from shallowexp.config.validate import integers, require, unknown
from shallowexp.errors import ConfigError, place, told
from shallowexp.network import outputs
from shallowexp.network.activations import Activation, LeakyReLU
from shallowexp.network.data import TASKS, Data
from shallowexp.network.initializers import Initializer, VarianceScaling
from shallowexp.network.optimizers import Optimizer

KINDS = {
    "data": Data,
    "activation": Activation,
    "init": Initializer,
    "output": outputs.Output,
    "optimizer": Optimizer,
}
NOT_NEGATIVE = {LeakyReLU: "slope", VarianceScaling: "gain"}
OUTPUTS = {
    "sigmoid": outputs.Sigmoid,
    "sigmoid_squared": outputs.SigmoidSquared,
    "softmax": outputs.Softmax,
    "identity": outputs.Identity,
    "relu": outputs.ReLU,
}


@lru_cache(maxsize=4096)
def choice(group: str, node: str) -> Any:
    """The object that a group's node describes (JSON, so that equal nodes are built and checked once)."""
    values = json.loads(node)
    target = _target(group, values.pop("_target_", ""))
    try:
        checked = OmegaConf.merge(OmegaConf.structured(target), integers(values, target))
        built = target(**cast(dict[str, Any], OmegaConf.to_container(checked)))
    except ConfigKeyError as error:
        raise ConfigError(unknown(f"{group}.{error.full_key}", [field.name for field in fields(target)])) from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{group}.{error.full_key}: {str(error).splitlines()[0]}") from None
    except (Exception, SystemExit) as error:
        if target.__module__.startswith("shallowexp.") and isinstance(error, ValueError):
            raise ConfigError(str(error)) from None
        raise ConfigError(f"{target.__name__} cannot be made: {told(error)}") from error
    try:
        hash(built)
    except TypeError as error:
        raise ConfigError(
            f"{target.__name__}: {error}; it must be a dataclass(frozen=True) with hashable fields"
        ) from None
    if group == "data":
        task = getattr(built, "task", None)
        require(f"{target.__name__}.task", task, task in TASKS, ", ".join(TASKS))
    for kind, name in NOT_NEGATIVE.items():
        if isinstance(built, kind):
            require(f"{group}.{name}", getattr(built, name), getattr(built, name) >= 0, "at least 0")
    if group in CHECKS and not target.__module__.startswith("shallowexp."):
        CHECKS[group](built)
    return built


def _target(group: str, dotted: str) -> type[Any]:
    """The one place where a dotted name becomes a class."""
    kind = KINDS[group]
    allowed = f"a dataclass that inherits {kind.__module__}.{kind.__name__}"
    if dotted == "":
        raise ConfigError(f"{group}._target_ is missing: it says module.Name of {allowed}")
    require(f"{group}._target_", dotted, isinstance(dotted, str), allowed)
    if not dotted.startswith("shallowexp."):
        search_here()
    try:
        target: type[Any] = resolve_name(dotted)  # as is checked below
    except SystemExit:
        raise ConfigError(f"{group}._target_={dotted} cannot be imported: its module ends Python") from None
    except Exception as error:
        raise ConfigError(f"{group}._target_={dotted} cannot be imported: {error}{place(error)}") from None
    fits = isinstance(target, type) and is_dataclass(target) and issubclass(target, kind)
    require(f"{group}._target_", dotted, fits, allowed)
    return target


def check_derivative(g: Activation) -> None:
    """Raises ConfigError where g's own derivative is not its slope, or g does not keep the shape and kind of Z.

    Central differences at points in [-4, 4]; where left and right differences disagree g has a kink, which proves nothing.
    """
    name, Z, h = f"activation {type(g).__name__}", np.linspace(-4, 4, 82).reshape(2, 41) + 0.003, 1e-5
    A, slope = _values(name, "()", g, Z), _values(name, ".derivative", g.derivative, Z)
    for what, function in (("()", g), (".derivative", g.derivative)):
        _values(name, what, function, Z[:1, :7])  # of other sizes, too
    left, right = (A - _values(name, "()", g, Z - h)) / h, (_values(name, "()", g, Z + h) - A) / h
    smooth = np.abs(right - left) < 1e-2 * (1 + np.abs(slope))
    wrong = smooth & (np.abs((left + right) / 2 - slope) > 1e-3 * (1 + np.abs(slope)))
    if wrong.any():
        z, claimed, found = (array[wrong][0] for array in (Z, slope, (left + right) / 2))
        raise ConfigError(
            f"{name}: derivative({z:.4g}) is {claimed:.6g}, but the difference quotient of g is {found:.6g}"
        )


def check_direction(optimizer: Optimizer) -> None:
    """Raises ConfigError where the direction of the first or the second update does not keep the shape and kind of dW."""
    name, dW = f"optimizer {type(optimizer).__name__}", np.linspace(-1, 1, 6).reshape(2, 3)
    counted = isinstance(optimizer.memories, int) and optimizer.memories >= 0
    require(f"{type(optimizer).__name__}.memories", optimizer.memories, counted, "a whole number from 0 on")
    memory = (np.zeros_like(dW),) * optimizer.memories
    _values(name, "()", lambda dW: optimizer(dW, memory, 1)[0], dW)
    _values(name, "()", lambda dW: optimizer(dW, optimizer(dW, memory, 1)[1], 2)[0], dW)


def check_tasks(output: outputs.Output) -> None:
    """Raises ConfigError where its tasks are no names of tasks."""
    named = isinstance(output.tasks, Collection) and all(task in TASKS for task in output.tasks)
    require(f"{type(output).__name__}.tasks", output.tasks, named, f"a tuple of {', '.join(TASKS)}")


CHECKS: dict[str, Callable[[Any], None]] = {
    "activation": check_derivative,
    "output": check_tasks,
    "optimizer": check_direction,
}


def _values(name: str, what: str, function: Callable[[np.ndarray], np.ndarray], Z: np.ndarray) -> np.ndarray:
    given = Z.copy()
    try:
        values = function(given)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{name}{what} raises {told(error)}") from error
    if not np.array_equal(given, Z):
        raise ConfigError(f"{name}{what} changes the array that it is given: it must make a new one")
    if np.shape(values) != Z.shape or np.asarray(values).dtype.kind != "f" or not np.isfinite(values).all():
        shape, dtype = np.shape(values), np.asarray(values).dtype
        raise ConfigError(
            f"{name}{what} of an array {Z.shape} gives {dtype} {shape}: it must give finite real numbers of the same shape"
        )
    return values
