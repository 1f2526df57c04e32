"""`shallowexp`: Hydra's command, a run or a sweep.

Heavy libraries (MLflow, Numba, matplotlib) are imported only once the configuration has been checked.
"""

import gc
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from shallowexp import CONF, __version__, provenance
from shallowexp.cli.messages import one_message
from shallowexp.config.base import Base, Composed
from shallowexp.config.composition import VERSION_BASE, Ended, Workers
from shallowexp.config.runs import EXPERIMENT, once, over_seeds, plan, plan_each
from shallowexp.config.schema import RunSchema
from shallowexp.config.validate import require
from shallowexp.errors import ConfigError, RunsFailed


def main() -> None:
    """`shallowexp`: what the user got wrong ends in one message and a non-zero exit status, not in a traceback."""
    if "--version" in sys.argv[1:]:
        return print(__version__)  # Hydra would answer with its own
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises to here instead of printing
    gc.disable()  # imports and configurations stay alive: searching them for garbage adds 3/4 to a small sweep (docs/design.md)
    command = hydra.main(config_path=str(CONF), config_name="config", **VERSION_BASE)(Command())
    with one_message():
        _refuse(sys.argv[1:])
        command()


def _refuse(arguments: Sequence[str]) -> None:
    """`--activation relu`, as other programs would have it; a value without a key; what would unpickle a file."""
    for given, following in zip(arguments, [*arguments[1:], ""], strict=True):
        key, _, value = given.removeprefix("--").partition("=")
        if given.startswith("--") and key in {field.name for field in fields(RunSchema)}:
            raise ConfigError(f"{given}: keys have no dashes, write {key}={value or following or '<value>'}")
        if given.lstrip("+~").startswith("=") and given != "=":
            raise ConfigError(f"{given} is not key=value; shallowexp --help lists the keys")
        if given.startswith("--experimental-rerun"):
            raise ConfigError(f"{given}: a pickled run is not read; shallowexp-rerun trains a tracked run again")


FIELDS = "fields"  # the MLflow experiment of those without a name


class Command:
    """Hydra's task function: called with one run's configuration, or by the batched launcher with a whole sweep's."""

    def __call__(self, config: DictConfig) -> float | None:
        """One run, or one for each of `objective.seeds`. Returns what it is worth, for a sweeper that searches (with hydra/launcher=basic)."""
        with one_message():
            hydra_config = HydraConfig.get()
            choices = hydra_config.runtime.choices
            _require_one_store(hydra_config.job.chdir)
            one = Composed([*hydra_config.overrides.task], Base(config, choices))
            if config.field:
                _fields([one], Path(hydra_config.runtime.output_dir), None)
                return None
            runs = plan((each, choices) for each in over_seeds(one))
            from shallowexp.sweeps.batches import forecast
            from shallowexp.sweeps.sweep import ExperimentTracker

            tracked = ExperimentTracker.open(_experiment(config, choices), fail_fast=config.fail_fast)
            missing = tracked.missing(runs, config.fresh)
            _collect_from_now_on()
            if config.dry_run:
                return print(forecast(runs, missing, None))
            for run in runs:
                tracked.one(run, [run] if run in missing else [])
            return tracked.worth([runs], config.objective.metric)[0]

    def sweep(self, composed: Sequence[Composed], directory: Path, workers: Workers) -> Ended:
        """A multirun: the batched launcher calls this with every job, composed. Nothing is written before all are valid."""
        config = composed[0].config
        for key in ("threads", "workers"):
            n = getattr(workers, key)
            require(f"hydra.launcher.{key}", n, n is None or n >= 1, "at least 1, or null for all cores")
        if config.field:
            for key in ("scheduler", "executor"):
                require(
                    f"hydra.launcher.{key}",
                    getattr(workers, key),
                    not getattr(workers, key),
                    "null: a field is trained here",
                )
            _fields(composed, directory, workers.threads)
            return Ended(lambda: [math.nan] * len(composed))
        seeded = [over_seeds(job) for job in composed]
        each = plan_each((one, job.choices) for job, found in zip(composed, seeded, strict=True) for one in found)
        runs, left = once(each), iter(each)
        trials = [list(islice(left, len(found))) for found in seeded]
        from shallowexp.sweeps import pages
        from shallowexp.sweeps.batches import forecast
        from shallowexp.sweeps.sweep import ExperimentTracker

        tracked = ExperimentTracker.open(_experiment(config, composed[0].choices), fail_fast=config.fail_fast)
        missing = tracked.missing(runs, config.fresh)
        _collect_from_now_on()
        if config.dry_run:
            print(forecast(runs, missing, workers.threads))
            return Ended(lambda: [math.nan] * len(composed))
        _save(composed, directory)
        multirun = directory / "multirun.yaml"  # Hydra's sweepers write it
        files = provenance.configuration(composed, multirun.read_text(encoding="utf-8") if multirun.exists() else "")
        summary = tracked.sweep(runs, missing, workers, files, config.fresh)
        print(f"{summary}. {tracked}")
        if summary.results:
            print(pages.best_cell(runs, summary.results, summary.parent))
        error = RunsFailed(summary.failures.values()) if summary.failures else None
        return Ended(lambda: tracked.worth(trials, config.objective.metric), error)


def _require_one_store(chdir: bool | None) -> None:
    where = "false, or MLFLOW_TRACKING_URI set: each run would get a store of its own"
    require("hydra.job.chdir", chdir, not chdir or "MLFLOW_TRACKING_URI" in os.environ, where)


def _fields(composed: Sequence[Composed], directory: Path, threads: int | None) -> None:
    """A field for each job, one after the other, and a picture of all in the command's own directory."""
    from shallowexp.fields.launch import launch
    from shallowexp.fields.plan import to_plan
    from shallowexp.fields.training import forecast
    from shallowexp.sweeps.sweep import ExperimentTracker

    config = composed[0].config
    plans = [to_plan(job.config, job.choices) for job in composed]
    tracked = ExperimentTracker.open(_experiment(config, composed[0].choices, FIELDS))
    _collect_from_now_on()
    if config.dry_run:
        return print("\n".join(forecast(plan, tracked, threads) for plan in plans))
    files = [provenance.configuration([job], "") for job in composed]
    launch(plans, files, tracked, directory, config.fresh, threads)


def _experiment(config: DictConfig, choices: Mapping[str, str], otherwise: str = EXPERIMENT) -> str:
    """The name of the MLflow experiment that the runs go to."""
    chosen: str | None = config.name or choices.get("experiment")
    return chosen or os.environ.get("MLFLOW_EXPERIMENT_NAME") or otherwise


def _collect_from_now_on() -> None:
    """Turns garbage collection on again, but exempts what start-up has made."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _save(composed: Sequence[Composed], directory: Path) -> None:
    """Hydra's output directory of each job: its overrides and its configuration."""
    for number, job in enumerate(composed):
        folder = directory / str(number) / ".hydra"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("config", job.written), ("overrides", job.overrides)):
            (folder / f"{name}.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
