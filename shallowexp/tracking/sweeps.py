"""The sweeps that a store holds, and the runs of any of them: by id, by experiment, or the latest."""

import io
import re
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from shallowexp.analysis import LOSS, Runs, direction
from shallowexp.errors import TrackingError, nearest
from shallowexp.tracking.artifacts import delete_artifacts, read_artifact
from shallowexp.tracking.client import search
from shallowexp.tracking.errors import explained
from shallowexp.tracking.parents import DIGEST, Sweep, require_ended
from shallowexp.tracking.places import FIELD
from shallowexp.tracking.records import FINGERPRINT, PARENT
from shallowexp.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

OBJECTIVE = "shallowexp.objective"  # a tag of a sweep: the metric by which its runs are ranked
TABLE = "runs.csv"  # among a closed sweep's artifacts
COUNTED, PIXELS = "shallowexp.runs", "shallowexp.pixels"  # tags of a sweep and of a field that were closed
VIEW = "mlflow.sharedViewState."  # with a key: an experiment's tag, a view that MLflow shows
SHORT = 8  # letters of a run id that tell sweeps apart
SHOWN = 10  # sweeps that a message names


@dataclass(frozen=True)
class TrackedSweep:
    """A sweep as it stands in MLflow; without a run id, all finished runs of an experiment."""

    run_id: str
    experiment: str
    experiment_id: str
    status: str
    started: datetime
    artifact_uri: str
    tags: dict[str, str]

    @property
    def name(self) -> str:
        return self.run_id[:SHORT] or self.experiment

    @property
    def command(self) -> str:
        return self.tags.get("shallowexp.command", "")

    @property
    def objective(self) -> str:
        return self.tags.get(OBJECTIVE, LOSS)

    @property
    def kind(self) -> str:
        return "field" if FIELD in self.tags else "sweep"

    @property
    def size(self) -> str:
        """How many networks it has, once it was closed."""
        tag, networks = (PIXELS, "pixels") if self.kind == "field" else (COUNTED, "runs")
        return f"{self.tags.get(tag, '?')} {networks}"

    def __str__(self) -> str:
        return f"{self.name} ({self.experiment}, {self.size}, {self.started:%Y-%m-%d %H:%M} UTC)"


def sweeps(store: Store) -> list[TrackedSweep]:
    """Every sweep of every experiment, newest first."""
    return [sweep for sweep in sweeps_and_fields(store) if FIELD not in sweep.tags]


def sweeps_and_fields(store: Store) -> list[TrackedSweep]:
    """Every run that is made of networks, newest first."""
    with explained(store.uri):
        found = [
            TrackedSweep(
                run.info.run_id,
                experiment.name,
                experiment.experiment_id,
                run.info.status,
                datetime.fromtimestamp(run.info.start_time / 1000, UTC),
                run.info.artifact_uri,
                run.data.tags,
            )
            for experiment in store.client.search_experiments()
            for run in search(store.client, experiment.experiment_id, f"tags.`{DIGEST}` LIKE '%'")
        ]
    return sorted(found, key=lambda sweep: sweep.started, reverse=True)


def find(store: Store, reference: str, fields: bool = False) -> TrackedSweep:
    """The `latest` sweep, or field, the one whose run id begins so, or all runs of the experiment of this name.

    Raises TrackingError where there is none, naming those that are there.
    """
    there = sweeps_and_fields(store) if fields else sweeps(store)
    if reference == "latest" and there:
        return there[0]
    if experiment_id := store.find(reference):
        return TrackedSweep("", reference, experiment_id, "", datetime.now(UTC), "", {})
    matching = [sweep for sweep in there if re.match("[0-9a-f]{4}", reference) and sweep.run_id.startswith(reference)]
    if len(matching) == 1:
        return matching[0]
    names = [
        *["latest"][: len(there)],
        *dict.fromkeys(sweep.experiment for sweep in there),
        *(sweep.name for sweep in there),
    ]
    listed = "".join(f"\n  {sweep}" for sweep in there[:SHOWN]) or " none: launch one with shallowexp -m"
    raise TrackingError(
        f"there is no sweep {reference!r}{nearest(reference, names)} in {store.uri}; sweeps there, newest first:{listed}"
    )


def run_ids(store: Store, sweep: TrackedSweep) -> dict[str, str]:
    """Fingerprint -> run id of its finished runs, those that it found and reused included."""
    if not sweep.run_id:
        return store.finished(sweep.experiment_id)
    found: dict[str, str] = {}
    with explained(store.uri):
        if COUNTED in sweep.tags:
            there = _table(store, sweep).dropna(subset="run_id")
            found |= dict(zip(there["fingerprint"], there["run_id"], strict=True))
        if sweep.status != "FINISHED":
            finished = [run for run in children(store, sweep) if run.info.status == "FINISHED"]
            found |= {run.data.tags[FINGERPRINT]: run.info.run_id for run in finished}
    return found


def gather(store: Store, sweep: TrackedSweep) -> list[dict[str, str]]:
    """The params of each of its finished runs, in its order; MLflow's tag `sweep` then names it in all of them."""
    return store.gather(sweep.experiment_id, [*run_ids(store, sweep).values()], sweep.name)


def _table(store: Store, sweep: TrackedSweep) -> pd.DataFrame:
    """What a sweep that was closed, at least once, keeps of its runs."""
    return pd.read_csv(io.BytesIO(read_artifact(sweep.artifact_uri, store.uri, TABLE)), dtype={"run_id": str})


def best(store: Store, sweep: TrackedSweep) -> float | None:
    """The best last value of its objective in a finished run; None where there is none, or the sweep's table is gone."""
    try:
        table = _table(store, sweep) if COUNTED in sweep.tags else pd.DataFrame()
    except TrackingError:
        return None
    if sweep.objective not in table:
        return None
    values = table.loc[table["outcome"] == "finished", sweep.objective].dropna()
    return float(values.min() if direction(sweep.objective) == 1 else values.max()) if len(values) else None


def children(store: Store, sweep: TrackedSweep | Sweep) -> list["Run"]:
    """The runs that it trained, in any status, newest first."""
    with explained(store.uri):
        return list(search(store.client, sweep.experiment_id, f"tags.`{PARENT}` = '{sweep.run_id}'"))


def ended_children(store: Store, sweep: TrackedSweep) -> list["Run"]:
    """The runs that it trained. Raises TrackingError where a process may still be at it."""
    with explained(store.uri):
        require_ended(store.client, sweep.run_id)
    return children(store, sweep)


def sharing(store: Store, sweep: TrackedSweep) -> list[TrackedSweep]:
    """The sweeps that reuse runs of this one."""
    own, found = {run.info.run_id for run in children(store, sweep)}, []
    for other in sweeps(store):
        if other.experiment_id == sweep.experiment_id and other.run_id != sweep.run_id:
            with suppress(TrackingError):  # its table is gone
                found += [other] if own & {*run_ids(store, other).values()} else []
    return found


def delete(store: Store, sweep: TrackedSweep) -> None:
    """Delete the sweep's own runs, then the sweep, each with its artifacts; the database keeps their rows, marked.

    Raises TrackingError where a process may be at it, and for artifacts that are in no run's folder.
    """
    runs = ended_children(store, sweep)
    places = {run.info.run_id: run.info.artifact_uri for run in runs} | {sweep.run_id: sweep.artifact_uri}
    for run_id, artifact_uri in places.items():
        if not artifact_uri.endswith(f"/{run_id}/artifacts") or not re.fullmatch("[0-9a-f]{32}", run_id):
            raise TrackingError(f"run {run_id} says that its artifacts are {artifact_uri}: nothing was deleted")
    with explained(store.uri):
        experiment = store.client.get_experiment(sweep.experiment_id)
        if VIEW + sweep.name in experiment.tags:
            store.client.delete_experiment_tag(sweep.experiment_id, VIEW + sweep.name)
        store.sweep(sweep.run_id).backend.remove_orphans(experiment, {sweep.run_id})
        for run_id, artifact_uri in places.items():
            store.client.delete_run(run_id)
            delete_artifacts(artifact_uri, store.uri)


def read(store: Store, found: Sequence[TrackedSweep], metrics: Collection[str] | None = None) -> Runs:
    """The finished runs of these sweeps, those of each under its name in the column `sweep`; `metrics` as in `Store.runs`."""
    ids = [[*run_ids(store, sweep).values()] for sweep in found]
    read = [store.runs(sweep.experiment_id, its, metrics) for sweep, its in zip(found, ids, strict=True)]
    parts = [_named(runs, sweep.name) for runs, sweep in zip(read, found, strict=True)]
    tables, histories = pd.concat([part.table for part in parts]), pd.concat([part.histories for part in parts])
    weights = ChainMap(
        *(cast("dict[str, Mapping[str, np.ndarray]]", part.weights) for part in parts)
    )  # reads as it is asked
    return Runs(tables, histories.reset_index(drop=True), weights)


def _named(runs: Runs, name: str) -> Runs:
    """Of runs with the same params the newest: an experiment may hold them as trained by another version."""
    table = runs.table.sort_values("start_time", kind="stable").drop_duplicates(runs.params, keep="last").sort_index()
    histories = runs.histories[runs.histories["fingerprint"].isin(table.index)]
    return runs._replace(table=table, histories=histories).label(sweep=lambda _: name)
