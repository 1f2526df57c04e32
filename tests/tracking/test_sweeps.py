"""Any sweep is found again: the latest, by the beginning of its id, or with all of its experiment."""

import pytest

from shallowexp.errors import TrackingError
from shallowexp.tracking import sweeps
from shallowexp.tracking.records import user
from shallowexp.tracking.store import Store
from tests.commands import command

SMALL = ("train.steps=5", "log.points=2", "hidden_size=2")


@pytest.fixture(scope="module")
def twice(tmp_path_factory, empty_store):
    """Three sweeps, of which the second finds the runs of the first."""
    import shutil

    folder = tmp_path_factory.mktemp("twice")
    shutil.copy(empty_store, folder)
    for seeds in (
        "1,2",
        "1,2,3",
        "0,1",
    ):  # of a third one seed 1 no longer is the cell's first, which keeps its weights
        assert command("shallowexp", "-m", f"seed={seeds}", *SMALL, cwd=folder).returncode == 0
    return Store.open(f"sqlite:///{folder}/mlflow.db")


def test_the_latest_sweep_holds_the_runs_that_it_reused(twice):
    third, latest, first = sweeps.sweeps(twice)
    assert sweeps.find(twice, "latest") == third
    assert sweeps.find(twice, first.name) == first
    assert sorted(sweeps.read(twice, [latest]).table["seed"]) == [1, 2, 3]
    assert sorted(sweeps.read(twice, [first]).table["seed"]) == [1, 2]
    assert "seed=1,2,3" in latest.command


def test_several_sweeps_are_told_apart_and_an_experiment_is_all_its_runs(twice):
    found = sweeps.sweeps(twice)[1:]
    together = sweeps.read(twice, found)
    assert dict(together.table["sweep"].value_counts()) == {found[0].name: 3, found[1].name: 2}
    assert {*together.weights} == {*sweeps.read(twice, found[:1]).weights} | {*sweeps.read(twice, found[1:]).weights}
    assert sorted(sweeps.read(twice, [sweeps.find(twice, "shallowexp")]).table["seed"]) == [0, 1, 2, 3]


def test_a_sweep_that_was_killed_has_the_runs_that_were_written(twice):
    latest = sweeps.sweeps(twice)[1]
    twice.client.update_run(latest.run_id, status="RUNNING")
    twice.client.delete_tag(latest.run_id, sweeps.COUNTED)
    try:
        assert sorted(sweeps.read(twice, [sweeps.find(twice, latest.name)]).table["seed"]) == [3]
    finally:
        twice.client.set_tag(latest.run_id, sweeps.COUNTED, "3")
        twice.client.set_terminated(latest.run_id, "FINISHED")


def test_a_sweep_on_a_server_is_deleted_only_by_name_and_for_all(server, tmp_path):
    there = {"cwd": tmp_path, "MLFLOW_TRACKING_URI": server.url}
    assert command("shallowexp", "-m", "seed=1,2", "name=shared", *SMALL, **there).returncode == 0
    (sweep,) = (found for found in sweeps.sweeps(Store.open(server.url)) if found.experiment == "shared")
    for words in ([sweep.name, "--yes"], ["latest", "--yes", "--shared"]):
        refused = command("shallowexp-runs", "delete", *words, **there)
        assert refused.returncode == 1
        assert f"`shallowexp-runs delete {sweep.name} --shared` deletes sweep {sweep}" in refused.stderr
        assert f"which {user()} launched" in refused.stderr
    assert len(sweeps.read(Store.open(server.url), [sweep]).table) == 2
    assert command("shallowexp-runs", "delete", sweep.name, "--yes", "--shared", **there).returncode == 0
    assert sweep.run_id not in {found.run_id for found in sweeps.sweeps(Store.open(server.url))}


@pytest.mark.parametrize(
    ("reference", "words"),
    [("lates", "did you mean latest"), ("ffff0000", "newest first"), ("x" * 500, "newest first")],
)
def test_a_sweep_that_is_not_there_is_named_beside_those_that_are(twice, reference, words):
    with pytest.raises(TrackingError, match="there is no sweep") as refused:
        sweeps.find(twice, reference)
    assert sweeps.sweeps(twice)[0].name in str(refused.value)
    assert words in str(refused.value)
