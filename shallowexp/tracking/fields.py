"""The fields that a store holds: each is one run, whose arrays and picture are artifacts; tiles while it is trained."""

import re

from shallowexp.errors import TrackingError
from shallowexp.tracking.places import FIELD
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import SHOWN, TrackedSweep, sweeps_and_fields

ARRAYS, PICTURE, TILES = "field.npz", "field.png", "tiles"  # artifacts


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
