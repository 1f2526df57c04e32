"""Fields as commands: one tracked run each, which goes on after `kill -9` and Ctrl-C, and is trained once."""

import signal
import subprocess

import mlflow
import numpy as np
import pytest

import shallowexp
from shallowexp.errors import RunDamaged, TrackingError
from tests.commands import command, forked, start, until
from tests.fields.test_fields import planned, with_pixels

FIELD = ("+field=trainability", "field.width=16", "field.height=16")
SMALL = (*FIELD, "train.steps=50")
LONG = ("+field=trainability", "field.width=12", "field.height=12", "train.steps=8000")  # four tiles


def runs(place):
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    found = client.get_experiment_by_name("fields")
    return client.search_runs([found.experiment_id]) if found else []


def tiles(place):
    return sorted(place.glob("mlruns/*/*/artifacts/tiles/*.npz"))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_field_that_was_stopped_goes_on_where_it_was(workplace, end):
    with start("shallowexp", *LONG, cwd=workplace, stdout=subprocess.PIPE) as first:
        for _ in until(first):
            if len(tiles(workplace)) >= 2:
                break
        first.send_signal(end)
        _, err = first.communicate()
    assert first.returncode == (-9 if end == signal.SIGKILL else 130), err
    assert end == signal.SIGKILL or "pixels trained. The same command resumes it" in err
    (before,) = runs(workplace)
    assert before.info.status == ("RUNNING" if end == signal.SIGKILL else "KILLED")
    saved = tiles(workplace)
    assert saved[0].parents[1].joinpath("field.png").exists()  # to be looked at meanwhile
    saved[0].write_bytes(saved[0].read_bytes()[:-200])
    with pytest.raises(TrackingError, match="no field 'latest'.*none"):
        shallowexp.field()
    again = command("shallowexp", *LONG, cwd=workplace)
    assert again.returncode == 0, again.stderr
    assert f"{saved[0].name} cannot be read" in again.stderr and "pixels are trained again" in again.stderr
    (after,) = runs(workplace)
    assert after.info.run_id == before.info.run_id and after.info.status == "FINISHED"
    assert not tiles(workplace)
    made = planned(*LONG)
    left = made.size - sum(map(len, made.tiles[1 : len(saved)]))
    assert f"{left}/{left} pixels trained" in again.stderr
    pixels = np.arange(0, made.size, 8)
    expected, field = with_pixels(made, pixels).arrays, shallowexp.field(after.info.run_id[:8])
    for name, array in field.arrays.items():
        np.testing.assert_array_equal(array.flat[pixels], expected[name].flat[pixels])


def test_a_field_is_one_run_which_is_read_as_arrays_and_as_a_frame(workplace):
    done = command("shallowexp", *SMALL, cwd=workplace)
    assert done.returncode == 0 and "256 pixels" in done.stdout, done.stderr
    (run,) = runs(workplace)
    assert run.info.run_id in done.stdout and run.data.tags["shallowexp.trained"] == "256"
    picture = workplace / done.stdout.split("picture: ")[1].strip()
    assert picture.read_bytes().startswith(b"\x89PNG")
    client = mlflow.MlflowClient(f"sqlite:///{workplace / 'mlflow.db'}")
    assert {"config.yaml", "field.npz", "field.png"} <= {found.path for found in client.list_artifacts(run.info.run_id)}
    field = shallowexp.field("latest")
    frame = field.frame
    assert field.x.key == "init.scale" and field.units["train/accuracy"].startswith("fraction")
    assert len(frame) == 256 and frame.attrs["units"] == field.units
    shown = field._repr_html_()
    assert "init.scale from 0.001 to 100 (log, 16), train.learning_rate" in shown and str(field) in shown
    assert f"<td>{frame['train/loss'].median():.4g}</td>" in shown and field.units["reached/step"] in shown
    row = frame.query("column == 3 and row == 5").iloc[0]
    assert row["init.scale"] == field.x.values[3] and row["train.learning_rate"] == field.y.values[5]
    assert row["train/loss"] == field.arrays["train/loss"][5, 3]
    pixel = command(*field.command(3, 5).split(), cwd=workplace)
    assert pixel.returncode == 0, pixel.stderr
    assert shallowexp.runs().table["train/loss"].tolist() == [row["train/loss"]]
    with pytest.raises(TrackingError, match=r"there is no field 'abcd'.*\n.*tanh · 16 × 16 pixels"):
        shallowexp.field("abcd")

    assert "256/256 pixels trained" in done.stderr
    client.set_terminated(run.info.run_id, "KILLED")  # as where it is stopped once its tiles are put together
    ended = command("shallowexp", *SMALL, cwd=workplace)
    assert ended.returncode == 0 and "pixels trained" not in ended.stderr
    assert [found.info.status for found in runs(workplace)] == ["FINISHED"]
    again = command("shallowexp", *SMALL, cwd=workplace)
    assert "already there" in again.stdout and len(runs(workplace)) == 1
    assert "256 already there, about 0 s" in command("shallowexp", *SMALL, "dry_run=true", cwd=workplace).stdout
    next(workplace.glob("mlruns/*/*/artifacts/field.npz")).write_bytes(b"no")
    with pytest.raises(RunDamaged, match=r"field.npz cannot be read.*\n.*fresh=true"):
        shallowexp.field()
    assert command("shallowexp", *SMALL, cwd=workplace).returncode == 1
    assert command("shallowexp", *SMALL, "fresh=true", cwd=workplace).returncode == 0
    assert shallowexp.field().arrays["train/loss"].shape == (16, 16)


def test_a_field_is_listed_and_deleted(workplace):
    assert command("shallowexp", *SMALL, cwd=workplace).returncode == 0
    (run,) = runs(workplace)
    assert "256 pixels" in command("shallowexp-runs", cwd=workplace).stdout
    deleted = command("shallowexp-runs", "delete", run.info.run_id[:8], "--yes", cwd=workplace)
    assert deleted.stdout.startswith(f"deleted: field {run.info.run_id[:8]} with its artifacts"), deleted.stderr
    assert runs(workplace) == [] and not [*workplace.rglob("field.npz")]


def test_a_sweep_of_fields_is_a_run_each_and_one_picture(workplace):
    done = command("shallowexp", "-m", *SMALL, "activation=tanh,relu", "field.zoom=0", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert {run.data.tags["activation"] for run in runs(workplace)} == {"tanh", "relu"}
    assert len(list(workplace.glob("multirun/*/*/field.png"))) == 1


def test_a_zoom_is_more_fields_and_a_film(workplace):
    small = ("field.width=32", "field.height=32", "field.zoom=1")
    done = command("shallowexp", "+field=edge", *small, cwd=workplace)
    assert done.returncode == 0 and "box-counting dimension" in done.stdout, done.stderr
    assert len(runs(workplace)) == 2 and len(list(workplace.glob("outputs/*/*/zoom.gif"))) == 1


def test_a_window_without_an_edge_ends_the_zooms_and_not_the_command(workplace):
    words = ("field.width=16", "field.height=16", "field.zoom=4", "train.steps=100", "seed=0,1")
    done = command("shallowexp", "-m", "+field=edge", *words, cwd=workplace)
    assert done.returncode == 0 and "no edge in window" in done.stdout and "picture: " in done.stdout, done.stderr
    assert "zoom.gif" in done.stdout and "zoom1.gif" in done.stdout  # of both seeds


def test_a_dry_run_says_time_memory_and_bytes_and_leaves_nothing(workplace):
    done = command("shallowexp", *LONG, "dry_run=true", cwd=workplace)
    assert done.returncode == 0, done.stderr
    for words in ("12 x 12 = 144 pixels: 0 already there", " s on ", "MB of memory", "MB on disk"):
        assert words in done.stdout
    assert not runs(workplace)


def test_two_commands_at_once_train_it_once(workplace):
    with forked("shallowexp", *LONG, cwd=workplace) as first:
        for _ in until(first):
            if tiles(workplace):
                break
        second = command("shallowexp", *LONG, cwd=workplace)
        assert first.communicate() and first.returncode == 0
    assert second.returncode == 0 and "it is at this very field" in second.stderr, second.stderr
    assert len(runs(workplace)) == 1


def test_what_is_wrong_ends_in_one_message_and_writes_nothing(workplace):
    refused = command("shallowexp", *SMALL, "field.x.key=data", cwd=workplace)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("shallowexp: field.x.key=data is no numeric key here")
    assert not runs(workplace)


OWN = """
from dataclasses import dataclass
import numpy as np
from shallowexp.network.activations import Activation

@dataclass(frozen=True)
class Sine(Activation):
    frequency: float = 1.0

    def __call__(self, Z):
        return np.sin(self.frequency * Z)

    def derivative(self, Z):
        return self.frequency * np.cos(self.frequency * Z)
"""


def test_an_own_activation_is_trained_through_numpy_and_the_dry_run_says_how_long(workplace):
    (workplace / "sine.py").write_text(OWN)
    (workplace / "conf" / "activation").mkdir(parents=True)
    (workplace / "conf" / "activation" / "sine.yaml").write_text("_target_: sine.Sine\nfrequency: 1.0\n")
    own = (*SMALL, "activation=sine", "field.x.key=activation.frequency", "train.learning_rate=1")
    dry = command("shallowexp", *own, "field.width=2000", "field.height=2000", "dry_run=true", cwd=workplace)
    assert dry.returncode == 0 and "slower NumPy engine" in dry.stderr + dry.stdout, dry.stderr
    seconds = float(dry.stdout.split("about ")[1].split(" s")[0].replace(",", ""))
    assert seconds > 4e6 * 4 * 400 * 50 * 10e-9
    done = command("shallowexp", *own, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert np.ptp(shallowexp.field().arrays["train/loss"]) > 0.01
