"""Lets a user add choices and experiments in ./conf of the working directory, to shallowexp's commands only."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from shallowexp import CONF


class WorkingDirectory(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own = Path.cwd() / "conf"
        sources = {item.path.removeprefix("file://") for item in search_path.get_path() if item.path}
        if str(CONF) in sources and own.is_dir() and own != CONF:
            search_path.append("working-directory", f"file://{own}")
