"""The types of a run's configuration, by Hydra's name `schema`; the values are in conf/config.yaml.

A group's node is open here: its schema is the dataclass that its `_target_` names (see choices.py).
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

Whole = int | float  # 1e4 is a float to Hydra: validate.py makes 10000 of it, and refuses 1.5


@dataclass
class TrainSchema:
    steps: Whole = MISSING
    learning_rate: float = MISSING
    batch_size: Whole | None = None
    dtype: str = MISSING
    engine: str = MISSING


@dataclass
class LogSchema:
    points: Whole = MISSING
    every: Whole | None = None
    steps: list[Whole] | None = None
    weights: str = MISSING
    model: str = MISSING
    register: str | None = None


@dataclass
class ObjectiveSchema:
    metric: str = MISSING
    seeds: Whole = MISSING


@dataclass
class AxisSchema:
    key: str = MISSING
    low: float = MISSING
    high: float = MISSING
    scale: str = "linear"


@dataclass
class FieldSchema:
    x: AxisSchema = field(default_factory=AxisSchema)
    y: AxisSchema = field(default_factory=AxisSchema)
    width: Whole = MISSING
    height: Whole = MISSING
    loss: float = MISSING
    show: str = MISSING
    zoom: Whole = 0


@dataclass
class RunSchema:
    data: dict[str, Any] = field(default_factory=dict)
    activation: dict[str, Any] = field(default_factory=dict)
    init: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    hidden_size: Whole = MISSING
    seed: Whole = MISSING
    train: TrainSchema = field(default_factory=TrainSchema)
    log: LogSchema = field(default_factory=LogSchema)
    objective: ObjectiveSchema = field(default_factory=ObjectiveSchema)
    field: dict[str, Any] = field(default_factory=dict)  # a FieldSchema, of +field=...: what is trained is then a field
    name: str | None = None
    fresh: bool = False
    dry_run: bool = False
    fail_fast: bool = False


ConfigStore.instance().store(name="schema", node=RunSchema)
