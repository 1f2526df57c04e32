"""The fields that a store holds, as the report shows them: pictures whose pixels can be pointed at, and what they say over seeds."""

import io
import json
import shlex
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from shallowexp.claims.claim import FIELDS, Claim, find
from shallowexp.claims.statement import Atom
from shallowexp.config.composition import overrides_of
from shallowexp.errors import RunDamaged, TrackingError
from shallowexp.fields.field import PLACE, Axis, Field
from shallowexp.fields.statements import findings
from shallowexp.report.picture import SCREEN, Picture, picture
from shallowexp.report.terminal import say
from shallowexp.tracking.artifacts import load_arrays, read_artifact
from shallowexp.tracking.fields import ARRAYS, PICTURE
from shallowexp.tracking.places import FIELD
from shallowexp.tracking.store import Store
from shallowexp.tracking.sweeps import TrackedSweep, sweeps_and_fields

MOST = 8  # pictures of a choice, the newest
SIDE = 256  # pixels of a side whose numbers are in the page, at the most


class Shown(NamedTuple):
    name: str
    run_id: str
    said: str  # what is in it, in words
    picture: Picture
    data: dict[str, Any]  # for field.js


class Group(NamedTuple):
    """The fields of one choice of conf/field, or of none."""

    choice: str
    claim: Claim | None  # the file that says what follows from them
    command: str  # of the newest
    shown: list[Shown]
    atoms: list[Atom]
    lacks: str  # why there are no atoms, or not all; else empty


def groups(store: Store, mistakes: Callable[[Claim], AbstractContextManager[None]]) -> list[Group]:
    """Those that a store holds, the newest first. `mistakes` says and keeps what a claim's own file does wrong."""
    found: dict[str, list[tuple[TrackedSweep, Field]]] = {}
    for tracked in sweeps_and_fields(store):
        if FIELD in tracked.tags and tracked.status == "FINISHED" and (field := _read(tracked, store)):
            found.setdefault(field.choice, []).append((tracked, field))
    known = find(FIELDS) if found else {}
    made = []
    for choice, fields in found.items():
        claim, atoms, lacks = known.get(choice), list[Atom](), ""
        if claim:
            with mistakes(claim):
                atoms, lacks = findings(claim, [field for _, field in fields])
        made.append(Group(choice, claim, fields[0][0].command, _shown(fields, store), atoms, lacks))
    return made


def _shown(fields: Iterable[tuple[TrackedSweep, Field]], store: Store) -> list[Shown]:
    """The newest of each name, of a field and its zooms the whole one."""
    newest: dict[str, tuple[TrackedSweep, Field]] = {}
    for tracked, field in fields:
        if not field.window:
            newest.setdefault(tracked.tags[FIELD], (tracked, field))
    shown = (_show(tracked, field, store) for tracked, field in [*newest.values()][:MOST])
    return [one for one in shown if one]


def _read(tracked: TrackedSweep, store: Store) -> Field | None:
    try:
        return Field.from_npz(load_arrays(tracked.artifact_uri, store.uri, ARRAYS))
    except (RunDamaged, TrackingError, OSError, KeyError, ValueError) as error:  # the last three of damaged files
        say(f"{tracked.tags[FIELD]}: {error}", "yellow")
        return None


def _show(tracked: TrackedSweep, field: Field, store: Store) -> Shown | None:
    try:
        content = io.BytesIO(read_artifact(tracked.artifact_uri, store.uri, PICTURE))
        with Image.open(content) as file:
            panel = json.loads(file.info.get(PLACE, "[0, 0, 0, 0]"))  # of an older picture: nowhere
        image = picture(content, SCREEN)
    except (TrackingError, OSError, ValueError) as error:  # the last two of damaged files
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
