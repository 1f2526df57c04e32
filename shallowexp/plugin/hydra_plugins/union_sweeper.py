"""hydra/sweeper=union: Hydra's basic sweeper, where `hydra.sweeper.params` may also be a list of mappings.

The product of each mapping is swept and the products are united, for sweeps that are not one product (a slope only with
leaky ReLU). The command line wins over `params`; a job is launched once; an empty range is an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override


@dataclass
class UnionSweeperConf:
    _target_: str = "hydra_plugins.union_sweeper.UnionSweeper"
    max_batch_size: int | None = None
    params: Any = None


ConfigStore.instance().store(group="hydra/sweeper", name="union", node=UnionSweeperConf, provider="shallowexp")


class UnionSweeper(BasicSweeper):
    def _parse_config(self) -> list[str]:
        return []  # `split_arguments` reads params itself, mapping by mapping

    def split_arguments(  # type: ignore[override]  # Hydra's is static, but it calls it on `self`
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        from shallowexp.config.composition import united_products
        from shallowexp.config.validate import require

        fits = max_batch_size is None or max_batch_size >= 1
        require("hydra.sweeper.max_batch_size", max_batch_size, fits, "at least 1, or null for all at once")
        jobs = united_products(self.params, overrides)
        return list(self.split_overrides_to_chunks(jobs, max_batch_size))

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        if not getattr(self.launcher, "composes_all", False):
            super().validate_batch_is_legal(batch)
