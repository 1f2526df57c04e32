"""What `shallowexp +field=...` does: fields, their zooms, and the pictures that show them together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from shallowexp import provenance
from shallowexp.claims.figures import save_animation
from shallowexp.config.composition import Workers
from shallowexp.fields import edge, figure
from shallowexp.fields.field import Field
from shallowexp.fields.plan import Plan
from shallowexp.fields.training import finished
from shallowexp.sweeps.sweep import ExperimentTracker

THERE = " · already there (fresh=true trains it again)"


def launch(
    plans: Sequence[Plan],
    files: Sequence[Mapping[str, bytes]],
    tracker: ExperimentTracker,
    directory: Path,
    fresh: bool,
    workers: Workers,
) -> None:
    """Train what is missing, one field after the other; say how each ended, and draw field.png of all in `directory`.

    Raises as `training.finished` does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    firsts, runs = [], []
    for number, (plan, kept) in enumerate(zip(plans, files, strict=True)):
        windows: list[Field] = []
        for step in range(plan.zoom + 1):
            if step > 1 and not edge.border(windows[-1]).any():
                print(f"no edge in window {step}, which is not zoomed into: with more pixels there may be one")
                break
            plan = edge.zoomed(plan, windows[-1]) if step else plan
            run_id, field, there = finished(plan, tracker, kept, fresh, workers)
            print(f"{field}{THERE if there else ''} · run {run_id} · {tracker}", flush=True)
            windows.append(field)
            runs.append(run_id)
        if len(windows) > 1:
            path = directory / f"zoom{number or ''}.gif"
            save_animation([figure.draw([field]) for field in windows], path, _metadata(runs[-len(windows) :]))
            print(f"{edge.dimensions(windows)} · {path}")
        firsts.append(windows[0])
    print(f"picture: {figure.save(firsts, directory / 'field', _metadata(runs))}")


def _metadata(runs: Sequence[str]) -> dict[str, str]:
    return {"Fields": ", ".join(runs), "Commit": provenance.commit() or "", "Command": provenance.command()}
