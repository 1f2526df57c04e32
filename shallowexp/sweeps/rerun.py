"""A tracked run trained again: does every metric come out the same, to the bit?"""

import re
from collections.abc import Iterator
from dataclasses import replace

from shallowexp import provenance
from shallowexp.config.composition import compose_run
from shallowexp.config.fingerprint import beneath
from shallowexp.config.runs import Run, to_run
from shallowexp.errors import RunsFailed, UserError, shown
from shallowexp.sweeps.batches import train_batch
from shallowexp.tracking.store import Store, Stored
from shallowexp.training.job import Failure

PARAM = re.compile(r"(?!hydra)(?!.*_target_)\w+(\.\w+)*")
Points = dict[str, list[tuple[int, float]]]
History = dict[str, dict[int, float]]  # metric -> step -> value


def rerun(run_id: str) -> int:
    """0 if every metric is the same at every step, else 1. Writes nothing to the store."""
    stored = Store.open(create=False).run(run_id)
    _check(run_id, stored)
    planned = to_run(*compose_run(stored.params))
    for line in _warnings(planned, stored.tags):
        print(shown(line))
    before, after = ({m: dict(p) for m, p in points.items()} for points in (stored.points, train(planned)))
    changes = [line for metric in sorted(before | after) for line in _changes(metric, before, after)]
    print(f"{planned.name}: {len(before)} metrics, {sum(map(len, before.values()))} values")
    print("\n".join(changes) or "the same, to the bit")
    return 1 if changes else 0


def _check(run_id: str, stored: Stored) -> None:
    if "shallowexp.digest" in stored.tags:
        raise UserError(f"Run {run_id} is a sweep: give the id of one of its runs.")
    if "shallowexp.fingerprint" not in stored.tags:
        raise UserError(f"Run {run_id} was not made by shallowexp.")
    if stored.status != "FINISHED":
        raise UserError(f"Run {run_id} is {stored.status}: only a FINISHED run can be compared.")
    for key, value in stored.params.items():
        if not PARAM.fullmatch(key) or "${" in value:  # a database may be anyone's
            raise UserError(f"Run {run_id} has the param {key}={value}, which shallowexp never writes.")


def train(run: Run) -> Points:
    (record,), (result,) = train_batch([run])
    if isinstance(result, Failure):
        raise RunsFailed([(run.name, result.error)])
    return record.points()


def _warnings(run: Run, tags: dict[str, str]) -> Iterator[str]:
    """What is no longer as it was: the configuration or the code by the fingerprint, the machine and what lies beneath."""
    kept = [replace(run, job=replace(run.job, weights=weights)).fingerprint for weights in (False, True)]
    now = {"shallowexp.machine": provenance.machine()} | beneath(run.job)
    changed = {tag: value for tag, value in now.items() if tags.get(tag) != value}
    if tags["shallowexp.fingerprint"] not in kept and "shallowexp.blas" not in changed:
        made, this = (
            f"commit {commit or 'unknown'}" for commit in (tags.get("mlflow.source.git.commit"), provenance.commit())
        )
        yield f"The code or the configuration has changed since: the fingerprint differs (trained by {made}; this is {this})."
    yield from (f"Trained on {tags.get(tag)}; this is {value}." for tag, value in changed.items())


def _changes(metric: str, before: History, after: History) -> Iterator[str]:
    """One line if the metric differs, with the first step where it does."""
    old, new = before.get(metric, {}), after.get(metric, {})
    steps = [step for step in sorted(old | new) if old.get(step) != new.get(step)]
    if steps:
        first = f"{old.get(steps[0], 'undefined')} before, {new.get(steps[0], 'undefined')} now"
        yield f"{metric} differs at {len(steps)} of {len(old | new)} steps, first at step {steps[0]}: {first}"
