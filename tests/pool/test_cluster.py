"""The same sweep on real workers behind a real Dask scheduler: the same bits, and nothing lost or doubled whatever dies."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import shallowexp
from shallowexp.analysis import Runs
from shallowexp.config.composition import Workers
from shallowexp.pool.pool import _compare, opened
from shallowexp.tracking.store import Store
from tests.commands import ROOT, Forked, command, forked, until
from tests.fields.test_commands import runs as fields
from tests.pool.cluster import SETTINGS, Cluster, cluster
from tests.servers import free_port
from tests.tracking.test_lost_stores import finished, sweeps

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning:mlflow",
    "ignore:Mismatched versions",  # as one test has them
)
DEADLY = ("init._target_=tests.pool.cluster.Deadly", "train.steps=20", "log.points=3", "train.engine=numpy")


@pytest.fixture(scope="module")
def dask(tmp_path_factory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), free_port()) as running:
        yield running


def sweep(*more: str) -> tuple[str, ...]:
    return ("shallowexp", "-m", "log.model=none", *more)


def at(address: str) -> str:
    return f"hydra.launcher.scheduler={address}"


def stored(uri: str) -> Runs:
    store = Store.open(uri)
    return store.read("shallowexp", store.finished(store.find("shallowexp")))


def seeds(place: Path) -> list[int]:
    """Of the FINISHED runs."""
    return sorted(int(run.data.params["seed"]) for run in finished(place))


def begun(place: Path, process: Forked, n: int) -> set[int]:
    """The processes that have begun to train, once there are n."""
    for _ in until(process):
        if len(found := {int(path.name.split("-")[2]) for path in place.glob("begun-*")}) >= n:
            return found
    raise AssertionError


def test_workers_train_the_same_bits_into_postgresql(workplace, dask, postgres):
    words = sweep("seed=range(150)", "train.engine=numpy,compiled", "train.steps=100", "log.points=5")
    assert command(*words, cwd=workplace).returncode == 0  # first: workers find the kernel compiled
    done = command(*words, at(dask.address), cwd=workplace, MLFLOW_TRACKING_URI=postgres)
    assert "300 runs: 0 already there, 300 trained" in done.stdout, done.stderr
    there, here = stored(postgres), stored(f"sqlite:///{workplace / 'mlflow.db'}")
    assert len(there.table) == 300
    assert there.table["worker"].notna().all()
    pd.testing.assert_frame_equal(there.histories, here.histories, check_exact=True)
    assert there.weights.keys() == here.weights.keys() != set()
    for fingerprint, arrays in there.weights.items():
        assert all(np.array_equal(a, here.weights[fingerprint][name]) for name, a in arrays.items())


def test_a_field_of_workers_has_the_same_bits(workplace, dask):
    words = "shallowexp", "+field=trainability", "field.width=64", "field.height=64", "train.steps=100"
    assert command(*words, cwd=workplace).returncode == 0
    done = command(*words, "fresh=true", at(dask.address), cwd=workplace)
    assert "4,096 pixels" in done.stdout, done.stderr
    there, here = fields(workplace)
    assert "shallowexp.worker" in there.data.tags and "shallowexp.worker" not in here.data.tags
    here, there = (shallowexp.field(run.info.run_id) for run in (here, there))
    for name, array in here.arrays.items():
        np.testing.assert_array_equal(array, there.arrays[name])


def test_a_worker_imports_what_training_needs_and_no_more(dask):
    """Once it has trained: the test before has seen to that."""
    with distributed.Client(dask.address, set_as_default=False) as client:
        for modules in client.run(lambda: [*__import__("sys").modules]).values():
            assert {"shallowexp.training.kernel", "numba"} <= {*modules}
            assert not {"mlflow", "hydra", "omegaconf", "sqlalchemy", "matplotlib", "pandas"} & {*modules}


def test_workers_that_are_killed_cost_nothing(workplace, dask):
    with forked(
        *sweep(*DEADLY, "seed=range(8)", f"+init.folder={workplace}", at(dask.address)), cwd=workplace
    ) as running:
        first = begun(workplace, running, 2)
        os.kill(min(first), signal.SIGKILL)
        second = begun(workplace, running, 3) - first
        os.kill(second.pop(), signal.SIGKILL)
        (workplace / "go").touch()
        _, err = running.communicate()
    assert running.returncode == 0, err
    assert seeds(workplace) == [*range(8)]


def test_a_worker_that_dies_while_it_is_asked_what_it_has_is_no_lost_scheduler(dask):
    with (
        opened(Workers(scheduler=dask.address)) as pool,
        distributed.Client(dask.address, set_as_default=False) as asked,
    ):
        asked.wait_for_workers(2)
        processes = asked.run(os.getpid)
        os.kill(min(processes.values()), signal.SIGKILL)
        _compare(asked, [*processes], pool)


def test_a_run_that_kills_its_worker_is_named_and_the_others_are_trained(workplace, dask):
    done = command(*sweep(*DEADLY, "seed=range(16)", "+init.fatal=3", at(dask.address)), cwd=workplace)
    assert done.returncode == 1
    assert "1 runs failed:\n  tanh · random ×0.01 · 4 units · seed 3: the process that trains it dies" in done.stderr
    assert seeds(workplace) == [seed for seed in range(16) if seed != 3]


def test_a_scheduler_that_is_lost_ends_in_one_message_and_the_same_command_completes(workplace, tmp_path, dask):
    words = sweep(*DEADLY, "seed=range(8)", f"+init.folder={workplace}", "+init.free=2", at(dask.address))
    with forked(*words, cwd=workplace, **SETTINGS) as running:
        for _ in until(running):
            if seeds(workplace) == [0, 1]:
                break
        dask.scheduler.kill()
        out, err = running.communicate()
    assert running.returncode == 1 and out == ""
    assert err.strip() == (
        f"shallowexp: {at(dask.address)} was lost. What was trained is tracked: the same command resumes the sweep."
    )
    assert [run.info.status for run in sweeps(workplace)] == ["FAILED"] and seeds(workplace) == [0, 1]
    (workplace / "go").touch()
    with cluster(tmp_path / "again", int(dask.address.rpartition(":")[2])):
        assert command(*words, cwd=workplace).returncode == 0
    assert seeds(workplace) == [*range(8)]
    assert len([*workplace.glob("begun-0-*")]) == 1  # what was finished is not trained again
    assert [run.info.status for run in sweeps(workplace)] == ["FINISHED"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({}, "Timed out trying to connect"),
        ({"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}, "encryption required"),
    ],
)
def test_a_scheduler_that_cannot_be_reached_is_one_message(workplace, setting, said):
    address = f"tcp://127.0.0.1:{free_port()}"
    impatient = SETTINGS | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"} | setting
    done = command(*sweep("seed=1,2", at(address)), cwd=workplace, **impatient)
    assert done.returncode == 1
    assert done.stderr.startswith(f"shallowexp: {at(address)} cannot be reached: {said}")
    assert done.stderr.count("\n") == 1
    assert sweeps(workplace) == []


METADATA = "Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "shallowexp/__init__.py",
            "raise ModuleNotFoundError",
            f"without shallowexp {shallowexp.__version__} and what it",
        ),
        (
            "threadpoolctl.py",
            "raise ModuleNotFoundError('no threads')",
            "and what it needs (tcp://ADDRESS): no threads",
        ),
        (
            "numpy-0.1.dist-info/METADATA",
            METADATA,
            f"(tcp://ADDRESS) with NumPy 0.1, not {np.__version__}: install the same",
        ),
    ],
)
def test_a_worker_that_lacks_something_is_one_message(workplace, tmp_path, file, text, said):
    """As it is to Python: what cannot be imported, or is of another version, lies before what is installed."""
    (tmp_path / "bare" / file).parent.mkdir(parents=True)
    (tmp_path / "bare" / file).write_text(text)
    with cluster(tmp_path / "workers", free_port(), 1, PYTHONPATH=str(tmp_path / "bare")) as bare:
        done = command(*sweep("seed=1,2", at(bare.address)), cwd=workplace)
    assert done.returncode == 1 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    fault = re.sub(r"127.0.0.1:\d+(?=\))", "ADDRESS", done.stderr)
    assert fault.startswith(f"shallowexp: {at(bare.address)} has a worker ") and said in fault
    assert seeds(workplace) == []


def test_any_executor_by_its_name(workplace):
    loky = ("hydra.launcher.executor=joblib.externals.loky.get_reusable_executor", "hydra.launcher.workers=1")
    one = {"LOKY_MAX_CPU_COUNT": "1", "PYTHONPATH": str(ROOT)}
    done = command(*sweep(*DEADLY, "seed=range(4)", "+init.fatal=1", *loky), cwd=workplace, **one)
    assert "1 runs failed:\n  tanh · random ×0.01 · 4 units · seed 1: the process" in done.stderr
    assert seeds(workplace) == [0, 2, 3]
