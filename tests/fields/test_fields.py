"""Fields: their pixels are the runs of the same configuration to the bit, in tiles from coarse to fine; what cannot be one is refused."""

import shlex
from dataclasses import replace

import numpy as np
import pytest
from hydra.types import RunMode

from shallowexp import CONF
from shallowexp.config.composition import compose, compose_one, config_loader
from shallowexp.config.explain import explain
from shallowexp.config.runs import plan_each
from shallowexp.errors import ConfigError
from shallowexp.fields import figure, plan
from shallowexp.fields.field import Axis
from shallowexp.fields.plan import Plan, to_plan
from shallowexp.fields.training import Canvas, networks, trained
from shallowexp.pool import worker
from shallowexp.training.engines import train

SMALL = ("field.width=20", "field.height=15", "train.steps=60")
FIELDS = {
    "trainability": ("activation=relu",),
    "symmetry": (),
    "regimes": ("activation=leaky_relu", "field.y.high=30"),
    "edge": ("train.dtype=float32", "field.loss=0.3"),
}


def planned(*overrides: str) -> Plan:
    return to_plan(*compose_one(overrides))


def with_pixels(made: Plan, places: np.ndarray) -> Canvas:
    canvas, batch = Canvas(made), networks(made, places)
    canvas.put(*trained(made, batch, worker.trained([pixels.job for pixels in batch])))
    return canvas


@pytest.mark.parametrize("name", FIELDS)
def test_a_pixel_is_the_run_of_its_command_to_the_bit(name):
    made = planned(f"+field={name}", *SMALL, *FIELDS[name])
    pixels = np.random.RandomState(1).choice(made.size, 25, replace=False)
    field = with_pixels(made, pixels).field()
    commands = [shlex.split(field.command(pixel % 20, pixel // 20)) for pixel in pixels]
    with config_loader() as loader:
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)
        composed = compose(loader, master, [overrides for _, *overrides in commands])
    runs = plan_each((job.config, job.choices) for job in composed)
    ended = set()
    for pixel, result in zip(pixels, train([run.job for run in runs]), strict=True):
        found = {measure: array.flat[pixel] for measure, array in field.arrays.items()}
        diverged, accuracy = found.pop("diverged/step"), found.pop("train/r2" if name == "edge" else "train/accuracy")
        np.testing.assert_equal(diverged, np.nan if result.diverged_at is None else result.diverged_at)
        low = [step for step, loss in zip(result.steps, result.history("train/loss"), strict=True) if loss <= made.loss]
        np.testing.assert_equal(found.pop("reached/step"), low[0] if low else np.nan)
        W1 = result.weights.W1.astype(float)
        assert found.pop("change/W1") == pytest.approx(np.sqrt(((W1[-1] - W1[0]) ** 2).sum() / (W1[0] ** 2).sum()))
        assert accuracy == result.history("train/accuracy")[-1]
        assert found == {measure: result.history(measure)[-1] for measure in found} and len(found) == 3
        ended |= {np.isfinite(diverged), bool(low)}
    assert ended == {True, False} or name not in ("trainability", "edge")


def test_whole_numbers_of_a_field_may_be_written_as_floats():
    floats = planned("+field=edge", "field.width=2e1", "field.height=1.5e1", "field.zoom=1.0", "train.steps=6e1")
    assert repr(floats) == repr(planned("+field=edge", *SMALL, "field.zoom=1"))


def test_every_field_that_is_shipped_can_be_trained():
    names = [path.stem for path in (CONF / "field").glob("*.yaml")]
    assert sorted(FIELDS) == sorted(names)


def test_pixels_are_trained_once_each_from_coarse_to_fine():
    made = planned("+field=trainability", "field.width=70", "field.height=50")
    assert sorted(made.order) == [*range(3500)] and np.array_equal(np.concatenate(made.tiles), made.order)
    for stride in (32, 16, 8, 4, 2, 1):
        coarse = [row * 70 + column for row in range(0, 50, stride) for column in range(0, 70, stride)]
        assert sorted(made.order[: len(coarse)]) == coarse


def test_a_pixel_that_is_not_trained_yet_is_shown_as_the_coarser_one_that_is():
    canvas = Canvas(planned("+field=trainability", "field.width=40", "field.height=33"))
    canvas.put(np.array([0, 32, 32 * 40, 4 * 40 + 36]), {name: np.arange(4.0) for name in canvas.arrays})
    shown = canvas.preview().arrays["train/loss"]
    assert shown[0, 0] == shown[31, 31] == 0 and shown[5, 35] == 1 and shown[32, 5] == 2 and shown[7, 39] == 3
    assert np.isfinite(shown[:32]).all() and np.isnan(canvas.field().arrays["train/loss"]).sum() == 40 * 33 - 4


def test_the_values_of_an_axis():
    np.testing.assert_allclose(Axis("k", 0.01, 100, "log", 5).values, [0.01, 0.1, 1, 10, 100])
    np.testing.assert_allclose(Axis("k", 0.01, 100, "log", 3).edges, [0.001, 0.1, 10, 1000])
    np.testing.assert_allclose(Axis("k", -1, 1, "linear", 3).edges, [-1.5, -0.5, 0.5, 1.5])
    whole = Axis("k", 1, 8, "log", 5, integer=True)
    assert whole.values.tolist() == [1, 2, 3, 5, 8] and whole.values.dtype == np.int64
    part = Axis("k", 0, 9, "linear", 10).part(2, 5)
    assert part.values[[0, -1]].tolist() == [2, 4] and part.count == 10


def test_its_fingerprint_is_that_of_its_pixels_and_of_what_is_kept_of_them():
    def of(*overrides: str) -> str:
        return planned("+field=trainability", *overrides).fingerprint

    same = of()
    assert {of("init.scale=5"), of("train.learning_rate=3"), of("field.show=train/accuracy"), of("log.model=none")} == {
        same
    }
    others = ("field.width=255", "field.x.low=0.002", "field.loss=0.4", "seed=1", "train.steps=201", "log.points=8")
    assert len({same, *map(of, others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["field.x.key=activation"], r"field.x.key=activation is no numeric key here.*choices: .*init.scale"),
        (["field.x.key=init.scal"], r"init.scal is no numeric key here \(did you mean init.scale\?\)"),
        (["field.x.key=train.engine"], "is no numeric key"),
        (["field.x.key=init.scale", "init=zero"], "is no numeric key"),
        (["field.x.key=train.steps", "field.x.low=1"], "other keys follow from it"),
        (["field.y.key=seed", "data.seed='1${seed}'", "field.y.scale=linear"], "field.y.key=seed: other keys follow from it"),
        (["field.x.low=200"], r"field.x.low=200.0 is not possible; allowed: a number below field.x.high=100.0"),
        (["field.x.low=100"], "field.x.low=100.0 is not possible"),
        (["field.x.high=1e308"], r"field.x.high=1e\+308 is not possible; .* ends are numbers that can be drawn"),
        (["field.x.low=1e-323", "field.width=2"], "field.x.high=100.0 is not possible; .* that can be drawn"),
        (["field.x.low=0"], "field.x.low=0.0 is not possible; allowed: a number above 0 on a log scale"),
        (["field.x.low=-1"], "a number above 0 on a log scale"),
        (["field.x.high=inf"], "field.x.high=inf is not possible; allowed: a finite number"),
        (["field.x.scale=cubic"], "field.x.scale=cubic is not a choice.*linear, log"),
        (["field.y.key=init.scale"], "field.y.key=init.scale is not possible; allowed: another key"),
        (["field.y.low=-1", "field.y.scale=linear"], "train.learning_rate=-1.0 is not possible"),
        (["field.y.key=init.unique", "init=duplicate", "field.y.low=0.1"], "init.unique=0 is too small"),
        (["field.width=1"], "field.width=1 is not possible; allowed: at least 2 pixels"),
        (["field.width=1000000000", "field.height=1000000000"], "1,000,000,000,000,000,000 pixels need about .* GB of memory"),
        (["field.show=train/los"], r"train/los is not a choice \(did you mean train/loss\?\)"),
        (["field.show=train/accuracy", "data=diabetes"], "field.show=train/accuracy is not a choice"),
        (["field.zoom=-1"], "field.zoom=-1 is not possible"),
        (["objective.seeds=2"], "objective.seeds=2 is not possible; allowed: 1: a field is no search"),
        (["field.width=0.5"], "field.width=0.5: a whole number is needed"),
        (["+field.hight=3"], r"field.hight is not a key.*did you mean height"),
        (["+field.x.lo=3"], r"field.x.lo is not a key.*did you mean low"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_field_is_refused_with_one_message(overrides, message):
    with pytest.raises(ConfigError, match=message):
        planned("+field=trainability", *overrides)


def test_a_grid_beyond_the_disk_is_refused(monkeypatch):
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda _: plan.shutil._ntuple_diskusage(1, 1, 10_000))
    with pytest.raises(ConfigError, match=r"256.*65,536 pixels need about .* GB of disk; 0.0 GB are free here"):
        planned("+field=trainability")


def test_a_field_that_is_not_whole_says_what_is_missing():
    with pytest.raises(ConfigError, match=r"field.y.key is missing"):
        planned("+field.x={key: init.scale, low: 1, high: 2}")
    with pytest.raises(Exception, match="field") as refused:
        planned("field.width=3")
    assert "none was chosen: add +field=" in explain(refused.value)[0]


@pytest.mark.parametrize("diverged", [np.nan, 7.0])
def test_a_picture_of_one_value_can_be_drawn(diverged):
    canvas = Canvas(planned("+field=trainability", "field.width=3", "field.height=2"))
    constant = {name: np.full(6, 1.0) for name in canvas.arrays} | {"diverged/step": np.full(6, diverged)}
    canvas.put(np.arange(6), constant)
    assert figure.png(canvas.field()).startswith(b"\x89PNG")
    assert len(figure.draw([canvas.field()] * 2).axes) == 3


def test_panels_are_in_rows_and_named_by_what_tells_them_apart():
    fields = [
        replace(
            Canvas(planned("+field=trainability", "field.width=3", "field.height=2", *words)).field(),
            show="diverged/step",
        )
        for words in (("seed=1",), ("seed=2",), ("activation=relu",), ("activation=leaky_relu", "train.steps=10"), ())
    ]
    for field in fields:
        field.arrays["diverged/step"][:] = 7.0
    panels = figure.draw(fields).axes[:5]
    titles = [
        "tanh, seed 1, steps 200",
        "tanh, seed 2, steps 200",
        "relu, seed 0, steps 200",
        "leaky_relu, seed 0, steps 10",
    ]
    assert [panel.get_title(loc="left") for panel in panels[:4]] == titles
    tops = [panel.get_position().y1 for panel in panels]
    assert len({round(top, 6) for top in tops[:4]}) == 1 and tops[4] < panels[0].get_position().y0
    assert panels[4].get_ylabel() and not panels[1].get_ylabel()
