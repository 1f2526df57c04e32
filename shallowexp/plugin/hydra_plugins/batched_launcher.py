"""hydra/launcher=batched: hands a whole sweep, composed, to one function instead of running job after job.

A task function takes part if it is a `config.composition.TakesSweeps`. Any other runs as
with Hydra's basic launcher. Every Hydra application on the machine imports this file: what is heavy waits for `launch`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals


@dataclass
class BatchedLauncherConf:
    _target_: str = "hydra_plugins.batched_launcher.BatchedLauncher"
    threads: int | None = None  # of the compiled kernel; null: all cores, or one for each batch that a worker has
    scheduler: str | None = None  # of Dask workers: tcp://host:8786 or tls://host:8786
    executor: str | None = None  # dotted name of what makes any other concurrent.futures.Executor
    workers: int | None = None  # that this executor has; null: one for each core of this machine


ConfigStore.instance().store(group="hydra/launcher", name="batched", node=BatchedLauncherConf, provider="shallowexp")


class BatchedLauncher(BasicLauncher):
    def __init__(self, **workers: Any):
        super().__init__()
        self.workers = workers

    @property
    def composes_all(self) -> bool:
        """Whether every job is composed before the first one runs."""
        from shallowexp.config.composition import TakesSweeps

        return isinstance(self.task_function, TakesSweeps)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from shallowexp.config.composition import TakesSweeps, Workers, compose, searches

        if not isinstance(self.task_function, TakesSweeps):
            return super().launch(job_overrides, initial_job_idx)
        assert self.config is not None and self.hydra_context is not None  # Hydra calls `setup` first
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        composed = compose(self.hydra_context.config_loader, self.config, job_overrides)
        directory, workers = Path(self.config.hydra.sweep.dir), Workers(**self.workers)
        worth = self.task_function.sweep(composed, directory, workers, searches(self.config))
        return [
            JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED, _return_value=value)
            for job, value in zip(composed, worth, strict=True)
        ]
