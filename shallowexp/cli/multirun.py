"""Before and after the jobs of a multirun: the parent run that those of other launchers than the batched one join, and what is said."""

import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from shallowexp import provenance
from shallowexp.cli.messages import one_message
from shallowexp.config.composition import compose_all, fixed_keys, searches
from shallowexp.config.runs import EXPERIMENT, Run, plan_jobs
from shallowexp.config.validate import require
from shallowexp.errors import ConfigError, RunsFailed

if TYPE_CHECKING:
    from shallowexp.sweeps.sweep import ExperimentTracker, SweepSummary

OPEN = ExitStack()  # what a multirun leaves open between its jobs: `app.main` closes it
PARENT = "SHALLOWEXP_PARENT"  # in the environment of the jobs that join one: its run id
FIXED = "SHALLOWEXP_FIXED"  # in that of all of them: the keys that the command line gives one value
BATCHED = "hydra_plugins.batched_launcher.BatchedLauncher"
HERE = (  # other launchers whose jobs stay on this machine
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
)


class OneParent(Callback):
    """hydra.callbacks.one_parent: before jobs that train for themselves are launched, their sweep is planned and its parent run opened."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        launcher = OmegaConf.select(config.hydra, "launcher._target_")
        if launcher in (BATCHED, None):  # without one Hydra makes none, and says so
            return
        os.environ[FIXED] = ",".join(fixed_keys(config))
        with one_message():  # of what a callback raises Hydra only warns
            require_one_store(config.hydra.job.chdir)
            _require_shared_store(launcher)
            if not (searches(config) or config.field):  # these jobs are on their own
                where = "false, or hydra/launcher=batched: jobs of other launchers are not stopped"
                require("fail_fast", config.fail_fast, not config.fail_fast, where)
                _open(config)


def _open(config: DictConfig) -> None:
    """Ends the command where nothing is to be launched."""
    composed = compose_all(GlobalHydra.instance().config_loader(), config)
    runs = plan_jobs(composed)
    from shallowexp.sweeps.batches import forecast

    tracked = tracker(composed[0].config, composed[0].choices)
    missing = tracked.missing(runs, config.fresh)
    if config.dry_run:
        print(forecast(runs, missing, None))
        sys.exit()
    files = provenance.configuration(composed, OmegaConf.to_yaml(config))
    with ExitStack() as opened:
        if opened.enter_context(_launching(tracked, runs, missing, files, config.fresh)):
            OPEN.push(opened.pop_all())
            return
    sys.exit()


@contextmanager
def _launching(
    tracked: "ExperimentTracker", runs: Sequence[Run], missing: Sequence[Run], files: Mapping[str, bytes], fresh: bool
) -> Iterator[bool]:
    """Whether there is anything to launch."""
    from shallowexp.sweeps.multirun import launched

    with launched(tracked, runs, missing, files, fresh) as (parent, summary):
        if parent:
            os.environ[PARENT] = parent
        yield bool(parent and missing)
    tell(tracked, runs, summary)


def tell(tracked: "ExperimentTracker", runs: Sequence[Run], summary: "SweepSummary") -> None:
    """How a sweep ended. Raises RunsFailed."""
    from shallowexp.sweeps import cells

    print(f"{summary}. {tracked}")
    if summary.parent and summary.results:
        print(cells.best_cell(runs, summary.results, summary.parent))
    elif not summary.parent and (before := tracked.finished(runs)):
        print(cells.seen(before))
    if summary.failures:
        raise RunsFailed(summary.failures.values())


def tracker(config: DictConfig, choices: Mapping[str, str], otherwise: str = EXPERIMENT) -> "ExperimentTracker":
    """The MLflow experiment that the runs go to. Garbage is collected from here on, what start-up has made excepted."""
    from shallowexp.sweeps.sweep import ExperimentTracker

    chosen: str | None = config.name or choices.get("experiment")
    named = chosen or os.environ.get("MLFLOW_EXPERIMENT_NAME") or otherwise
    tracked = ExperimentTracker.open(named, fail_fast=config.fail_fast)
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    return tracked


def require_one_store(chdir: bool | None) -> None:
    where = "false, or MLFLOW_TRACKING_URI set: each run would get a store of its own"
    require("hydra.job.chdir", chdir, not chdir or "MLFLOW_TRACKING_URI" in os.environ, where)


def _require_shared_store(launcher: str) -> None:
    """A SQLite file is of one machine: elsewhere its path names another one, and on a shared disk its locks do not hold."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if launcher not in HERE and uri.startswith("sqlite"):
        raise ConfigError(
            f"{launcher.rpartition('.')[2]}'s jobs may write from several machines, which cannot share {uri}: set "
            "MLFLOW_TRACKING_URI to PostgreSQL or an MLflow server, or use hydra/launcher=batched with "
            "hydra.launcher.scheduler, whose workers only train (docs/cluster.md)"
        )
