"""From a composed configuration to a run: checked, with one clear message for what is wrong, and its fingerprint.

The schema of a group's choice is the dataclass that its `_target_` names, so a user's own activation or data set is checked
as the built-in ones are.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache, lru_cache
from hashlib import sha256
from importlib import import_module
from inspect import getsourcefile
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from shallowexp import outputs, schema
from shallowexp.errors import ConfigError
from shallowexp.jobs import Job
from shallowexp.training import ENGINES, resolve_engine

GROUPS = ("data", "activation", "init", "output")
OUTPUTS = {
    "sigmoid": outputs.Sigmoid,
    "sigmoid_squared": outputs.SigmoidSquared,
    "softmax": outputs.Softmax,
    "identity": outputs.Identity,
    "relu": outputs.ReLU,
}
AUTO = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}
SHARED = ("activations", "data", "diagnostics", "initializers", "jobs", "training")
NO_PARAMS = ("fresh", "dry_run", "log.model", "log.register")  # what is done with a run, not what it is
COMPUTES = {  # the modules whose content can change a result, by engine
    "numpy": (*SHARED, "network", "outputs"),
    "compiled": (*SHARED, "arithmetic", "kernel", "kernel_descent", "kernel_diagnostics"),
}


@dataclass(frozen=True)
class Run:
    """One network to train, as the user asked for it: the job, and the names it goes by."""

    job: Job
    params: Mapping[str, str]  # named as the overrides that set them
    weights: str  # none, first or all
    model: str  # none, best or all
    register: str | None  # the name for the best model

    @property
    def name(self) -> str:
        p = self.params
        scale = f" ×{p['init.scale']}" if "init.scale" in p else ""
        units = "unit" if p["hidden_size"] == "1" else "units"
        return f"{p['activation']} · {p['init']}{scale} · {p['hidden_size']} {units} · seed {p['seed']}"

    @property
    def cell(self) -> tuple:
        """What runs that differ only in their seed share."""
        return tuple(item for item in self.params.items() if item[0] not in ("seed", "data.seed"))

    @property
    def fingerprint(self) -> str:
        """Digest of the job's fields and the content of the modules that compute it; not of the libraries' versions."""
        job = self.job
        parts = {name: (_dotted(part), asdict(part)) for name in GROUPS for part in [getattr(job, name)]}
        plain = {name: value for name, value in vars(job).items() if name not in GROUPS}
        sources = _sources(job.engine, tuple(sorted({type(getattr(job, name)).__module__ for name in GROUPS})))
        return sha256(json.dumps([parts, plain, sources], sort_keys=True).encode()).hexdigest()[:32]


def plan(composed: Iterable[tuple[DictConfig, Mapping[str, str]]]) -> list[Run]:
    """The runs of a sweep, from (configuration, choices of the groups) pairs; what is asked for twice is there once.

    Raises ConfigError at the first configuration that cannot be run.
    """
    runs = [to_run(config, choices) for config, choices in composed]
    lowest: dict[tuple, int] = {}
    for run in runs:
        lowest[run.cell] = min(run.job.seed, lowest.get(run.cell, run.job.seed))
    runs = [replace(run, job=replace(run.job, weights=_keeps_weights(run, lowest))) for run in runs]
    return list({run.fingerprint: run for run in runs}.values())


def _keeps_weights(run: Run, lowest: Mapping[tuple, int]) -> bool:
    return run.weights == "all" or (run.weights == "first" and run.job.seed == lowest[run.cell])


def to_run(config: DictConfig, choices: Mapping[str, str]) -> Run:
    """One run from its composed configuration (without the hydra node) and the groups' choices."""
    c = OmegaConf.to_container(config, resolve=True)
    _check(c)
    parts = {name: _instance(name, json.dumps(c[name])) for name in GROUPS if c[name]["_target_"] != "auto"}
    names = {name: choices[name] for name in GROUPS}
    if "output" not in parts:
        names["output"] = AUTO[parts["data"].task]
        parts["output"] = OUTPUTS[names["output"]]()
    _check_output(names, parts)
    train = c["train"]
    job = Job(
        **parts,
        hidden_size=c["hidden_size"],
        seed=c["seed"],
        steps=train["steps"],
        learning_rate=train["learning_rate"],
        log_steps=_log_steps(c["log"], train["steps"]),
        dtype=train["dtype"],
    )
    train["engine"] = resolve_engine(job, train["engine"])
    log = c["log"]
    return Run(replace(job, engine=train["engine"]), _params(c, names), log["weights"], log["model"], log["register"])


def _params(c: dict, names: Mapping[str, str]) -> dict[str, str]:
    """Every key that is set, under the override's name; a group's own key holds the name of its choice."""
    params = dict(names)
    for key, value in c.items():
        if isinstance(value, dict):
            params |= {f"{key}.{k}": str(v) for k, v in value.items() if k != "_target_" and v is not None}
        else:
            params[key] = str(value)
    return {key: value for key, value in params.items() if key not in NO_PARAMS}


def _check(c: dict) -> None:
    for node, known in (("", schema.RunSchema), ("train.", schema.TrainSchema), ("log.", schema.LogSchema)):
        _check_keys(node, c[node[:-1]] if node else c, [field.name for field in fields(known)])
    for key, value in _leaves(c):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{key}={value} is not a finite number")
    require("hidden_size", c["hidden_size"], c["hidden_size"] >= 1, "at least 1")
    for key, seed in (("seed", c["seed"]), ("data.seed", c["data"].get("seed"))):
        require(key, seed, not isinstance(seed, int) or 0 <= seed < 2**32, "0 to 4294967295")
    train, log = c["train"], c["log"]
    require("train.steps", train["steps"], train["steps"] >= 1, "at least 1")
    require("train.learning_rate", train["learning_rate"], train["learning_rate"] > 0, "a number above 0")
    choose("train.dtype", train["dtype"], ("float64", "float32"))
    choose("train.engine", train["engine"], ENGINES)
    choose("log.weights", log["weights"], ("none", "first", "all"))
    choose("log.model", log["model"], ("none", "best", "all"))
    require(
        "log.register", log["register"], not log["register"] or log["model"] == "best", "only beside log.model=best"
    )
    require("log.points", log["points"], log["points"] >= 2, "at least 2: the first step and the last")
    require("log.every", log["every"], log["every"] is None or log["every"] >= 1, "at least 1")
    steps = log["steps"] or ()
    require("log.steps", steps, all(0 <= s <= train["steps"] for s in steps), f"steps from 0 to {train['steps']}")
    require("log.steps", log["steps"], log["steps"] is None or log["every"] is None, "not set beside log.every")


def _check_keys(node: str, found: dict, known: list[str]) -> None:
    """A `+` in front of an override lets Hydra add what nobody reads."""
    for key in found:
        if key not in known:
            raise ConfigError(unknown(f"{node}{key}", known))


def unknown(key: str, known: Sequence[str]) -> str:
    """That a dotted key is none of those that are known beside it."""
    return f"{key} is not a key{nearest(key.rpartition('.')[2], known)}; keys there: {', '.join(known) or 'none'}"


def _leaves(node: dict, prefix: str = ""):
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


def nearest(word: str, choices: Iterable[str]) -> str:
    match = get_close_matches(word, list(choices), 1)
    return f" (did you mean {match[0]}?)" if match else ""


@lru_cache(maxsize=4096)
def _instance(group: str, node: str) -> Any:
    """The object that a group's node describes (JSON, so that equal nodes are built and checked once)."""
    values = json.loads(node)
    target = _locate(group, values.pop("_target_"))
    try:
        checked = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(target), values))
        return target(**checked)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{group}.{error.full_key}: {str(error).splitlines()[0]}") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _locate(group: str, dotted: str) -> type:
    module, _, name = dotted.rpartition(".")
    try:
        target = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{group}._target_={dotted} cannot be imported: {error}") from None
    require(f"{group}._target_", dotted, is_dataclass(target), "the dotted name of a dataclass")
    return target


def _check_output(names: Mapping[str, str], parts: Mapping[str, Any]) -> None:
    task = parts["data"].task
    if task not in parts["output"].tasks:
        fitting = ", ".join(name for name, output in OUTPUTS.items() if task in output.tasks)
        given = f"output={names['output']} does not fit data={names['data']}, whose task is {task}"
        raise ConfigError(f"{given}; choices: auto, {fitting}")


def _log_steps(log: dict, last: int) -> tuple[int, ...]:
    if log["steps"] is not None:
        steps = log["steps"]
    elif log["every"] is not None:
        steps = range(0, last + 1, log["every"])
    else:
        steps = np.geomspace(1, last, log["points"] - 1).round().astype(int).tolist() + [0]
    return tuple(sorted({*steps, last}))


def _dotted(part: object) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


@cache
def _sources(engine: str, modules: tuple[str, ...]) -> str:
    """Digest of the files that compute a result: shallowexp's own for this engine and the user's."""
    names = {f"shallowexp.{name}" for name in COMPUTES[engine]}
    names |= {module for module in modules if not module.startswith("shallowexp.")}
    return sha256(b"".join(_content(name) for name in sorted(names))).hexdigest()


def _content(module: str) -> bytes:
    return Path(getsourcefile(import_module(module))).read_bytes()
