"""From a configuration with a field in it to the jobs of its pixels.

Hydra composes once. Both keys are checked once, and the four corners as runs; then a pixel's job is the first corner's with two
values replaced. Where a corner that is made so is not the run of the same configuration, other keys follow from the axis.
"""

import json
import math
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from functools import cached_property
from hashlib import sha256
from itertools import product
from typing import Any, cast, get_args, get_type_hints

import numpy as np
import psutil
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from shallowexp.config.fingerprint import GROUPS
from shallowexp.config.runs import Run, plan
from shallowexp.config.schema import AxisSchema, FieldSchema, RunSchema
from shallowexp.config.validate import choose, require, unknown, whole_numbers
from shallowexp.errors import ConfigError, nearest
from shallowexp.fields.field import ACCURACY, UNITS, Axis
from shallowexp.network.diagnostics import metric_names
from shallowexp.sweeps.batches import BATCH_COST, core_seconds, work
from shallowexp.training.job import Job

COARSEST = 32  # every 32nd pixel of both axes is trained first
TILE, SMALLEST_TILE = 1024, 16  # pixels that are trained and saved together, at the most and at the least
MOST_ZOOM = 12
SAMPLED = 12  # pixels of each axis that an estimate looks at
PIXEL_SECONDS = 1e-4  # beside its training
PIXEL_MEMORY, MEMORY = 350, 500e6  # bytes, of a pixel and beside all


@dataclass(frozen=True)
class Plan:
    """A field to train."""

    run: Run  # the configuration, with the axes' keys at their lowest
    x: Axis
    y: Axis
    loss: float
    show: str
    zoom: int  # how many more fields to train, each a quarter as wide and high, at the edge of training
    choice: str  # of conf/field; empty: none
    window: int = 0  # how often it was zoomed in

    def job(self, column: int, row: int) -> Job:
        """The job of a pixel: equal to that of the run of the same configuration, but that it keeps its first and last weights."""
        return replaced(self._columns[column], self.y.key, self.y.values[row].item())

    @cached_property
    def _columns(self) -> list[Job]:
        return [replaced(self.run.job, self.x.key, value) for value in self.x.values.tolist()]

    @property
    def measures(self) -> tuple[str, ...]:
        """UNITS, with r2 in the place of accuracy for regression."""
        return tuple(metric_names(self.run.job.data.task)[1] if name == ACCURACY else name for name in UNITS)

    @property
    def zero_loss(self) -> float:
        """The training loss of weights that are all 0."""
        Y = self.run.job.data.load().Y
        return self.run.job.output.loss(np.zeros(Y.shape), Y)

    @property
    def size(self) -> int:
        return self.x.count * self.y.count

    @property
    def name(self) -> str:
        axes = f"{self.x.key} × {self.y.key}"
        return f"{axes} · {self.run.params['activation']} · {self.x.count} × {self.y.count} pixels"

    @property
    def fingerprint(self) -> str:
        parts = [self.run.fingerprint, repr(self.x), repr(self.y), self.loss]
        return sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @cached_property
    def order(self) -> np.ndarray:
        """Every pixel, row * width + column, coarse to fine: those of every 32nd column and row, then of every 16th, and so on."""
        strides = np.gcd.outer(*(np.gcd(np.arange(axis.count), COARSEST) for axis in (self.y, self.x)))
        return np.argsort(-strides, axis=None, kind="stable")

    @cached_property
    def tiles(self) -> list[np.ndarray]:
        """The order, divided into what is trained and saved together: about a second's work."""
        mean = sum(map(work, self._sampled)) / len(self._sampled)
        size = int(np.clip(BATCH_COST / max(mean, 1), SMALLEST_TILE, TILE))
        return np.split(self.order, range(size, self.size, size))

    @cached_property
    def _sampled(self) -> list[Run]:
        spread = (np.linspace(0, axis.count - 1, min(axis.count, SAMPLED)).astype(int) for axis in (self.x, self.y))
        return [replace(self.run, job=self.job(column, row)) for column, row in product(*spread)]

    def seconds(self, threads: int) -> float:
        cores = threads if self.run.job.engine == "compiled" else 1
        return (sum(map(core_seconds, self._sampled)) / len(self._sampled) / cores + PIXEL_SECONDS) * self.size


def to_plan(config: DictConfig, choices: Mapping[str, str]) -> Plan:
    """The field that a composed configuration asks for. Raises ConfigError for one that cannot be trained."""
    node = _checked(config.field)
    base = deepcopy(config)
    base.field = {}
    require("objective.seeds", config.objective.seeds, config.objective.seeds == 1, "1: a field is no search")
    for name in ("width", "height"):
        require(f"field.{name}", node[name], node[name] >= 2, "at least 2 pixels")
    require("field.zoom", node["zoom"], 0 <= node["zoom"] <= MOST_ZOOM, f"0 to {MOST_ZOOM}: then float64 ends")
    _require_room(node["width"], node["height"])
    numbers = numeric_keys(_run(base, choices).job)
    x, y = (_axis(name, node[name], node[size], numbers) for name, size in (("x", "width"), ("y", "height")))
    require("field.y.key", y.key, y.key != x.key, "another key than field.x.key")
    corners = {at: _run(_with(base, (x, at[0]), (y, at[1])), choices) for at in product((0, -1), (0, -1))}
    made = Plan(corners[0, 0], x, y, node["loss"], node["show"], node["zoom"], choices.get("field") or "")
    choose("field.show", made.show, made.measures)
    for (column, row), corner in corners.items():
        name, axis = ("x", x) if column else ("y", y)
        if corner.job != made.job(column, row):
            raise ConfigError(f"field.{name}.key={axis.key}: other keys follow from it, and a field varies two alone")
    return made


def replaced(job: Job, key: str, value: float) -> Job:
    """The job with one key's value replaced, as a configuration of this value would have it."""
    group, _, name = key.rpartition(".")
    new: Any = value
    if group in GROUPS:
        name, new = group, replace(getattr(job, group), **{name: value})
    return replace(job, **{name: new})


def numeric_keys(job: Job) -> dict[str, type]:
    """The keys whose values are numbers that the job depends on: key -> int or float."""
    own = {name if name in RunSchema.__annotations__ else f"train.{name}": hint for name, hint in _numbers(Job).items()}
    groups = ((group, _numbers(type(getattr(job, group)))) for group in GROUPS)
    return own | {f"{group}.{name}": hint for group, hints in groups for name, hint in hints.items()}


def _numbers(cls: type) -> dict[str, type]:
    """The fields of a dataclass that are numbers, or numbers or None."""
    hints = {field.name: get_type_hints(cls)[field.name] for field in fields(cls)}
    kinds = {name: {*(get_args(hint) or [hint])} - {type(None)} for name, hint in hints.items()}
    return {name: float if float in kind else int for name, kind in kinds.items() if kind <= {int, float}}


def _axis(name: str, node: Mapping[str, Any], count: int, numbers: Mapping[str, type]) -> Axis:
    key, low, high = node["key"], node["low"], node["high"]
    if key not in numbers:
        listed = ", ".join(numbers)
        raise ConfigError(f"field.{name}.key={key} is no numeric key here{nearest(key, numbers)}; choices: {listed}")
    choose(f"field.{name}.scale", node["scale"], ("linear", "log"))
    require(f"field.{name}.low", low, low < high, f"a number below field.{name}.high={high}")
    require(f"field.{name}.low", low, low > 0 or node["scale"] == "linear", "a number above 0 on a log scale")
    axis = Axis(key, low, high, node["scale"], count, numbers[key] is int)
    with np.errstate(all="ignore"):
        edges = axis.edges
        drawn = np.isfinite(edges).all() and (np.diff(edges) > 0).all() and (edges[0] > 0 or axis.scale == "linear")
    require(f"field.{name}.high", high, bool(drawn), f"with low={low} an axis whose ends are numbers that can be drawn")
    return axis


def _checked(field: DictConfig) -> dict[str, Any]:
    """The node of the configuration, its keys and types checked."""
    for name in ("x", "y"):
        axis = field.get(name, {})
        require(f"field.{name}", axis, isinstance(axis, Mapping), f"its own keys, as in field.{name}.key=init.scale")
    try:
        typed = OmegaConf.merge({"field": OmegaConf.structured(FieldSchema)}, {"field": field})
    except ConfigKeyError as error:
        known = AxisSchema if str(error.full_key).count(".") == 2 else FieldSchema
        raise ConfigError(unknown(str(error.full_key), [one.name for one in fields(known)])) from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    container = cast(dict[str, Any], OmegaConf.to_container(typed.field, resolve=True))
    node = whole_numbers(container, FieldSchema, "field.")
    _require_whole(node)
    return node


def _require_whole(node: Mapping[str, Any], prefix: str = "field") -> None:
    for key, value in node.items():
        if isinstance(value, float):
            require(f"{prefix}.{key}", value, math.isfinite(value), "a finite number")
        if value == "???":
            raise ConfigError(f"{prefix}.{key} is missing: set it, or choose one of the fields: +field=trainability")
        if isinstance(value, dict):
            _require_whole(value, f"{prefix}.{key}")


def _require_room(width: int, height: int) -> None:
    """Before anything of that size is made."""
    pixels, asked = width * height, f"field.width={width}, field.height={height}: {width * height:,} pixels need about"
    there, free = psutil.virtual_memory().total, shutil.disk_usage(".").free
    if memory(pixels) > there:
        raise ConfigError(f"{asked} {memory(pixels) / 1e9:,.0f} GB of memory; this machine has {there / 1e9:,.0f} GB")
    if storage(pixels) > free:
        raise ConfigError(f"{asked} {storage(pixels) / 1e9:,.1f} GB of disk; {free / 1e9:,.1f} GB are free here")


def memory(pixels: int) -> float:
    """Bytes, about, at the most."""
    return MEMORY + PIXEL_MEMORY * pixels


def storage(pixels: int) -> float:
    """Bytes on disk, at the most: tiles and the whole, should neither be compressible."""
    return 2 * 8 * len(UNITS) * pixels


def _with(base: DictConfig, *at: tuple[Axis, int]) -> DictConfig:
    """The configuration of a pixel."""
    config = deepcopy(base)
    for axis, i in at:
        OmegaConf.update(config, axis.key, axis.values[i].item(), force_add=True)
    return config


def _run(config: DictConfig, choices: Mapping[str, str]) -> Run:
    """A run that keeps its weights at its first step and, among others, at its last."""
    (run,) = plan([(config, choices)])
    return replace(run, job=replace(run.job, weights=True, log_steps=tuple(sorted({0, *run.job.log_steps}))))
