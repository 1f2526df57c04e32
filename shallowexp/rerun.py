"""`shallowexp-rerun RUN_ID`: trains a tracked run again and says whether every metric comes out the same, to the bit."""

import argparse
import os
import sys
from dataclasses import replace

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from shallowexp import CONF, __version__, provenance
from shallowexp.app import one_message
from shallowexp.config import Run, to_run
from shallowexp.errors import RunsFailed, UserError

Points = dict[str, list[tuple[int, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="shallowexp-rerun", description="Train a tracked run again: is every metric the same, to the bit?"
    )
    parser.add_argument("run_id", help="of a run of shallowexp in MLFLOW_TRACKING_URI (default: ./mlflow.db)")
    parser.add_argument("--version", action="version", version=__version__)
    run_id = parser.parse_args().run_id
    sys.path.append(os.getcwd())
    with one_message():
        sys.exit(rerun(run_id))


def rerun(run_id: str) -> int:
    """0 if every metric is the same at every step, else 1. Writes nothing to the store."""
    from shallowexp.tracking import Store

    stored = Store.open(create=False).run(run_id)
    _check(run_id, stored)
    planned = compose(stored.params)
    for line in _warnings(planned, stored.tags):
        print(line)
    before, after = ({m: dict(p) for m, p in points.items()} for points in (stored.points, train(planned)))
    changes = [line for metric in sorted(before | after) for line in _changes(metric, before, after)]
    print(f"{planned.name}: {len(before)} metrics, {sum(map(len, before.values()))} values")
    print("\n".join(changes) or "the same, to the bit")
    return 1 if changes else 0


def _check(run_id: str, stored) -> None:
    if "shallowexp.digest" in stored.tags:
        raise UserError(f"Run {run_id} is a sweep: give the id of one of its runs.")
    if "shallowexp.fingerprint" not in stored.tags:
        raise UserError(f"Run {run_id} was not made by shallowexp.")
    if stored.status != "FINISHED":
        raise UserError(f"Run {run_id} is {stored.status}: only what is FINISHED can be compared.")


def compose(params: dict[str, str]) -> Run:
    """The run that these params describe: they are named as the overrides that set them. Raises Hydra's errors."""
    overrides = [f"{'++' if '.' in key else ''}{key}={value}" for key, value in params.items()]
    with initialize_config_dir(str(CONF), version_base="1.3", job_name="app"):
        config = GlobalHydra.instance().config_loader().load_configuration("config", overrides, RunMode.RUN)
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return to_run(config, choices)


def train(run: Run) -> Points:
    from shallowexp.batches import train_batch
    from shallowexp.training import Failure

    (record,), (result,) = train_batch([run])
    if isinstance(result, Failure):
        raise RunsFailed({run.name: result.error})
    return record.points()


def _warnings(run: Run, tags: dict[str, str]):
    """What is no longer as it was: the configuration or the code by the fingerprint, and the machine."""
    kept = [replace(run, job=replace(run.job, weights=weights)).fingerprint for weights in (False, True)]
    if tags["shallowexp.fingerprint"] not in kept:
        made, now = (
            f"commit {commit or 'unknown'}" for commit in (tags.get("mlflow.source.git.commit"), provenance.commit())
        )
        yield f"The code or the configuration has changed since: another fingerprint (made by {made}; this is {now})."
    machine = provenance.tags()["shallowexp.machine"]
    if tags.get("shallowexp.machine") != machine:
        yield f"Made on {tags.get('shallowexp.machine')}; this is {machine}."


def _changes(metric: str, before: dict, after: dict):
    """One line if the metric differs, with the first step where it does."""
    old, new = before.get(metric, {}), after.get(metric, {})
    steps = [step for step in sorted(old | new) if old.get(step) != new.get(step)]
    if steps:
        first = f"{old.get(steps[0], 'undefined')} before, {new.get(steps[0], 'undefined')} now"
        yield f"{metric} differs at {len(steps)} of {len(old | new)} steps, first at step {steps[0]}: {first}"
