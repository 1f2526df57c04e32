"""What MLflow's pages show besides the numbers: descriptions, colours and tags.

All of it is tags, made here from runs and claims; none of it enters a fingerprint.
"""

import csv
import io
import re
from collections.abc import Container, Mapping, Sequence
from html import escape
from textwrap import indent

from shallowexp.analysis import LOSS
from shallowexp.claims.claim import Claim, find
from shallowexp.claims.palette import color
from shallowexp.config.runs import Run
from shallowexp.sweeps import view
from shallowexp.sweeps.cells import varied
from shallowexp.tracking.store import RunResult

NOTE, RUN_COLOR = "mlflow.note.content", "mlflow.runColor"
LISTED = 12  # values of a parameter in a description
SWEPT = "### What was swept\n\n"
KIND = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": LOSS,
    "mlflow.experiment.primaryMetric.greaterIsBetter": "false",
}


def experiment_tags(name: str) -> dict[str, str]:
    claim = find().get(name)
    note = _claim_note(claim) if claim else "Runs and sweeps that belong to no claim of the chapter."
    return KIND | {NOTE: note}


def _claim_note(claim: Claim) -> str:
    own = claim.docstring.replace(claim.docstring.split("\n\n")[0], f"**{claim.sentence}**", 1)
    own = escape(own, quote=False)  # MLflow's pages drop what looks like a tag, words and all
    return f"""{own}

**How to read it.** A run is one network; runs that differ only in their seed form a cell. The saved view *{view.title(claim.name)}*
groups the runs into cells and draws each cell's mean over seeds, with a band from the lowest to the highest. A sweep's
own page says what was swept and, after `shallowexp-report`, shows the figure and what the runs say of the chapter's statements.

**In the report:** section *{claim.name}* of `report/index.html`, made by `shallowexp-report {claim.name}`. To run the sweep again:
`shallowexp -m +experiment={claim.name}`."""


def run_tags(run: Run) -> dict[str, str]:
    """Tags to filter by and the activation's colour."""
    tags = {name: run.params[name] for name in ("activation", "init", "data")}
    return tags | {RUN_COLOR: color(tags["activation"])}


def diverged(run: Run, step: int) -> str:
    """The description of a run that diverged."""
    return f"""**Diverged at step {step} of {run.job.steps}.** From then on the parameters or the loss were not finite (learning rate
{run.job.learning_rate:g}, {run.job.dtype}). This is a result, not a failure: the history ends with the last finite values,
the tag `outcome` is `diverged`, and the metric `diverged/step` is {step}."""


def sweep_note(runs: Sequence[Run], counts: Mapping[str, int], experiment_id: str, command: str) -> str:
    """What was swept, how the runs ended, where to see them, and the command."""
    rows = [f"| `{name}` | {_listed(values)} |" for name, values in varied(runs).items() if len(values) > 1]
    table = "\n".join(["| swept | values |", "| --- | --- |", *rows]) if rows else "One configuration."
    outcome = " · ".join(f"{name} {n}" for name, n in counts.items() if n)
    place = f"#/experiments/{experiment_id}/runs?viewStateShareKey={view.OVERVIEW}&compareRunsMode=CHART&workflowType=machine_learning"
    link = f"[Charts of the experiment]({place}) · " if view.saved_views() else ""
    return f"{SWEPT}{link}{outcome}\n\n{table}\n\nCommand:\n\n{indent(command, '    ')}"


def table(runs: Sequence[Run], results: Mapping[str, RunResult], failures: Container[str]) -> str:
    """CSV of a sweep's runs, `failures` by fingerprint: id and outcome, then what varies, then the last value of each metric."""
    names = list(varied(runs))
    metrics = sorted({name for ended in results.values() for name in ended.metrics})
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["run_id", "name", "outcome", "fingerprint", *names, *metrics])
    for run in runs:
        ended = results.get(run.fingerprint, RunResult("", {}))
        outcome = ended.outcome if ended.run_id else "failed" if run.fingerprint in failures else "missing"
        values = [run.params.get(name, "") for name in names] + [ended.metrics.get(name, "") for name in metrics]
        rows.writerow([ended.run_id, run.name, outcome, run.fingerprint, *values])
    return file.getvalue()


def plain(text: str) -> str:
    """Words that MLflow's pages show as they are: neither Markdown nor HTML, nor the border of a table's cell."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escape(text, quote=False))


def _listed(values: Sequence[str]) -> str:
    values = [*map(plain, values)]
    if len(values) <= LISTED:
        return ", ".join(values)
    return f"{', '.join(values[: LISTED - 2])}, … {values[-1]} ({len(values)} values)"


def with_figure(note: str, path: str, run_id: str, findings: str) -> str:
    """A sweep's description under what was found and the figure among its artifacts, in place of earlier ones.

    MLflow shows a long description's first lines only, so these come first; it cannot scale an image.
    """
    image = f"![{path}](get-artifact?path={path}&run_uuid={run_id})"
    return f"{findings}\n\n{image}\n\n{SWEPT}{note.split(SWEPT)[-1]}"
