"""Lets a user add choices and experiments in ./conf of the working directory, to shallowexp's commands only."""

from pathlib import Path

from hydra._internal.core_plugins import file_config_source
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from shallowexp import CONF

GROUPS = ("data", "activation", "init", "output", "optimizer", "field", "experiment")


class OwnConf(file_config_source.FileConfigSource):
    """A folder of which only these groups are seen: nothing in it stands for our schema, or for a launcher or sweeper."""

    @staticmethod
    def scheme() -> str:
        return "own"

    def is_group(self, config_path: str) -> bool:
        return _offered(config_path) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return _offered(config_path) and super().is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return super().list(config_path, results_filter) if _offered(config_path) else []

    def load_config(self, config_path: str) -> ConfigResult:
        try:
            loaded = super().load_config(config_path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigLoadError(f"{self.path}/{config_path}.yaml cannot be read: {error}") from None
        except RecursionError:
            raise ConfigLoadError(f"{self.path}/{config_path}.yaml cannot be read: a node in it holds itself") from None
        if not OmegaConf.is_dict(loaded.config):
            raise ConfigLoadError(f"{self.path}/{config_path}.yaml holds no mapping of keys to values")
        return loaded


def _offered(config_path: str) -> bool:
    return config_path.split("/")[0] in GROUPS


class WorkingDirectory(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own = Path.cwd() / "conf"
        sources = {item.path.removeprefix("file://") for item in search_path.get_path() if item.path}
        if str(CONF) in sources and own.is_dir() and own != CONF:
            search_path.append("working-directory", f"{OwnConf.scheme()}://{own}")
