"""Sweeps beside each other: what one is about to train another waits for, and trains only what is missing then."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from shallowexp.config.composition import Workers, compose_run
from shallowexp.config.runs import to_run
from shallowexp.sweeps import sweep as sweeping
from shallowexp.sweeps.batches import train_batch
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store
from tests import held
from tests.commands import FOLDER, PATIENCE, command, process, start, until
from tests.tracking.test_lost_stores import finished, runs, sweeps

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")
UNSHARE = ("/usr/bin/unshare", "--uts", "--map-root-user")
MORE = 2  # runs that only the wider sweep has
KEEP = "log.weights=none"  # which runs keep their weights would depend on the sweep
SEEDS = f"seed=range({held.FIRST - held.CORES - MORE},{held.FIRST + held.CORES})"
WIDER = [SEEDS if word.startswith("seed") else word for word in held.SWEEP]


@contextmanager
def begun(words: Sequence[str], place: Path, **more: str) -> Iterator[subprocess.Popen]:
    with start(*words, KEEP, cwd=place, stdout=subprocess.PIPE, **more) as sweep:
        try:
            yield sweep
        finally:
            sweep.kill()  # where the test fails it would wait for ever


@contextmanager
def holding(place: Path) -> Iterator[subprocess.Popen]:
    """The held sweep, when its first batch is being tracked."""
    with begun(held.SWEEP, place) as first:
        for _ in until(first):
            if finished(place):
                break
        yield first


def waiting(sweep: subprocess.Popen) -> str:
    """Its line that says so."""
    timer = Timer(PATIENCE, sweep.kill)
    timer.start()
    line = next((line for line in sweep.stderr if line.startswith("waiting for")), "")
    timer.cancel()
    assert line
    return line


def end(first: subprocess.Popen, second: subprocess.Popen, place: Path, kill: bool) -> str:
    """Let the first one go on, or kill it; what the second then prints."""
    if kill:
        first.kill()
    (place / "go").touch()
    first.communicate(timeout=PATIENCE)
    out, err = second.communicate(timeout=PATIENCE)
    assert (first.returncode, second.returncode) == (-signal.SIGKILL if kill else 0, 0), err
    return out


def assert_each_once(place: Path, n: int, experiment: str = "shallowexp") -> None:
    found = finished(place, experiment)
    assert len({run.data.tags["shallowexp.fingerprint"] for run in found}) == len(found) == n
    assert not runs(place, "attributes.status = 'RUNNING'", experiment)


@pytest.mark.parametrize("kill", [False, True], ids=["ends", "is killed"])
def test_an_equal_sweep_waits_and_trains_what_the_first_leaves(workplace, kill):
    with holding(workplace) as first, begun(held.SWEEP, workplace) as second:
        assert f"process {first.pid} on" in waiting(second)
        out = end(first, second, workplace, kill)
    trained = held.RUNS - held.CORES if kill else 0
    assert f"{held.RUNS} runs: {held.RUNS - trained} already there, {trained} trained" in out
    assert_each_once(workplace, held.RUNS)
    (sweep,) = sweeps(workplace)
    assert sweep.info.status == "FINISHED"
    assert f"shallowexp-report --sweep {sweep.info.run_id[:8]}" in out


def on_host(name: str, *words: str) -> tuple[str, ...]:
    """A command in a namespace of its own for the host's name."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("unshare --uts is not allowed here")
    return (*UNSHARE, "sh", "-c", f'hostname {name} && exec "$@"', "sh", str(FOLDER / words[0]), *words[1:])


def test_of_two_hosts_with_one_postgresql_the_second_is_refused_and_each_run_trained_once(workplace, postgres):
    store = {"MLFLOW_TRACKING_URI": postgres}
    with begun(on_host("one", *held.SWEEP), workplace, **store) as first:
        for _ in until(first):
            if (workplace / f"begun-{held.FIRST}").exists():
                break
        second = process(*on_host("two", *held.SWEEP), KEEP, cwd=workplace, **store)
        (workplace / "go").touch()
        _, err = first.communicate(timeout=PATIENCE)
    assert (first.returncode, second.returncode) == (0, 1), err
    assert "This sweep is already running: process" in second.stderr and " on one, run" in second.stderr
    assert second.stderr.count("\n") == 2  # it says how to declare it ended
    again = process(*on_host("two", *held.SWEEP), KEEP, cwd=workplace, **store)
    assert f"{held.RUNS} runs: {held.RUNS} already there, 0 trained" in again.stdout, again.stderr
    tracked = Store.open(postgres)
    found = tracked.client.search_runs([tracked.find("shallowexp")], "tags.`shallowexp.fingerprint` LIKE '%'")
    assert sorted(int(run.data.params["seed"]) for run in found) == [
        *range(held.FIRST - held.CORES, held.FIRST + held.CORES)
    ]


@pytest.mark.parametrize("kill", [False, True], ids=["ends", "is killed"])
def test_an_overlapping_sweep_trains_its_own_first_then_what_the_other_leaves(workplace, kill):
    with holding(workplace) as first, begun(WIDER, workplace) as second:
        assert f"waiting for {held.RUNS - held.CORES} runs" in waiting(second)
        for _ in until(second):
            if len(finished(workplace)) == held.CORES + MORE:
                break
        out = end(first, second, workplace, kill)
    trained = MORE + (held.RUNS - held.CORES if kill else 0)
    n = held.RUNS + MORE
    assert f"{n} runs: {n - trained} already there, {trained} trained" in out
    if kill:
        assert command(*held.SWEEP, KEEP, cwd=workplace).returncode == 0  # closes the first
    assert_each_once(workplace, n)
    assert [sweep.info.status for sweep in sweeps(workplace)] == ["FINISHED", "FINISHED"]


def test_fresh_runs_wait_for_nobody(workplace):
    few = f"seed=range({held.FIRST - 1},{held.FIRST})"
    with holding(workplace) as first:
        words = [few if word.startswith("seed") else word for word in held.SWEEP]
        with begun([*words, "fresh=true"], workplace) as second:
            out, err = second.communicate(timeout=PATIENCE)
        assert (first.poll(), second.returncode) == (None, 0), err
        assert "1 runs: 0 already there, 1 trained" in out


def test_what_is_there_is_not_waited_for_though_the_other_sweep_goes_on(workplace, monkeypatch, capsys):
    tracked = ExperimentTracker.open("shared")
    asked = [to_run(*compose_run({"train.steps": "20", "train.engine": "numpy", "seed": str(n)})) for n in range(3)]
    mine, theirs = asked[:1], asked[1:]
    looks = 0

    class Other:
        """Writes one of its two runs between two looks at it."""

        run_id = "other"
        planned = staticmethod(lambda: {run.fingerprint for run in theirs})

        @staticmethod
        def lives() -> bool:
            nonlocal looks
            tracked.store.write(tracked.experiment_id, train_batch([theirs[looks]])[0])
            looks += 1
            return True

    opening = Store.open_sweep
    monkeypatch.setattr(Store, "open_sweep", lambda *given: replace(opening(*given), older=(Other,)))
    monkeypatch.setattr(sweeping, "POLL", 0.0)
    summary = tracked.sweep(asked, asked, Workers(1))
    assert (summary.reused, summary.finished, looks) == (2, len(mine), 2)
    assert "waiting for 2 runs" in capsys.readouterr().err
    assert_each_once(workplace, 3, "shared")


def test_what_another_sweep_has_trained_since_one_looked_makes_no_sweep_without_runs(workplace):
    tracked = ExperimentTracker.open("shared")
    asked = [to_run(*compose_run({"train.steps": "20", "train.engine": "numpy", "seed": str(n)})) for n in range(2)]
    first, second = (tracked.sweep(asked, asked, Workers(1)) for _ in range(2))  # both have looked before
    assert (first.finished, second.finished, second.reused, second.parent) == (2, 0, 2, "")
    assert len(sweeps(workplace, "shared")) == 1
    assert_each_once(workplace, 2, "shared")
