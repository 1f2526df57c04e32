"""`shallowexp`: Hydra's command, a run or a sweep.

Heavy libraries (MLflow, Numba, matplotlib) are imported only once the configuration has been checked.
"""

import gc
import math
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from shallowexp import CONF, __version__, provenance
from shallowexp.claims.claim import FIELDS
from shallowexp.cli.messages import one_message
from shallowexp.cli.multirun import FIXED, OPEN, PARENT, require_one_store, tell, tracker
from shallowexp.config.base import Base, Composed
from shallowexp.config.composition import VERSION_BASE, Workers, as_given, swept_keys
from shallowexp.config.runs import Run, once, over_seeds, plan, trials_of
from shallowexp.config.schema import RunSchema
from shallowexp.config.validate import require
from shallowexp.errors import ConfigError

if TYPE_CHECKING:
    from shallowexp.sweeps.multirun import Study


def main() -> None:
    """`shallowexp`: what the user got wrong ends in one message and a non-zero exit status, not in a traceback."""
    if "--version" in sys.argv[1:]:
        return print(__version__)  # Hydra would answer with its own
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises to here instead of printing
    gc.disable()  # imports and configurations stay alive: searching them for garbage adds 3/4 to a small sweep (docs/design.md)
    command = hydra.main(config_path=str(CONF), config_name="config", **VERSION_BASE)(Command())
    with one_message(), OPEN:
        _refuse(sys.argv[1:])
        command()


def _refuse(arguments: Sequence[str]) -> None:
    """`--activation relu`, as other programs would have it; a value without a key; what would unpickle a file."""
    for given, following in pairwise([*arguments, ""]):
        key, _, value = given.removeprefix("--").partition("=")
        if given.startswith("--") and key in {field.name for field in fields(RunSchema)}:
            raise ConfigError(f"{given}: keys have no dashes, write {key}={value or following or '<value>'}")
        if given.lstrip("+~").startswith("=") and given != "=":
            raise ConfigError(f"{given} is not key=value; shallowexp --help lists the keys")
        if given.startswith("--experimental-rerun"):
            raise ConfigError(f"{given}: a pickled run is not read; shallowexp-rerun trains a tracked run again")


class Command:
    """Hydra's task function: called with one run's configuration, or by the batched launcher with a whole sweep's."""

    def __init__(self) -> None:
        self.jobs: list[Composed] = []  # of all batches until now
        self.study: Study | None = None

    def __call__(self, config: DictConfig) -> float | None:
        """One run, or one for each of `objective.seeds`. Returns what it is worth, for a sweeper that searches (with hydra/launcher=basic)."""
        parent = os.environ.get(PARENT)
        with nullcontext() if parent else one_message():  # what a job raises reaches the process that launched it
            hydra_config = HydraConfig.get()
            choices = hydra_config.runtime.choices
            require_one_store(hydra_config.job.chdir)
            words = as_given(hydra_config.overrides.task)
            fixed = os.environ.get(FIXED)
            swept = [] if fixed is None else swept_keys(words, fixed.split(","))
            one = Composed(words, Base(config, choices, swept))
            if config.field:
                workers = (OmegaConf.select(hydra_config.launcher, name) for name in Workers._fields)
                _fields([one], Path(hydra_config.runtime.output_dir), Workers(*workers))
                return None
            runs = plan(((each, choices) for each in over_seeds(one)), one.swept)
            if not parent:
                _foretell_compilation(config, runs)
            from shallowexp.sweeps.batches import forecast
            from shallowexp.sweeps.multirun import join

            tracked = tracker(config, choices)
            if parent:
                join(tracked, runs, parent, config.fresh)
                return None
            missing = tracked.missing(runs, config.fresh)
            if config.dry_run:
                return print(forecast(runs, missing, None))
            for run in runs:
                tracked.one(run, [run] if run in missing else [], fresh=config.fresh)
            return tracked.worth([runs], config.objective.metric)[0]

    def sweep(
        self, composed: Sequence[Composed], directory: Path, workers: Workers, searching: bool
    ) -> Sequence[float | None]:
        """A multirun: the batched launcher calls this with every job, composed. Nothing is written before all are valid.

        A sweeper that searches calls it again and again, and goes on with the worst value there is where a run fails.
        """
        config, unasked = composed[0].config, [math.nan if searching else None] * len(composed)
        if config.field:
            _fields(composed, directory, workers)
            return unasked
        _check(workers)
        trials = trials_of(composed)
        runs = once(chain(*trials))
        _foretell_compilation(config, runs, workers)
        from shallowexp.sweeps.batches import forecast
        from shallowexp.sweeps.multirun import study

        tracked = tracker(config, composed[0].choices)
        if config.dry_run:
            print(forecast(runs, tracked.missing(runs, config.fresh), workers.threads))
            return unasked
        _save(composed, directory, len(self.jobs))
        self.jobs += composed
        written = directory / "multirun.yaml"  # Hydra's own sweepers write it
        multirun = written.read_text(encoding="utf-8") if written.exists() else ""
        files = provenance.configuration(self.jobs if searching else composed, multirun)
        if searching:
            if self.study is None:
                self.study = OPEN.enter_context(study(tracked, config.objective.metric, provenance.command()))
            return self.study.train(trials, workers, files, config.fresh)
        tell(tracked, runs, tracked.sweep(runs, tracked.missing(runs, config.fresh), workers, files, config.fresh))
        return unasked


def _check(workers: Workers) -> None:
    for key in ("threads", "workers"):
        n = getattr(workers, key)
        require(f"hydra.launcher.{key}", n, n is None or n >= 1, "at least 1, or null for all cores")


def _foretell_compilation(config: DictConfig, runs: Sequence[Run], workers: Workers = Workers()) -> None:  # noqa: B008  (a value)
    """Unless others train, if anybody does."""
    from shallowexp.sweeps.progress import foretell_compilation

    if not (config.dry_run or workers.scheduler or workers.executor):
        foretell_compilation(runs)


def _fields(composed: Sequence[Composed], directory: Path, workers: Workers) -> None:
    """A field for each job, one after the other, and a picture of all in the command's own directory."""
    from shallowexp.fields.plan import to_plan

    _check(workers)
    config = composed[0].config
    plans = [to_plan(job.config, job.choices) for job in composed]
    _foretell_compilation(config, [plan.run for plan in plans], workers)
    from shallowexp.fields.launch import launch
    from shallowexp.fields.training import forecast

    tracked = tracker(config, composed[0].choices, FIELDS)
    if config.dry_run:
        return print("\n".join(forecast(plan, tracked, workers.threads) for plan in plans))
    files = [provenance.configuration([job], "") for job in composed]
    launch(plans, files, tracked, directory, config.fresh, workers)


def _save(composed: Sequence[Composed], directory: Path, first: int) -> None:
    """Hydra's output directory of each job, numbered from `first`: its overrides and its configuration."""
    for number, job in enumerate(composed, first):
        folder = directory / str(number) / ".hydra"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("config", job.written), ("overrides", job.overrides)):
            (folder / f"{name}.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
