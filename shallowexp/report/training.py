"""What the report lacks, launched as `shallowexp -m +experiment=<name>` would."""

from shallowexp.report.plans import Plan
from shallowexp.report.reading import Tracked
from shallowexp.report.terminal import say
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store


def train(plan: Plan, there: Tracked, store: Store) -> tuple[Tracked, list[tuple[str, str]]]:
    """What is there now, and the name and the error of each run that failed.

    Raises Interrupted and TrackingError.
    """
    tracker = ExperimentTracker.open(plan.claim.name, store)
    if plan.fingerprints <= there.runs.keys() and not tracker.left_open(plan.fingerprints):
        return there, []
    runs, files = plan.sweep()
    missing = [run for run in runs if run.fingerprint not in there.runs]
    say(f"{plan.claim.name}: {len(missing)} of {len(runs)} runs to train", "bold")
    summary = tracker.sweep(runs, missing, artifacts=files)
    finished = {fingerprint: result.run_id for fingerprint, result in (summary.results or {}).items()}
    return Tracked(tracker.experiment_id, {**there.runs, **finished}), list(summary.failures.values())
