"""The fields that a store holds, as the report shows them: pictures whose pixels can be pointed at."""

import io
import json
import shlex
import zlib
from base64 import b64encode
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from shallowexp.config.composition import overrides_of
from shallowexp.errors import RunDamaged, TrackingError
from shallowexp.fields.field import PLACE, Axis, Field
from shallowexp.report.picture import SCREEN, Picture, picture
from shallowexp.report.terminal import say
from shallowexp.tracking.artifacts import load_arrays, read_artifact
from shallowexp.tracking.fields import ARRAYS, PICTURE
from shallowexp.tracking.records import FIELD
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import TrackedSweep, sweeps_and_fields

MOST = 8  # the newest of each name
SIDE = 256  # pixels of a side whose numbers are in the page, at the most


class Shown(NamedTuple):
    name: str
    run_id: str
    said: str  # what is in it, in words
    picture: Picture
    data: dict[str, Any]  # for field.js


def shown(store: Store) -> list[Shown]:
    """The newest of each name; of a field and its zooms the whole one."""
    found: dict[str, TrackedSweep] = {}
    for field in sweeps_and_fields(store):
        if FIELD in field.tags and field.status == "FINISHED":
            newest = found.setdefault(field.tags[FIELD], field)
            if field.tags.get("shallowexp.command") == newest.tags.get("shallowexp.command"):
                found[field.tags[FIELD]] = field
    read = (_read(field, store) for field in [*found.values()][:MOST])
    return [field for field in read if field]


def _read(tracked: TrackedSweep, store: Store) -> Shown | None:
    try:
        field = Field.from_npz(load_arrays(tracked.artifact_uri, store.uri, ARRAYS))
        content = io.BytesIO(read_artifact(tracked.artifact_uri, store.uri, PICTURE))
        with Image.open(content) as file:
            panel = json.loads(file.info.get(PLACE, "[0, 0, 0, 0]"))  # of an older picture: nowhere
        image = picture(content, SCREEN)
    except (RunDamaged, TrackingError, OSError, KeyError, ValueError) as error:  # the last three of damaged files
        say(f"{tracked.tags[FIELD]}: {error}", "yellow")
        return None
    return Shown(tracked.tags[FIELD], tracked.run_id, str(field), image, {"panel": panel, **_pixels(field)})


def _pixels(field: Field) -> dict[str, Any]:
    """The numbers of every pixel, or of every nth of each axis, and what with theirs makes its command."""
    stride = -(-max(field.x.count, field.y.count) // SIDE)
    with np.errstate(over="ignore"):  # the page says so
        thinned = [array[::stride, ::stride].astype("<f4") for array in field.arrays.values()]
    base = {key: value for key, value in field.params.items() if key not in (field.x.key, field.y.key)}
    return {
        "stride": stride,
        "x": _axis(field.x, stride),
        "y": _axis(field.y, stride),
        "measures": [*field.arrays],
        "values": b64encode(zlib.compress(np.stack(thinned).tobytes(), 9)).decode(),
        "command": shlex.join(["shallowexp", *overrides_of(base)]),
    }


def _axis(axis: Axis, stride: int) -> dict[str, Any]:
    words = [str(value.item()) for value in axis.values[::stride]]
    return {"key": axis.key, "count": axis.count, "words": words, "override": overrides_of({axis.key: ""})[0]}
