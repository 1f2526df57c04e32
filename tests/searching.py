"""`shallowexp` with a sweeper that wants to know what its jobs are worth, and writes it to worth.txt."""

import sys
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.plugins import Plugins

from shallowexp.cli.app import main as shallowexp

SEARCH = ("hydra/sweeper=basic", "hydra.sweeper._target_=hydra_plugins.search.Search")


class Search(BasicSweeper):
    def __init__(self, params=None, max_batch_size=None):
        super().__init__(max_batch_size)

    def sweep(self, arguments):
        returns = super().sweep(arguments)
        Path("worth.txt").write_text("\n".join(str(job.return_value) for batch in returns for job in batch))


def main() -> None:
    Search.__module__ = "hydra_plugins.search"  # Hydra takes plugins from there alone
    sys.modules[Search.__module__] = sys.modules[__name__]
    Plugins.instance().register(Search)
    sys.argv[0] = "shallowexp"
    shallowexp()
