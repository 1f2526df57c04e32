"""A folder may have any name: database, artifacts and report land in it, and nowhere else."""

import fcntl
import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import pytest

from shallowexp.errors import TrackingError
from shallowexp.tracking import places
from tests.brand_new import add_experiment
from tests.commands import command
from tests.tracking.stores import record


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


def test_a_lock_keeps_others_out_until_it_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "gettempdir", lambda: str(tmp_path))
    with places.locked("-x"):
        (path,) = tmp_path.iterdir()
        with open(path) as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with places.locked("-y"):
            assert len([*tmp_path.iterdir()]) == 2
    with open(path) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_default_store_is_named_by_its_path_where_that_needs_no_quoting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places.default_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    assert places.artifact_location() is None
    for name, quoted in (("my project", False), ("Größe", False), ("100%20", True), ("100%41", True)):
        here = tmp_path / name
        here.mkdir()
        monkeypatch.chdir(here)
        assert places.default_uri() == "sqlite:///mlflow.db"
        first, second = places.artifact_location(), places.artifact_location()
        assert (first is not None) == (first != second) == quoted
        assert not quoted or Path(unquote(urlsplit(first).path)).parent == here / "mlruns"


@pytest.mark.parametrize(
    "uri", ["sqlite:///a.db", "sqlite:////b/a.db", None, "http://h", "sqlite:///a%20b", "sqlite:///a?x=1"]
)
def test_which_store_is_plainly_a_sqlite_file(tmp_path, monkeypatch, uri):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    plainly = uri in (None, "sqlite:///a.db", "sqlite:////b/a.db")
    assert places.sqlite_store() == ((uri or places.default_uri()) if plainly else None)
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()  # MLflow's older default, which then is its default still
    assert places.sqlite_store() == (uri if uri and plainly else None)


def test_which_experiments_have_finished_runs(store, database):
    uri, client = f"sqlite:///{database}", store.client
    assert places.finished_experiments(uri) == []
    for name in ("z", "a", "deleted", "without its run"):
        store.write(store.experiment(name), [record(0), record(1)])
    client.delete_experiment(store.experiment("deleted"))
    for run in client.search_runs([store.experiment("without its run")]):
        client.delete_run(run.info.run_id)
    client.create_run(store.experiment("running"), tags=record(2).complete(None).tags)
    client.set_terminated(client.create_run(store.experiment("another program's")).info.run_id)
    assert places.finished_experiments(uri) == ["a", "z"]
    (database.parent / "text.db").write_text("no database, but a text that is long enough\n" * 100)
    assert places.finished_experiments(f"sqlite:///{database.parent}/text.db") is None
    with pytest.raises(TrackingError, match="nowhere.db"):
        places.finished_experiments(f"sqlite:///{database.parent}/nowhere.db")
    assert not (database.parent / "nowhere.db").exists()


def test_a_lock_is_nobody_elses(tmp_path, monkeypatch):
    """Who can open its file may hold it for ever; a link there would lead to a file that matters."""
    monkeypatch.setattr(places, "gettempdir", lambda: str(tmp_path))
    me = os.getuid()
    with places.locked():
        (lock,) = tmp_path.iterdir()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    for other in (me - 1, me + 1):
        lock = lock.rename(tmp_path / f"shallowexp-{other}.lock")
        monkeypatch.setattr(os, "getuid", lambda other=other: other)
        with pytest.raises(TrackingError, match="is another user's"), places.locked():
            pass
    (tmp_path / f"shallowexp-{me + 1}-x.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(TrackingError, match="cannot be opened"), places.locked("-x"):
        pass
    assert not (tmp_path / "mine").exists()
