"""The fields that a store holds: each is one run, whose arrays and picture are artifacts; tiles while it is trained."""

import re
from typing import cast

from shallowexp.errors import TrackingError
from shallowexp.tracking.client import search
from shallowexp.tracking.errors import explained
from shallowexp.tracking.parents import DIGEST, Sweep
from shallowexp.tracking.places import FIELD
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import SHOWN, TrackedSweep, sweeps_and_fields

ARRAYS, PICTURE, TILES = "field.npz", "field.png", "tiles"  # artifacts


def finished(store: Store, experiment_id: str, digest: str) -> str | None:
    """The run id of the newest FINISHED field, or sweep, with this digest."""
    return _newest(store, experiment_id, f"attributes.status = 'FINISHED' AND tags.`{DIGEST}` = '{digest}'")


def begun(store: Store, experiment_id: str, digest: str) -> Sweep | None:
    """What is there of a field with this digest that is not FINISHED."""
    run_id = _newest(store, experiment_id, f"attributes.status != 'FINISHED' AND tags.`{DIGEST}` = '{digest}'")
    return store.sweep(run_id) if run_id else None


def _newest(store: Store, experiment_id: str, condition: str) -> str | None:
    with explained(store.uri):
        found = next(search(store.client, experiment_id, condition), None)
        return cast(str, found.info.run_id) if found else None


def find(store: Store, reference: str) -> TrackedSweep:
    """The `latest` field that is FINISHED, or the one whose run id begins so.

    Raises TrackingError where there is none, naming those that are there.
    """
    there = [field for field in sweeps_and_fields(store) if FIELD in field.tags and field.status == "FINISHED"]
    matching = [field for field in there if re.match("[0-9a-f]{4}", reference) and field.run_id.startswith(reference)]
    found = there[:1] if reference == "latest" else matching
    if len(found) == 1:
        return found[0]
    lines = [f"\n  {field.name} ({field.tags[FIELD]}, {field.started:%Y-%m-%d %H:%M} UTC)" for field in there[:SHOWN]]
    listed = "".join(lines) or " none: train one with shallowexp +field=trainability"
    raise TrackingError(f"there is no field {reference!r} in {store.uri}; fields there, newest first:{listed}")
