"""hydra/launcher=batched: hands the whole sweep, composed, to one function.

`hydra.launcher.sweep` is that function's dotted name; it gets (composed, sweep_dir, threads) and returns one value a job.
Where it is not set, jobs run one by one as with Hydra's basic launcher. Every Hydra application on the machine imports this
file, so what is heavy is imported in `launch`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.utils import get_method


@dataclass
class BatchedLauncherConf:
    _target_: str = "hydra_plugins.batched_launcher.BatchedLauncher"
    sweep: str | None = None
    threads: int | None = None  # of the compiled kernel; null: all cores


ConfigStore.instance().store(group="hydra/launcher", name="batched", node=BatchedLauncherConf, provider="shallowexp")


class BatchedLauncher(BasicLauncher):
    def __init__(self, sweep: str | None = None, threads: int | None = None):
        super().__init__()
        self.sweep, self.threads = sweep, threads

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if self.sweep is None:
            return super().launch(job_overrides, initial_job_idx)
        from shallowexp.composition import compose

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        composed = compose(self.hydra_context.config_loader, self.config, job_overrides)
        directory = Path(self.config.hydra.sweep.dir)
        values = get_method(self.sweep)(composed, directory, self.threads)
        return [
            JobReturn(overrides=job.overrides, cfg=job.config, status=JobStatus.COMPLETED, _return_value=value)
            for job, value in zip(composed, values, strict=True)
        ]
