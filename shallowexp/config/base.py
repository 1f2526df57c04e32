"""What Hydra composes of one choice of groups, and the plain values of many jobs, set in it.

To copy OmegaConf's tree and to set values there takes a millisecond. Most overrides of a sweep only replace a number; a job of such
ones alone is the base as plain values with these replaced, and its tree is made if somebody asks for it.
"""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

Plain = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """A key that is there, and what an override makes of it: its place does not depend on other overrides, nor its value."""

    path: tuple[str, ...]
    value: Any


class Base:
    """Hydra's composition of one choice of groups, without the hydra node."""

    def __init__(self, config: DictConfig, choices: Mapping[str, str], swept: Sequence[str] = ()):
        self.choices = choices  # of the groups
        self.swept = swept  # the keys that its sweep varies
        self._pickled = pickle.dumps(config)  # of this process; six times as fast as deepcopy
        self._plain = _plain(config)
        self._settings: dict[str, Setting | None] = {}

    def job(self, overrides: Sequence[str], rest: Sequence[Override]) -> "Composed":
        """`rest` are those of the overrides that choose from no group. Raises Hydra's errors."""
        found = [self._setting(override) for override in rest]
        settings = [setting for setting in found if setting]
        simple = self._plain is not None and len({s.path for s in settings}) == len(rest)
        job = Composed(overrides, self, rest, settings if simple else None)
        if not simple:
            _ = job.config
        return job

    def config(self, overrides: Sequence[Override]) -> DictConfig:
        """A copy with these set, by Hydra."""
        config: DictConfig = pickle.loads(self._pickled)
        ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)
        return config

    def plain(self, settings: Sequence[Setting]) -> Plain:
        """Shares what is not set with other jobs: to be read only."""
        found = dict(cast(Plain, self._plain))
        for path, value in ((setting.path, setting.value) for setting in settings):
            node = found
            for key in path[:-1]:
                node[key] = {**node[key]}
                node = node[key]
            node[path[-1]] = value
        return found

    def _setting(self, override: Override) -> Setting | None:
        line = str(override.input_line)
        if line not in self._settings:
            self._settings[line] = self._find(override)
        return self._settings[line]

    def _find(self, override: Override) -> Setting | None:
        path, value = tuple(override.key_or_group.split(".")), override.value()
        there, leaf = _at(self._plain, path)
        if not there or isinstance(leaf, (dict, list)) or override.type != OverrideType.CHANGE or override.package:
            return None
        if type(value) is type(leaf) and isinstance(value, (int, float)):
            return Setting(path, value)
        try:
            changed = _plain(self.config([override]))  # checked and converted
        except Exception:
            return None  # the whole job's overrides have to say what is wrong
        return Setting(path, _at(changed, path)[1]) if changed else None


@dataclass(frozen=True)
class Composed:
    """A job's configuration, without the hydra node."""

    overrides: Sequence[str]
    base: Base
    rest: Sequence[Override] = ()  # set in the base
    settings: Sequence[Setting] | None = None  # the same, where it is simple

    @property
    def choices(self) -> Mapping[str, str]:
        return self.base.choices

    @property
    def swept(self) -> Sequence[str]:
        return self.base.swept

    @cached_property
    def config(self) -> DictConfig:
        """What the task function gets."""
        return self.base.config(self.rest)

    @property
    def written(self) -> Plain:
        """With interpolations as they are written. To be read only."""
        simple = self.settings is not None
        return self.base.plain(self.settings or ()) if simple else cast(Plain, OmegaConf.to_container(self.config))

    @property
    def values(self) -> Plain:
        """With interpolations resolved. To be read only. Raises OmegaConf's errors."""
        simple = self.settings is not None
        return self.written if simple else cast(Plain, OmegaConf.to_container(self.config, resolve=True))


def _plain(config: DictConfig) -> Plain | None:
    """None where anything interpolates."""
    found = cast(Plain, OmegaConf.to_container(config))
    return None if "${" in str(found) else found


def _at(node: Any, path: Sequence[str]) -> tuple[bool, Any]:
    """Whether anything is there, and what."""
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return False, None
        node = node[key]
    return True, node
