"""From a composed configuration to the runs it asks for, checked.

Everything that a user can get wrong ends in a ConfigError, before anything is trained or written.
"""

import json
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from hashlib import sha256
from itertools import chain, islice
from stat import S_ISDIR, S_ISREG
from typing import Any, cast

import numpy as np
import psutil
from omegaconf import DictConfig, OmegaConf

from shallowexp.config import fingerprint
from shallowexp.config.base import Composed, Plain
from shallowexp.config.choices import OUTPUTS, choice
from shallowexp.config.fingerprint import GROUPS
from shallowexp.config.validate import (
    MOST_SEEDS,
    MOST_SWEEP_POINTS,
    checked,
    choose,
    integers,
    is_seed,
    require,
    unknown,
    whole,
)
from shallowexp.errors import ConfigError
from shallowexp.network.diagnostics import metric_names
from shallowexp.network.table import Table
from shallowexp.training.engines import resolve_engine
from shallowexp.training.job import Job

Configuration = DictConfig | Plain
EXPERIMENT = "shallowexp"  # the MLflow experiment of runs that belong to no claim
AUTO = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}
TABLE = f"{Table.__module__}.{Table.__qualname__}"
TABLE_BYTES = 6  # of memory while a table is read, for each of its file: seven of a CSV file of 10 million rows
WORD = 32  # letters of a value in a run's name
NAMED = ("activation", "init", "init.scale", "hidden_size", "optimizer", "train.batch_size", "seed")  # there in words
# What is done with a run, not what it is
NO_PARAMS = ("name", "fresh", "dry_run", "fail_fast", "log.model", "log.register")


@dataclass(frozen=True)
class Run:
    """One network to train, as the user asked for it: the job, and the names it goes by."""

    job: Job
    params: Mapping[str, str]  # named as the overrides that set them
    weights: str  # none, first or all
    model: str  # none, best or all
    register: str | None  # the name for the best model
    objective: str  # the metric by which its sweep's runs are ranked
    swept: Sequence[str] = ()  # the keys that its sweep varies

    @property
    def name(self) -> str:
        """Of what newcomers ask for first, and of every key that is swept."""
        p = {key: _readable(value) for key, value in self.params.items()}
        scale = f" ×{p['init.scale']}" if "init.scale" in p else ""
        units = "unit" if p["hidden_size"] == "1" else "units"
        by = "" if p["optimizer"] == "gd" and "optimizer" not in self.swept else f" · {p['optimizer']}"
        batches = f" · batches of {p['train.batch_size']}" if "train.batch_size" in p else ""
        swept = "".join(f" · {_labelled(key, p)}" for key in self.swept if key in p and key not in NAMED)
        return f"{p['activation']} · {p['init']}{scale} · {p['hidden_size']} {units}{by}{batches}{swept} · seed {p['seed']}"

    @property
    def cell(self) -> tuple[tuple[str, str], ...]:
        """What runs that differ only in their seed share."""
        return tuple(item for item in self.params.items() if item[0] not in ("seed", "data.seed"))

    def seeded(self, seed: int) -> "Run":
        return replace(self, job=replace(self.job, seed=seed), params={**self.params, "seed": str(seed)})

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint.fingerprint(self.job)


def _readable(value: str) -> str:
    """A number with four digits, the beginning of a long word."""
    try:
        return f"{float(value):.4g}" if "." in value else value
    except ValueError:
        return value if len(value) <= WORD else f"{value[: WORD - 1]}…"


def _labelled(key: str, params: Mapping[str, str]) -> str:
    """A param's value under the last part of its key, where that names one param; a choice needs no label."""
    last = key.rpartition(".")[2]
    alone = sum(name.rpartition(".")[2] == last for name in params) == 1
    return params[key] if key in GROUPS else f"{last if alone else key} {params[key]}"


def plan(composed: Iterable[tuple[Configuration, Mapping[str, str]]], swept: Sequence[str] = ()) -> list[Run]:
    """The runs of a sweep, from (configuration, choices of the groups) pairs; what is asked for twice is there once.

    Their names hold the `swept` keys. Raises as `plan_each` does.
    """
    return once(plan_each(composed, swept))


def plan_each(composed: Iterable[tuple[Configuration, Mapping[str, str]]], swept: Sequence[str] = ()) -> list[Run]:
    """A run for each of these pairs.

    Raises ConfigError at the first configuration that cannot be run, where they are measured too often for a database, and where
    no run's data can be drawn: if only some cannot, the others are worth training.
    """
    runs = list(_checked_once(composed, swept))
    points = sum(len(run.job.log_steps) for run in runs)
    if points > MOST_SWEEP_POINTS:
        raise ConfigError(
            f"the sweep measures its {len(runs):,} runs {points:,} times: at most {MOST_SWEEP_POINTS:,} times are possible, "
            "with a smaller log.points or in parts"
        )
    faults = {(run.params["data"], run.job.data.fault()): None for run in runs}
    if faults and all(fault for _, fault in faults):
        raise ConfigError("\n".join(f"data={name} cannot be drawn: {fault}" for name, fault in faults))
    lowest: dict[tuple[tuple[str, str], ...], int] = {}
    cells = [run.cell for run in runs]
    for run, cell in zip(runs, cells, strict=True):
        lowest[cell] = min(run.job.seed, lowest.get(cell, run.job.seed))
    return [
        replace(run, job=replace(run.job, weights=True)) if _keeps_weights(run, lowest[cell]) else run
        for run, cell in zip(runs, cells, strict=True)
    ]


def _checked_once(composed: Iterable[tuple[Configuration, Mapping[str, str]]], swept: Sequence[str]) -> Iterator[Run]:
    """A run for each; of those that differ in their seed alone the first is checked, and the others are it with another seed."""
    first: dict[bytes, Run] = {}
    for config, choices in composed:
        values = _plain(config)
        seed: Any = values.get("seed")
        alike = sha256(repr(({**values, "seed": None}, choices)).encode()).digest()
        if alike in first and is_seed(seed):
            yield first[alike].seeded(seed)
        else:
            first[alike] = replace(to_run(values, choices), swept=swept)
            yield first[alike]


def once(runs: Iterable[Run]) -> list[Run]:
    return list({run.fingerprint: run for run in runs}.values())


def plan_jobs(composed: Sequence[Composed]) -> list[Run]:
    """The runs of a multirun, each once. Raises as `plan_each` does."""
    return once(chain.from_iterable(trials_of(composed)))


def trials_of(composed: Sequence[Composed]) -> list[list[Run]]:
    """The runs of each job, one for each of its `objective.seeds`. Raises as `plan_each` does."""
    seeded = [over_seeds(job) for job in composed]
    pairs = ((one, job.choices) for job, found in zip(composed, seeded, strict=True) for one in found)
    each = iter(plan_each(pairs, composed[0].swept))
    return [list(islice(each, len(found))) for found in seeded]


def over_seeds(job: Composed) -> list[Configuration]:
    """The configuration once for each of `objective.seeds` seeds, from its own on; once, too, where `checked` will refuse their number."""
    values = job.values
    seeds, first = whole(values.get("objective", {}).get("seeds")), whole(values.get("seed"))
    if not (isinstance(seeds, int) and isinstance(first, int) and 1 < seeds <= MOST_SEEDS):
        return [values]
    return [cast(DictConfig, OmegaConf.merge(job.config, {"seed": first + i})) for i in range(seeds)]


def _keeps_weights(run: Run, lowest: int) -> bool:
    return run.weights == "all" or (run.weights == "first" and run.job.seed == lowest)


def as_planned(run: Run, planned: Container[str]) -> Run:
    """The run as a sweep planned it, if it did: alone it is the first seed of its cell, and may keep weights that it does not there."""
    without = replace(run, job=replace(run.job, weights=False))
    return without if without.fingerprint in planned else run


def to_run(config: Configuration, choices: Mapping[str, str]) -> Run:
    """One run from its composed configuration (without the hydra node) and the groups' choices."""
    c = checked(_plain(config))
    if "path" in c["data"]:
        _require_readable(c["data"])
        if fingerprint.forget_changed(str(c["data"]["path"])):
            choice.cache_clear()
    follows = c["output"].get("_target_") == "auto"
    parts = {name: choice(name, json.dumps(c[name])) for name in GROUPS if not (follows and name == "output")}
    names = {name: choices.get(name, "") for name in GROUPS}
    for group, name in names.items():
        require(
            group,
            name or "[...]",
            re.fullmatch(r"[\w-]+", name) is not None,
            f"the name of a file in conf/{group}, less .yaml; with -m several, {group}=one,two",
        )
    c |= {name: integers(c[name], type(part)) for name, part in parts.items()}
    if follows:
        _require_nothing_more(c["output"])
        names["output"] = AUTO[parts["data"].task]
        parts["output"] = OUTPUTS[names["output"]]()
    _check_output(names, parts)
    choose("objective.metric", c["objective"]["metric"], metric_names(parts["data"].task))
    train, log = c["train"], c["log"]
    listed = None if log["steps"] is None else tuple(log["steps"])
    job = Job(
        **parts,
        hidden_size=c["hidden_size"],
        seed=c["seed"],
        steps=train["steps"],
        learning_rate=train["learning_rate"],
        batch_size=train["batch_size"],
        log_steps=_log_steps(listed, log["every"], log["points"], train["steps"]),
        dtype=train["dtype"],
    )
    _require_memory(job, log["weights"] != "none")
    _check_batch_size(job, names["data"])
    engine = resolve_engine(job, train["engine"])
    params = _params(c | {"train": train | {"engine": engine}}, names)
    return Run(
        replace(job, engine=engine), params, log["weights"], log["model"], log["register"], c["objective"]["metric"]
    )


def _plain(config: Configuration) -> Plain:
    return config if isinstance(config, dict) else cast(Plain, OmegaConf.to_container(config, resolve=True))


def _check_batch_size(job: Job, data: str) -> None:
    if job.batch_size is not None and not job.data.fault():
        m = job.data.load().X.shape[1]
        require(
            "train.batch_size", job.batch_size, job.batch_size <= m, f"1 to {m}, the training samples of data={data}"
        )


def _require_nothing_more(output: Mapping[str, Any]) -> None:
    """Of an output that follows the data's task."""
    for key in output.keys() - {"_target_"}:
        raise ConfigError(unknown(f"output.{key}", []))


def _require_memory(job: Job, kept: bool) -> None:
    """Before anything of that size is made: Z1, A1 and their gradients, for training and test samples; the weights of each logged step."""
    samples = getattr(job.data, "samples", 0) or (0 if job.data.fault() else job.data.load().X.shape[1])
    steps = len(job.log_steps) if kept else 0
    needed, there = 8 * job.hidden_size * max(4 * 2 * samples, 4 * steps), _memory()  # four weights a unit at the least
    if needed > there:
        asked = f"hidden_size={job.hidden_size} on {samples:,} samples"
        asked += f", whose weights are kept at {steps:,} steps (log.weights)" if 4 * steps > 8 * samples else ""
        raise ConfigError(
            f"{asked} needs about {needed / 1e9:,.0f} GB of memory; this machine has {there / 1e9:,.0f} GB"
        )


def _require_readable(data: Plain) -> None:
    """Before a table is read that would take all memory, or wait; how a data set of the user's own reads its file is not known."""
    if data["_target_"] != TABLE:
        return
    with suppress(OSError, ValueError):
        found = os.stat(str(data["path"]))
        lasts = S_ISREG(found.st_mode) or S_ISDIR(found.st_mode)
        require("data.path", data["path"], lasts, "a regular file, which is read again and again")
        if TABLE_BYTES * found.st_size > _memory():
            raise ConfigError(
                f"data.path={data['path']} needs about {TABLE_BYTES * found.st_size / 1e9:,.0f} GB of memory; "
                f"this machine has {_memory() / 1e9:,.0f} GB"
            )


@cache
def _memory() -> int:
    """Bytes that this machine has."""
    total: int = psutil.virtual_memory().total
    return total


def _params(c: dict[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Every key that is set, under the override's name; a group's own key holds the name of its choice."""
    params = dict(names)
    for key, value in c.items():
        if isinstance(value, dict):
            params |= {f"{key}.{k}": str(v) for k, v in value.items() if k != "_target_" and v is not None}
        else:
            params[key] = str(value)
    return {key: value for key, value in params.items() if key not in NO_PARAMS and not key.startswith("objective.")}


def _check_output(names: Mapping[str, str], parts: Mapping[str, Any]) -> None:
    task = parts["data"].task
    if task not in parts["output"].tasks:
        fitting = ", ".join(name for name, output in OUTPUTS.items() if task in output.tasks)
        given = f"output={names['output']} does not fit data={names['data']}, whose task is {task}"
        raise ConfigError(f"{given}; choices: auto, {fitting}")


@lru_cache(maxsize=256)
def _log_steps(listed: tuple[int, ...] | None, every: int | None, points: int, last: int) -> tuple[int, ...]:
    if listed is None:
        spaced = range(0, last + 1, every) if every else np.geomspace(1, last, points - 1).round().astype(int).tolist()
        listed = (0, *spaced)
    return tuple(sorted({*listed, last}))
