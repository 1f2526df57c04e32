"""Many of Hydra's compositions for the price of a few.

One composition costs Hydra 0.15 to 0.3 s. The jobs of a sweep differ in few choices of groups and in many plain values, so
Hydra composes once for each distinct choice of groups (`base.py`).
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, product
from math import ceil, prod
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

from hydra import __version__, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, RangeSweep, ValueType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from shallowexp import CONF
from shallowexp.config import help, schema  # noqa: F401  (register what conf/config.yaml names)
from shallowexp.config.base import Base, Composed
from shallowexp.config.validate import require
from shallowexp.errors import ConfigError

EXHAUSTIVE = (  # sweepers that launch all jobs at once, whatever they return; others search
    "hydra_plugins.union_sweeper.UnionSweeper",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)
# What Hydra's grammar takes for key=number, in its most frequent forms
NUMBER = re.compile(
    r"(?P<key>[a-zA-Z_][a-zA-Z0-9_]*(?:[.][a-zA-Z_][a-zA-Z0-9_]*)*)="
    r"(?P<number>-?(?:0|[1-9][0-9]{0,17})(?P<fraction>(?:[.][0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?))"
)
MOST_RUNS = 1_000_000  # of a sweep: their names alone take 100 MB, writing them an hour
Params = Mapping[str, Any]  # key -> values, as `hydra.sweeper.params` has them
VERSION_BASE = {"version_base": "1.3"} if __version__.startswith("1.3.") else {}  # Hydra 1.4 has one behavior


class Workers(NamedTuple):
    """What trains a sweep, as hydra/launcher=batched has it; by default this process, on all cores."""

    threads: int | None = None  # for a batch; None: all cores of this process, or one of a worker
    scheduler: str | None = None  # of Dask workers
    executor: str | None = None  # dotted name of what makes any other concurrent.futures.Executor
    workers: int | None = None  # that this executor has; None: one for each core of this machine


@runtime_checkable
class TakesSweeps(Protocol):
    """A task function that hydra/launcher=batched hands a whole sweep, rather than one job after the other."""

    def __call__(self, config: DictConfig) -> Any: ...

    def sweep(
        self, composed: Sequence[Composed], directory: Path, workers: Workers, searching: bool
    ) -> Sequence[float | None]:
        """Every job, composed; the output directory; what is to train it; whether the sweeper asks what each job is worth: returned."""


def searches(master: DictConfig) -> bool:
    """Whether the sweeper wants to know what its jobs are worth, to choose the next ones."""
    return master.hydra.sweeper._target_ not in EXHAUSTIVE


def compose(loader: ConfigLoader, master: DictConfig, jobs: Iterable[Sequence[str]]) -> list[Composed]:
    """Every job's configuration, from its overrides: equal to `loader.load_sweep_config(master, overrides)`.

    Raises Hydra's own exceptions at the first job that does not compose, and ConfigError of more than one experiment.
    """
    lines = [list(job) for job in jobs]
    parsed = {line: _parse(line) for line in dict.fromkeys(chain.from_iterable(lines))}
    _require_one_experiment(parsed.values())
    groups, bases = _Groups(loader, master), dict[tuple[str, ...], Base]()
    swept = swept_keys(parsed, fixed_keys(master))
    choosing = {line for line, override in parsed.items() if groups.has(override)}
    composed = []
    for job in lines:
        chosen = tuple(line for line in job if line in choosing)
        if chosen not in bases:
            bases[chosen] = Base(*_without_hydra(loader.load_sweep_config(master, list(chosen))), swept)
        composed.append(bases[chosen].job(job, [parsed[line] for line in job if line not in choosing]))
    return composed


def as_given(overrides: Sequence[str]) -> list[str]:
    """A command line's words: taken out one by one they would lose their interpolations, of which each job has its own value."""
    return cast(list[str], OmegaConf.to_container(overrides))


def fixed_keys(master: DictConfig) -> list[str]:
    """Those that a multirun's command line gives one value."""
    return [o.key_or_group for o in map(_parse, as_given(master.hydra.overrides.task)) if not o.is_sweep_override()]


def swept_keys(lines: Iterable[str], fixed: Container[str]) -> list[str]:
    """The other keys of its jobs' overrides."""
    keys = dict.fromkeys(_parse(line).key_or_group for line in lines)
    return [key for key in keys if key not in fixed]


def _require_one_experiment(overrides: Iterable[Override]) -> None:
    """Its file holds the sweep itself, so it cannot be swept: Hydra 1.4 refuses that in words of its own, 1.3 does not."""
    chosen = [override.value() for override in overrides if override.key_or_group == "experiment"]
    names = set(map(str, chosen))
    if len(names) > 1 or any(isinstance(name, list) for name in chosen):
        raise ConfigError(f"experiment={','.join(sorted(names))} cannot be swept: launch one experiment at a time")


def united_products(params: Params | Sequence[Params] | None, overrides: Sequence[Override]) -> list[list[str]]:
    """The jobs of a sweep: the product of each mapping of `params` with the command line's overrides, which win; united.

    `params` is one mapping from key to values (Hydra's `hydra.sweeper.params`) or a list of them. A job is there once.
    Raises ConfigError for more than a million of them, before any is made.
    """
    mappings = [params or {}] if params is None or isinstance(params, Mapping) else params
    mapped = isinstance(mappings, Sequence) and all(isinstance(mapping, Mapping) for mapping in mappings)
    require("hydra.sweeper.params", params, mapped, "a mapping from keys to values, or a list of such mappings")
    swept = [[_parse(f"{key}={value}") for key, value in mapping.items()] + list(overrides) for mapping in mappings]
    keyed = [{override.get_key_element(): override for override in found} for found in swept]
    asked = sum(prod(map(_count, found.values())) for found in keyed)
    if asked > MOST_RUNS:
        raise ConfigError(f"the sweep asks for {asked:,} runs: at most {MOST_RUNS:,} are possible, in parts if need be")
    jobs: dict[tuple[str, ...], None] = {}
    for found in keyed:
        jobs |= dict.fromkeys(product(*map(_values, found.values())))
    return [list(job) for job in jobs]


def _count(override: Override) -> int:
    """How many values it takes, without listing a range."""
    value = override.value()
    if isinstance(value, RangeSweep):
        start, stop, step = (float(number or 0) for number in (value.start, value.stop, value.step))
        return max(0, ceil((stop - start) / step)) if step else 0
    return len(value.list) if isinstance(value, ChoiceSweep) else 1


def _values(override: Override) -> list[str]:
    """An override for each value it takes."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}" if not override.is_delete() else key]
    if not override.is_discrete_sweep():
        raise HydraException(f"{override.input_line}: only lists and ranges of values can be swept")
    values = [f"{key}={value}" for value in override.sweep_string_iterator()] if _count(override) else []
    if not values:
        raise HydraException(f"{override.input_line} is an empty range: it gives no runs")
    return values


@lru_cache(maxsize=65536)
def _parse(override: str) -> Override:
    """As Hydra's parser does, which takes 0.2 ms: a sweep has many numbers."""
    if plain := NUMBER.fullmatch(override):
        value = float(plain["number"]) if plain["fraction"] else int(plain["number"])
        return Override(OverrideType.CHANGE, plain["key"], ValueType.ELEMENT, value, input_line=override)
    return OverridesParser.create().parse_override(override)


class _Groups:
    """Which overrides choose from a config group: those that Hydra would take into the defaults list."""

    def __init__(self, loader: ConfigLoader, master: DictConfig):
        name = master.hydra.job.config_name
        overrides = as_given(master.hydra.overrides.hydra)
        only_loader = cast(ConfigLoaderImpl, loader)  # that Hydra has
        _, self.repository = only_loader._parse_overrides_and_create_caching_repo(name, overrides)
        self.known: dict[str, bool] = {}

    def has(self, override: Override) -> bool:
        key = override.key_or_group
        if key not in self.known:
            self.known[key] = self.repository.group_exists(key)
        return self.known[key]


@contextmanager
def config_loader() -> Iterator[ConfigLoader]:
    """Hydra's loader of the configurations in conf/, outside of a command."""
    with initialize_config_dir(str(CONF), job_name="app", **VERSION_BASE):
        yield GlobalHydra.instance().config_loader()


def compose_experiment(name: str, overrides: Sequence[str] = ()) -> tuple[DictConfig, list[Composed]]:
    """Hydra's tree and every job of conf/experiment/<name>.yaml, as `shallowexp -m +experiment=<name> <overrides>` has."""
    return compose_sweep([f"+experiment={name}", *overrides])


def compose_sweep(
    command_line: Sequence[str], params: Sequence[Params] | None = None
) -> tuple[DictConfig, list[Composed]]:
    """Hydra's tree and every job of `shallowexp -m <command_line>`, with `params` in the place of the tree's own."""
    with config_loader() as loader:
        master = loader.load_configuration("config", list(command_line), RunMode.MULTIRUN)
        return master, compose_all(loader, master, params)


def compose_all(loader: ConfigLoader, master: DictConfig, params: Sequence[Params] | None = None) -> list[Composed]:
    """Every job of a multirun that does not search, from Hydra's tree, with `params` in the place of the tree's own."""
    swept = master.hydra.sweeper.params if params is None else params
    return compose(loader, master, united_products(swept, list(map(_parse, as_given(master.hydra.overrides.task)))))


def compose_run(params: Mapping[str, str]) -> tuple[DictConfig, dict[str, str]]:
    """The configuration and the groups' choices of the run that these params describe: they are named as the overrides that
    set them. Raises Hydra's errors.
    """
    return compose_one(overrides_of(params))


def overrides_of(params: Mapping[str, str]) -> list[str]:
    return [f"{'++' if '.' in key else ''}{key}={value}" for key, value in params.items()]


def compose_one(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The configuration and the groups' choices of `shallowexp <overrides>`. Raises Hydra's errors."""
    with config_loader() as loader:
        return _without_hydra(loader.load_configuration("config", list(overrides), RunMode.RUN))


def _without_hydra(config: DictConfig) -> tuple[DictConfig, dict[str, str]]:
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return config, choices
