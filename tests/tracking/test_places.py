"""A folder may have any name: database, artifacts and report land in it, and nowhere else."""

import os
import stat

import mlflow
import pytest

from shallowexp.errors import TrackingError
from shallowexp.tracking import places
from tests.brand_new import add_experiment
from tests.commands import command


def test_a_folder_of_any_name(tmp_path, monkeypatch):
    here = tmp_path / "my project? #1 100%20%"
    here.mkdir()
    add_experiment(here)
    done = command("shallowexp-report", "--train", "brand_new", cwd=here)
    assert done.returncode == 0, done.stdout + done.stderr
    again = command("shallowexp", "-m", "+experiment=brand_new", cwd=here)
    assert "6 already there, 0 trained" in again.stdout
    assert list(tmp_path.iterdir()) == [here]
    assert {path.name for path in here.iterdir()} == {
        "conf", "experiments", "mlflow.db", "mlruns", "multirun", "report",
    }  # fmt: skip
    monkeypatch.chdir(here)
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("brand_new").experiment_id
    (sweep,) = client.search_runs([experiment], "tags.`shallowexp.digest` LIKE '%'")
    files = {file.path for file in client.list_artifacts(sweep.info.run_id)}
    assert {"overrides.yaml", "runs.csv", "brand_new.png"} <= files
    child = client.search_runs([experiment], "params.seed = '0'")[0].info.run_id
    with open(client.download_artifacts(child, "weights.npz"), "rb") as weights:
        assert weights.read(2) == b"PK"


def test_a_lock_is_nobody_elses(tmp_path, monkeypatch):
    """Who can open its file may hold it for ever; a link there would lead to a file that matters."""
    monkeypatch.setattr(places, "gettempdir", lambda: str(tmp_path))
    me = os.getuid()
    with places.locked():
        (lock,) = tmp_path.iterdir()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    lock.rename(tmp_path / f"shallowexp-{me + 1}.lock")
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    with pytest.raises(TrackingError, match="is another user's"), places.locked():
        pass
    (tmp_path / f"shallowexp-{me + 1}-x.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(TrackingError, match="cannot be opened"), places.locked("-x"):
        pass
    assert not (tmp_path / "mine").exists()
