"""Sweeps as parent runs: taken up again after death, left alone in life, one at a time."""

import os
import shlex
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from shallowexp.errors import TrackingError
from shallowexp.tracking import parents, places, sql
from shallowexp.tracking.store import Store
from tests.commands import process
from tests.tracking.stores import record, sweep_of

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")


def claim_for(store: Store, run_id: str, pid: int, start: str, host: str | None = None) -> None:
    """Make the run another process's."""
    owner = {"pid": pid, "process_start": start, "host": host or socket.gethostname()}
    for key, value in owner.items():
        store.client.set_tag(run_id, f"shallowexp.{key}", str(value))


@pytest.fixture
def dead() -> tuple[int, str]:
    """Pid and start of a process that has ended."""
    process = subprocess.Popen(["sleep", "60"])
    start = parents._started(process.pid)
    process.kill()
    process.wait()
    return process.pid, start


@pytest.fixture
def living() -> Iterator[tuple[int, str]]:
    """Pid and start of another process of this host."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid, parents._started(process.pid)
        process.kill()


@pytest.fixture
def zombie() -> Iterator[tuple[int, str]]:
    """Those of a process that has ended, of which its parent does not know yet."""
    with subprocess.Popen(["sleep", "600"]) as process:
        start = parents._started(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid, start


def test_a_sweep_is_a_parent_run(any_store):
    experiment, sweep = sweep_of(any_store, "parent")
    run = any_store.client.get_run(sweep.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.tags["shallowexp.pid"] == str(os.getpid())
    assert run.data.tags["mlflow.note.content"] == "What it is"
    any_store.write(experiment, [record(0)], sweep.run_id)
    sweep.log_artifacts({"list.csv": b"1,2"})
    sweep.close("FINISHED", {"shallowexp.failed": "0"})
    run = any_store.client.get_run(sweep.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time
    assert run.data.tags["shallowexp.failed"] == "0"
    assert [file.path for file in any_store.client.list_artifacts(sweep.run_id)] == ["list.csv", "planned.txt"]
    children = any_store.client.search_runs([experiment], f"tags.mlflow.parentRunId = '{sweep.run_id}'")
    assert [child.info.run_name for child in children] == ["tanh h=0"]
    assert sweep_of(any_store, "parent")[1].run_id != sweep.run_id  # a finished sweep is not opened again


def test_a_dead_sweep_is_taken_up_again(any_store, dead):
    for state, owner in (("killed -9", dead), ("pid reused", (os.getpid(), dead[1]))):
        _, sweep = sweep_of(any_store, f"dead {state}")
        claim_for(any_store, sweep.run_id, *owner)
        _, again = sweep_of(any_store, f"dead {state}")
        assert again.run_id == sweep.run_id
        run = any_store.client.get_run(sweep.run_id)
        assert (run.info.status, run.data.tags["shallowexp.pid"]) == ("RUNNING", str(os.getpid()))


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_an_interrupted_sweep_is_taken_up_again(store, status):
    _, sweep = sweep_of(store, "interrupted")
    sweep.close(status)
    assert sweep_of(store, "interrupted")[1].run_id == sweep.run_id
    assert store.client.get_run(sweep.run_id).info.status == "RUNNING"


def test_a_sweep_of_another_host_is_refused_until_the_user_says_that_it_is_gone(store, dead, tmp_path):
    _, sweep = sweep_of(store, "elsewhere")
    claim_for(store, sweep.run_id, *dead, host="restarted-container")
    with pytest.raises(TrackingError, match="on restarted-container") as refused:
        sweep_of(store, "elsewhere")
    advice = shlex.split(str(refused.value).partition("start again: ")[2])
    done = process(*advice, cwd=tmp_path, MLFLOW_TRACKING_URI=store.uri)
    assert done.returncode == 0, done.stderr
    assert sweep_of(store, "elsewhere")[1].run_id == sweep.run_id


def test_a_sweep_that_goes_on_is_left_alone(any_store, dead):
    _, sweep = sweep_of(any_store, "going on")
    with pytest.raises(TrackingError, match=f"already running: process {os.getpid()}"):
        sweep_of(any_store, "going on")
    claim_for(any_store, sweep.run_id, *dead, host="elsewhere")
    with pytest.raises(TrackingError, match="on elsewhere"):
        sweep_of(any_store, "going on")
    assert sweep_of(any_store, "going on", "d2")[1].run_id != sweep.run_id  # another sweep may run beside it
    assert any_store.client.get_run(sweep.run_id).info.status == "RUNNING"


def refusal(function, *arguments) -> Exception | None:
    try:
        function(*arguments)
    except (parents.Busy, TrackingError) as refused:
        return refused
    return None


@pytest.mark.parametrize("status", ["RUNNING", "KILLED", "FINISHED"])
# "!" and "~" sort before and after the name of this host
@pytest.mark.parametrize("owner", ["this", "living", "parent", "dead", "zombie", "reused", "!elsewhere", "~elsewhere"])
def test_who_is_at_a_sweep(store, request, owner, status):
    """And what that means: others wait for it, take it up, leave it alone, or may delete it."""
    experiment, sweep = sweep_of(store, "whose", "d1")
    pid, elsewhere = os.getpid(), owner.endswith("elsewhere")
    if owner == "parent":  # with a smaller pid than ours
        pid = os.getppid()
        claim_for(store, sweep.run_id, pid, parents._started(pid))
    elif owner != "this":
        pid, start = request.getfixturevalue("dead" if elsewhere else "living" if owner == "reused" else owner)
        claim_for(store, sweep.run_id, pid, "1.00" if owner == "reused" else start, owner if elsewhere else None)
    if status != "RUNNING":
        sweep.close(status)
    goes_on = status == "RUNNING" and (elsewhere or owner in ("this", "living", "parent"))
    beside = status == "RUNNING" and owner in ("living", "parent")
    assert sweep.lives() == beside
    assert store.left_open(experiment, "d1") == (not goes_on and status != "FINISHED")
    assert not store.left_open(experiment, "d2")
    assert [older.run_id for older in sweep_of(store, "whose", "d2")[1].older] == [sweep.run_id] * beside
    running = refusal(parents.require_ended, store.client, sweep.run_id)
    refused = refusal(sweep_of, store, "whose", "d1")
    assert (type(running), type(refused)) == (
        (TrackingError, parents.Busy if beside else TrackingError) if goes_on else (type(None), type(None))
    )
    if not goes_on:
        assert (store.client.get_run(sweep.run_id).info.status == "RUNNING") == (status != "FINISHED")  # taken up
        return
    by = f"process {pid} on {owner if elsewhere else socket.gethostname()}"
    assert f"sweep {sweep.run_id} is running: {by}. End it first." in str(running)
    assert f"{by}, run {sweep.run_id} in {store.uri}" in str(refused)
    assert [("declare it ended" in str(e)) for e in (running, refused)] == [elsewhere] * 2
    if beside:
        assert (refused.sweep.run_id, refused.sweep.lives()) == (sweep.run_id, True)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("lives", ()), ("planned", ()), ("log_artifacts", ({},)), ("paths", ("tiles",)), ("arrays", ("x.npz",)),
     ("delete", ("tiles",)), ("tags", ()), ("set_tags", ({"a": "b"},)), ("close", ())],
)  # fmt: skip
def test_whatever_is_asked_of_a_sweep_that_is_gone_is_refused_in_our_words(store, method, arguments):
    gone = replace(sweep_of(store, "gone")[1], run_id="0" * 32)
    with pytest.raises(TrackingError, match="0" * 32):
        getattr(gone, method)(*arguments)


def test_an_older_sweep_says_what_it_plans_and_whether_this_opening_of_it_goes_on(store, living):
    experiment = store.experiment("older")
    first = store.open_sweep(experiment, "d1", "a sweep", {}, planned=["f1", "f2"])
    claim_for(store, first.run_id, *living)
    (older,) = store.open_sweep(experiment, "d2", "a sweep", {}).older
    assert (older.run_id, older.planned(), older.lives()) == (first.run_id, {"f1", "f2"}, True)
    os.remove(Path(store.client.get_run(first.run_id).info.artifact_uri, parents.PLANNED))
    assert older.planned() == set()
    first.close("KILLED")
    assert not older.lives()
    again = store.open_sweep(experiment, "d1", "a sweep", {})
    claim_for(store, again.run_id, *living)
    assert again.run_id == first.run_id
    assert again.lives() and not older.lives()
    for opening in ("0", "z"):  # one whose name sorts before, and after
        store.client.set_tag(first.run_id, parents.OPENED, opening)
        assert not again.lives()


def test_a_sweep_that_cannot_say_what_it_plans_is_failed(store):
    experiment = store.experiment("no folder")
    folder = Path(store.client.get_experiment(experiment).artifact_location)
    folder.parent.mkdir(exist_ok=True)
    folder.touch()
    with pytest.raises(TrackingError, match=str(folder)):
        store.open_sweep(experiment, "d1", "a sweep", {})
    (run,) = store.client.search_runs([experiment])
    assert run.info.status == "FAILED"


def test_a_living_sweep_lives_on_when_the_clock_is_set(store, tmp_path, monkeypatch):
    """Linux then moves the time when it began, in /proc/stat, and leaves those of the processes, which count from there."""
    began = psutil.boot_time()
    _, sweep = sweep_of(store, "clock")
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    for hour in (3600, -3600):
        (tmp_path / "stat").write_text(f"btime {int(began) + hour}\n")
        with pytest.raises(TrackingError, match=f"already running: process {os.getpid()}"):
            sweep_of(store, "clock")
    assert store.client.get_run(sweep.run_id).info.status == "RUNNING"


@pytest.mark.parametrize("before", ["none", "one that was stopped"])
def test_of_equal_sweeps_in_the_same_instant_one_goes_on(any_store, before):
    experiment = any_store.experiment(f"race after {before}")
    if before != "none":
        any_store.open_sweep(experiment, "d1", "a sweep", {}).close("KILLED")
    together = threading.Barrier(4)

    def start(_) -> str:
        together.wait()
        try:
            return any_store.open_sweep(experiment, "d1", "a sweep", {}).run_id
        except TrackingError as refused:
            return str(refused).partition(":")[0]

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(start, range(4)))
    (parent,) = any_store.client.search_runs([experiment])
    assert sorted(ended) == sorted([parent.info.run_id, *["This sweep is already running"] * 3])


def test_hosts_that_share_postgresql_open_their_sweeps_one_after_the_other(postgres, tmp_path, monkeypatch):
    """Each thread is a host: it has a name and a folder for locks of its own."""
    store, searched = Store.open(postgres), parents.search
    experiment = store.experiment("hosts")

    def folder() -> str:
        place = tmp_path / threading.current_thread().name
        place.mkdir(exist_ok=True)
        return str(place)

    def slowly(*asked) -> list:
        found = list(searched(*asked))
        time.sleep(0.3)
        return found

    monkeypatch.setattr(places, "gettempdir", folder)
    monkeypatch.setattr(parents.socket, "gethostname", lambda: threading.current_thread().name)
    monkeypatch.setattr(parents, "search", slowly)

    def start(_) -> str:
        try:
            sweep = store.open_sweep(experiment, "d1", "a sweep", {})
            return sweep.client.get_run(sweep.run_id).data.tags["shallowexp.host"]
        except TrackingError as refused:
            return str(refused).partition(":")[0]

    with ThreadPoolExecutor(3, "host") as pool:
        ended = sorted(pool.map(start, range(3)))
    (parent,) = store.client.search_runs([experiment])
    assert ended == ["This sweep is already running"] * 2 + [parent.data.tags["shallowexp.host"]]


def test_what_the_dead_left_running_is_killed_and_nothing_else(any_store, dead):
    client = any_store.client
    experiment, mine = sweep_of(any_store, "graves", "d0")
    _, theirs = sweep_of(any_store, "graves", "d1")
    _, elsewhere = sweep_of(any_store, "graves", "d2")
    _, closed = sweep_of(any_store, "graves", "d3")
    closed.close("FAILED")
    child = {
        parent.run_id: client.create_run(experiment, tags=record(0).complete(parent.run_id).tags).info.run_id
        for parent in (mine, theirs, elsewhere, closed)
    }
    strangers = [client.create_run(experiment, tags=tags).info.run_id for tags in ({}, record(1).complete(None).tags)]
    claim_for(any_store, theirs.run_id, *dead)
    claim_for(any_store, elsewhere.run_id, *dead, host="elsewhere")
    sweep_of(any_store, "graves", "d4")
    assert client.get_run(closed.run_id).info.status == "FAILED"
    for run_id in (theirs.run_id, child[theirs.run_id], child[closed.run_id]):
        assert client.get_run(run_id).info.status == "KILLED"
        assert client.get_run(run_id).info.end_time
    for run_id in (mine.run_id, child[mine.run_id], elsewhere.run_id, child[elsewhere.run_id], *strangers):
        assert client.get_run(run_id).info.status == "RUNNING"
    mine.close("KILLED")
    assert client.get_run(child[mine.run_id]).info.status == "KILLED"


def test_what_a_killed_run_alone_left_is_tidied_by_the_same_run(any_store):
    client, experiment = any_store.client, any_store.experiment("alone")
    left, stranger = (client.create_run(experiment, tags=record(i).complete(None).tags).info.run_id for i in (0, 1))
    any_store.write(experiment, [record(0)])
    assert client.get_run(left).info.status == "KILLED"
    assert client.get_run(stranger).info.status == "RUNNING"


def test_files_that_a_killed_run_alone_left_are_removed_by_the_same_run(store, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    experiment, same = store.experiment("alone"), record(0, fingerprint="f" * 32)
    folder = Path(store.client.get_experiment(experiment).artifact_location)
    with monkeypatch.context() as patch:
        patch.setattr(sql.SqlBackend, "_insert", killed)
        with pytest.raises(KeyboardInterrupt):
            store.write(experiment, [same])
    (left,) = folder.iterdir()
    store.write(experiment, [record(2), same])
    assert {path.name for path in folder.iterdir()} == {*store.finished(experiment).values()}
    assert not left.exists()


def test_a_closed_sweep_leaves_statistics_for_the_charts(store, database):
    experiment, sweep = sweep_of(store, "statistics")
    store.write(experiment, [record(0)], sweep.run_id)
    sweep.close()
    with sqlite3.connect(database) as connection:
        analysed = connection.execute("SELECT DISTINCT tbl FROM sqlite_stat1").fetchall()
    connection.close()
    assert ("metrics",) in analysed
