"""shallowexp-runs lists sweeps and deletes one; shallowexp-ui serves MLflow's pages and ends with its command."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from base64 import b64decode
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen
from zlib import decompress

import pytest

import shallowexp
from shallowexp import provenance
from shallowexp.report import browsing
from shallowexp.sweeps import view
from shallowexp.tracking import sweeps
from shallowexp.tracking.parents import _started
from shallowexp.tracking.store import Store
from tests.commands import PATIENCE, command, process, start

SMALL = ("train.steps=5", "log.points=2", "hidden_size=2")


@pytest.fixture
def twice(workplace):
    """A sweep, and one that reuses a run of it."""
    for seeds in ("1,2", "1,3"):
        assert command("shallowexp", "-m", f"seed={seeds}", *SMALL, cwd=workplace).returncode == 0
    return workplace


def seeds(folder) -> list[str]:
    store = Store.open(f"sqlite:///{folder}/mlflow.db")
    runs = store.client.search_runs(["1"], "tags.`shallowexp.fingerprint` LIKE '%'")
    return sorted(run.data.params["seed"] for run in runs)


def test_sweeps_are_listed_and_one_is_deleted_with_its_own_runs_and_artifacts(twice):
    listed = command("shallowexp-runs", cwd=twice)
    assert listed.returncode == 0, listed.stderr
    newest, oldest = [line.split("│")[1].strip() for line in listed.stdout.splitlines() if " 2 " in line]
    assert "(1 reused)" in listed.stdout and "seed=1,3" in listed.stdout.replace("\n", "")

    refused = command("shallowexp-runs", "delete", newest, cwd=twice)  # nobody answers the question
    assert refused.returncode == 1 and "nothing was deleted" in refused.stderr
    assert seeds(twice) == ["1", "2", "3"]

    folders = {path.parent for path in twice.glob("mlruns/*/*/artifacts")}
    done = command("shallowexp-runs", "delete", newest, "--yes", cwd=twice)
    assert done.returncode == 0 and "also of" not in done.stdout, done.stderr
    assert seeds(twice) == ["1", "2"]  # seed 1 is the other sweep's
    gone = folders - {path.parent for path in twice.glob("mlruns/*/*/artifacts")}
    assert any(path.name.startswith(newest) for path in gone) and not any(p.name.startswith(oldest) for p in gone)
    again = command("shallowexp", "-m", "seed=1,3", *SMALL, cwd=twice)
    assert "1 already there, 1 trained" in again.stdout


def test_a_sweep_from_python_is_listed_with_its_file_and_what_it_sweeps(workplace):
    (workplace / "mine.py").write_text(
        "import shallowexp\n"
        "swept = {'init.scale': [0.1, 1], 'seed': (n for n in range(12))}\n"
        f"shallowexp.sweep([swept, {{'activation': 'relu'}}], *{SMALL})\n"
    )
    done = process("python", "mine.py", cwd=workplace)
    assert done.returncode == 0, done.stderr
    told = "mine.py: init.scale=0.1,1 seed=0,1,2,…,11 | activation=relu train.steps=5 log.points=2 hidden_size=2"
    (sweep,) = sweeps.sweeps(Store.open())
    assert sweep.command == told and told in sweep.tags["mlflow.note.content"]
    listed = command("shallowexp-runs", cwd=workplace).stdout
    folded = "".join(line.split("│")[-2] for line in listed.splitlines() if line.startswith("│"))
    assert folded.replace(" ", "") == told.replace(" ", "") and "│ 25 " in listed


@pytest.mark.parametrize(
    ("argv", "notebook", "name"),
    [
        (["/home/me/mine.py"], "/home/me/old.ipynb", "mine.py"),
        (["-c"], None, "Python"),
        ([""], None, "Python"),
        (["/lib/ipykernel_launcher.py", "-f", "kernel.json"], "/home/me/lesson.ipynb", "lesson.ipynb"),
        (["/lib/ipykernel_launcher.py", "-f", "kernel.json"], None, "notebook"),
    ],
)
def test_what_calls_is_a_script_a_notebook_or_python(monkeypatch, argv, notebook, name):
    monkeypatch.setattr("sys.argv", argv)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if notebook:
        monkeypatch.setenv("JPY_SESSION_NAME", notebook)
    assert provenance.program() == name


def test_a_sweep_that_lost_a_reused_run_with_another_shows_those_that_are_left(twice):
    newest, oldest = sweeps.sweeps(Store.open())
    deleted = command("shallowexp-runs", "delete", oldest.name, "--yes", cwd=twice)
    assert (
        deleted.returncode == 0
        and f"with 2 runs and their artifacts, some of them also of {newest.name};" in deleted.stdout
    )
    found = shallowexp.runs(sweep=newest.name)
    assert [*found.table["seed"]] == [3] and {*found.histories["seed"]} == {3}
    assert command("shallowexp-report", "--sweep", "latest", cwd=twice).returncode == 0


@pytest.mark.parametrize("name", ["Documents", "00" * 16], ids=["of no run", "of another run"])
def test_only_the_folder_of_a_run_is_deleted(twice, name):
    """Whatever a database, which may be anyone's, says of where artifacts are."""
    newest, _ = sweeps.sweeps(Store.open())
    mine = twice / name / "artifacts" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with closing(sqlite3.connect(twice / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", [str(mine.parent), newest.run_id])
        if name == "Documents":
            for table in ("runs", "tags"):
                database.execute(f"UPDATE {table} SET run_uuid = ? WHERE run_uuid = ?", [name, newest.run_id])
    refused = command("shallowexp-runs", "delete", "latest", "--yes", cwd=twice)
    assert refused.returncode == 1 and f"artifacts are {mine.parent}: nothing was deleted" in refused.stderr
    assert mine.exists() and seeds(twice) == ["1", "2", "3"]


def test_a_running_sweep_is_deleted_only_where_it_was_left_behind(twice):
    store = Store.open()
    sweep, oldest = sweeps.sweeps(store)
    store.client.update_run(sweep.run_id, status="RUNNING")
    me = {"pid": os.getpid(), "process_start": _started(os.getpid())}
    for owner, words in (
        (me, "End it first.\n"),
        ({"host": "elsewhere"}, "on elsewhere. End it first.\nIf that process is gone"),
    ):
        for name, value in owner.items():
            store.client.set_tag(sweep.run_id, f"shallowexp.{name}", value)
        refused = command("shallowexp-runs", "delete", sweep.name, "--yes", cwd=twice)
        assert refused.returncode == 1 and f"is running: process {os.getpid()}" in refused.stderr
        assert words in refused.stderr
        assert seeds(twice) == ["1", "2", "3"]
    for name in ("host", "pid", "process_start"):  # as the other's, whose process has ended
        store.client.set_tag(sweep.run_id, f"shallowexp.{name}", oldest.tags[f"shallowexp.{name}"])
    orphan = Path(sweep.artifact_uri).parents[1] / f"{sweep.run_id[:16]}{'0' * 16}" / "artifacts"
    orphan.mkdir(parents=True)
    assert command("shallowexp-runs", "delete", sweep.name, "--yes", cwd=twice).returncode == 0
    assert seeds(twice) == ["1", "2"] and not orphan.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["delete", "nothing", "--yes"], "there is no sweep 'nothing'"),
        (["delete", "shallowexp", "--yes"], "is an experiment"),
        (["delete"], "required: name"),
        (["remove"], "invalid choice"),
    ],
)
def test_what_cannot_be_deleted_is_named(twice, arguments, words):
    refused = command("shallowexp-runs", *arguments, cwd=twice)
    assert refused.returncode != 0 and words in refused.stderr and "Traceback" not in refused.stderr
    assert seeds(twice) == ["1", "2", "3"]


def test_a_store_without_sweeps_says_so(workplace):
    assert "no sweeps in sqlite" in command("shallowexp-runs", cwd=workplace).stdout
    refused = command("shallowexp-report", "--sweep", "latest", cwd=workplace).stderr
    assert "newest first: none: launch one with shallowexp -m" in refused and "did you mean" not in refused
    shutil.rmtree(workplace / "mlruns", ignore_errors=True)
    (workplace / "mlflow.db").unlink()
    assert "There is no MLflow store" in command("shallowexp-runs", cwd=workplace).stderr


def shown(store, sweep) -> tuple[str, str]:
    """Name and filter of the saved view at a sweep's address."""
    key = re.search(r"viewStateShareKey=([^&]+)&", browsing.address(store, sweep))[1]
    packed = json.loads(store.client.get_experiment(sweep.experiment_id).tags[f"mlflow.sharedViewState.{key}"])
    return packed["name"], json.loads(decompress(b64decode(packed["state"].removeprefix("deflate;"))))["searchFilter"]


def test_a_sweep_has_a_view_of_exactly_its_runs_which_goes_with_it(twice):
    assert command("shallowexp", "-m", "activation=relu,sigmoid", "seed=1", *SMALL, cwd=twice).returncode == 0
    store = Store.open()
    for sweep in sweeps.sweeps(store):
        name, where = shown(store, sweep)
        found = {run.info.run_id for run in store.client.search_runs(["1"], where)}
        assert name == f"{sweep.name}: cells" and found == {*sweeps.run_ids(store, sweep).values()} and len(found) == 2
    assert command("shallowexp-runs", "delete", sweep.name, "--yes", cwd=twice).returncode == 0
    assert len([key for key in store.client.get_experiment("1").tags if "sharedViewState" in key]) == 3


def test_a_sweep_without_runs_to_show_leads_to_those_of_its_experiment(twice, capsys, monkeypatch):
    store = Store.open()
    sweep, oldest = sweeps.sweeps(store)
    for other in (sweeps.find(store, "shallowexp"), replace(sweep, status="RUNNING")):
        assert shown(store, other) == ("shallowexp: cells", "params.activation LIKE '%'")
    Path(sweep.artifact_uri, "runs.csv").unlink()
    assert shown(store, sweep)[0] == "shallowexp: cells"
    assert "all runs of the experiment are shown: " in capsys.readouterr().out
    monkeypatch.setattr(view, "saved_views", lambda: False)
    assert f"searchFilter=tags.sweep%20LIKE%20%27%25{oldest.name}%25%27&" in browsing.address(store, oldest)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_server_is_of_this_machine_alone_and_ends_with_its_command(twice, end):
    for name in ("mlflow", "uvicorn"):
        (twice / f"{name}.py").write_text("open('ran', 'w')")
    with start("shallowexp-ui", "--no-browser", cwd=twice, stdout=subprocess.PIPE) as ui:
        address = ui.stdout.readline().strip()
        try:
            url, _, page = address.partition("/#/")
            assert url.startswith("http://127.0.0.1:") and "workflowType=machine_learning" in page
            assert urlopen(f"{url}/health", timeout=PATIENCE).read() == b"OK"
        finally:
            os.kill(ui.pid, end)
        assert ui.wait(PATIENCE) == 0
    assert not (twice / "ran").exists()  # what lies in the folder stands for nothing of the server's
    with pytest.raises(OSError, match="refused"):
        urlopen(url, timeout=PATIENCE)


def test_a_port_that_is_taken_is_one_message(twice):
    with start("shallowexp-ui", "--no-browser", cwd=twice, stdout=subprocess.PIPE) as ui:
        try:
            port = ui.stdout.readline().split("/")[2].split(":")[1]
            refused = command("shallowexp-ui", "--no-browser", "--port", port, cwd=twice)
        finally:
            ui.terminate()
    assert refused.returncode == 1
    assert f"--port {port}: Address already in use" in refused.stderr and "Traceback" not in refused.stderr
