"""Checks of a configuration's values: one message that names the key, the value and the choices."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from shallowexp import CONF
from shallowexp.config import schema
from shallowexp.errors import ConfigError, nearest
from shallowexp.training.engines import ENGINES

# MLflow's rule for names, less what ends a string in its filters
REGISTERED_NAME = r"(?!\.\.|\.$)(?=.*\S)[^/:'\"\x00-\x1f]{1,256}"
MOST_SEEDS = 10_000  # that one run becomes
EXACT = 2**53  # up to here each integer is a float
MOST_STEPS = 10**15  # below EXACT
MOST_POINTS = 1_000_000  # at which a run is measured: 250 MB in the database
MOST_SWEEP_POINTS = 100 * MOST_POINTS  # of all runs of a sweep

RENAMED = {"data.balance": "data.positive_rate"}  # former key: its name now
MEANT = {  # what other programs call it: its name here
    "lr": "learning_rate", "epochs": "steps", "iterations": "steps", "units": "hidden_size", "hidden": "hidden_size",
    "neurons": "hidden_size", "optimiser": "optimizer", "std": "scale", "n": "samples",
}  # fmt: skip
HERE = {  # where each plain key stands
    **{field.name: f"train.{field.name}" for field in fields(schema.TrainSchema)},
    **{field.name: f"log.{field.name}" for field in fields(schema.LogSchema) if field.name != "steps"},
    "hidden_size": "hidden_size", "scale": "init.scale", "samples": "data.samples",
    "momentum": "optimizer=momentum optimizer.beta",
}  # fmt: skip
NODES = {
    "": schema.RunSchema,
    "train.": schema.TrainSchema,
    "log.": schema.LogSchema,
    "objective.": schema.ObjectiveSchema,
}
KEYS = {node: dict.fromkeys(field.name for field in fields(known)) for node, known in NODES.items()}
PATIENT = ("data.path", "data.target")  # for which network/table.py has a better message
ABSENT = ("weight_decay", "dropout")


def checked(c: dict[str, Any]) -> dict[str, Any]:
    """A run's whole configuration, with integers where they are asked for.

    Raises ConfigError for a key that nobody reads and for a value out of its range.
    """
    for node, known in KEYS.items():
        found = c[node[:-1]] if node else c
        require(node[:-1], found, isinstance(found, dict), f"its own keys, as in {node}{next(iter(known))}")
        if found.keys() != known.keys():
            _check_keys(node, found, [*known])
        found = whole_numbers(found, NODES[node], node)
        c = {**c, node[:-1]: found} if node else found
    for key, value in _leaves(c):
        if value == "???" and key not in PATIENT:
            raise ConfigError(f"{key}=??? is not possible: it needs a value")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{key}={value} is not a finite number")
    require("hidden_size", c["hidden_size"], c["hidden_size"] >= 1, "at least 1")
    for key, seed in (("seed", c["seed"]), ("data.seed", c["data"].get("seed"))):
        require(key, seed, not isinstance(seed, int) or is_seed(seed), "0 to 4294967295")
    train, log = c["train"], c["log"]
    require("train.steps", train["steps"], 1 <= train["steps"] <= MOST_STEPS, f"1 to {MOST_STEPS:,}")
    require("train.learning_rate", train["learning_rate"], train["learning_rate"] > 0, "a number above 0")
    require(
        "train.batch_size", train["batch_size"], train["batch_size"] is None or train["batch_size"] >= 1, "at least 1"
    )
    choose("train.dtype", train["dtype"], ("float64", "float32"))
    choose("train.engine", train["engine"], ENGINES)
    choose("log.weights", log["weights"], ("none", "first", "all"))
    choose("log.model", log["model"], ("none", "best", "all"))
    require(
        "log.register",
        log["register"],
        not log["register"] or log["model"] == "best",
        "only together with log.model=best",
    )
    require(
        "log.register",
        log["register"],
        not log["register"] or re.fullmatch(REGISTERED_NAME, log["register"]) is not None,
        "at most 256 characters, none of them / : ' or \", not . and not .. at the start",
    )
    seeds = c["objective"]["seeds"]
    require("objective.seeds", seeds, 1 <= seeds <= MOST_SEEDS, f"1 to {MOST_SEEDS:,}")
    require("log.points", log["points"], log["points"] >= 2, "at least 2: the first step and the last")
    require("log.every", log["every"], log["every"] is None or log["every"] >= 1, "at least 1")
    points = train["steps"] // log["every"] if log["every"] else log["points"]
    key = "log.every" if log["every"] else "log.points"
    require(
        key, log[key[4:]], points <= MOST_POINTS, f"what measures a run at most {MOST_POINTS:,} times, not {points:,}"
    )
    steps = () if log["steps"] is None else log["steps"]
    require("log.steps", steps, isinstance(steps, Sequence), "a list of steps, as in [0,10,100]")
    require("log.steps", steps, all(0 <= step <= train["steps"] for step in steps), f"steps from 0 to {train['steps']}")
    require("log.steps", log["steps"], log["steps"] is None or log["every"] is None, "not together with log.every")
    return c


def is_seed(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**32


def whole_numbers(node: Mapping[str, Any], kind: type, prefix: str = "") -> dict[str, Any]:
    """The node, with 10000 for 1e4 wherever a field of the schema `kind` is an integer. Raises ConfigError for 1.5, and for null where
    that is no value.
    """
    found = integers(node, kind)
    for key, optional in _integers(kind).items():
        value = found[key]
        if value is None and not optional:
            raise ConfigError(f"{prefix}{key}=null is not possible: it needs a value")
        given = value if isinstance(value, list) else [] if value in (None, "???") else [value]
        if any(type(one) is not int for one in given):
            raise ConfigError(f"{prefix}{key}={value}: a whole number is needed")
    return found


def integers(node: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The same, with what is no whole number as it is."""
    return {**node, **{key: whole(node[key]) for key in _integers(kind) if key in node}}


def whole(value: Any) -> Any:
    """A float, or the text that an interpolation gives, as an integer if it is one; of a list, each."""
    if isinstance(value, list):
        return [*map(whole, value)]
    if isinstance(value, str):
        with suppress(ValueError):
            return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT else value


@cache
def _integers(kind: type) -> dict[str, bool]:
    """The fields of a dataclass that are integers, or lists of them, and whether they may be null."""
    hints = {name: str(hint) for name, hint in get_type_hints(kind).items()}
    return {name: "None" in hint or "Optional" in hint for name, hint in hints.items() if re.search(r"\bint\b", hint)}


def _check_keys(node: str, found: dict[str, Any], known: list[str]) -> None:
    """A `+` in front of an override lets Hydra add what nobody reads, a `~` delete what is needed."""
    for key in found:
        if key not in known:
            raise ConfigError(unknown(f"{node}{key}", known))
    for key in known:
        if key not in found:
            raise ConfigError(f"~{node}{key} deletes a key that is needed: leave that out")


def unknown(key: str, known: Sequence[str]) -> str:
    """The message that a dotted key is unknown, given those known at its place."""
    if key in RENAMED:
        return f"{key} is now called {RENAMED[key]}"
    node, _, name = key.rpartition(".")
    if node == "field" and not known:
        return f"{key} belongs to a field, and none was chosen: add +field=trainability, say"
    canonical = MEANT.get(name, name)
    meant = HERE.get(canonical, key)
    if canonical in ABSENT:
        return f"{key} is not a key: nothing regularises these networks; keys there: {', '.join(known) or 'none'}"
    if meant != key:
        return f"{key} is not a key: {meant} is meant?"
    where = (
        f" of the {node} that was chosen" if "." not in node and node not in ("", "train", "log", "objective") else ""
    )
    files = sorted((CONF / node).glob("*.yaml")) if where else []
    others = [path.stem for path in files if re.search(rf"^{re.escape(name)}:", path.read_text(encoding="utf-8"), re.M)]
    having = f"; it belongs to {node}={', '.join(others)}" if others else ""
    return f"{key} is not a key{where}{nearest(name, known)}; keys there: {', '.join(known) or 'none'}{having}"


def _leaves(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def require(key: str, value: object, valid: bool, allowed: str) -> None:
    if not valid:
        raise ConfigError(f"{key}={value} is not possible; allowed: {allowed}")


def choose(key: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{key}={value} is not a choice{nearest(value, choices)}; choices: {', '.join(choices)}")
