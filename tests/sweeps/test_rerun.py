"""shallowexp-rerun as a user meets it: the same bits, or which metric differs, or why there is nothing to compare."""

import sqlite3
import sys

import pytest

from shallowexp import provenance
from shallowexp.cli.rerun import main
from shallowexp.config.composition import Workers, compose_run
from shallowexp.config.runs import to_run
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store
from tests.commands import command

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")
PARAMS = {"train.steps": "30", "log.points": "3", "log.model": "none", "activation": "leaky_relu", "init.scale": "0.5"}


@pytest.fixture(scope="module")
def place(tmp_path_factory, empty_store):
    """A store with a sweep of four runs, one of which diverges, and what is no run of ours; ids by name."""
    folder = tmp_path_factory.mktemp("rerun")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tracked = ExperimentTracker.open("symmetry", Store.open(f"sqlite:///{folder / 'mlflow.db'}"))
    wild = {"train.learning_rate": "1e9", "data": "diabetes"}
    own = {
        "plain": {"seed": "1"},
        "diverged": wild,
        "single": {"seed": "2", "train.dtype": "float32"},
        "chapter": {"train.engine": "chapter"},
    }
    runs = [to_run(*compose_run(PARAMS | params)) for params in own.values()]
    assert tracked.sweep(runs, runs, Workers(1)).diverged == 1
    finished, client = tracked.store.finished(tracked.experiment_id), tracked.store.client
    ids = {name: finished[run.fingerprint] for name, run in zip(own, runs, strict=True)}
    ids["sweep"] = client.get_run(ids["plain"]).data.tags["mlflow.parentRunId"]
    ids["foreign"] = client.create_run("0").info.run_id
    ids["unfinished"] = client.create_run("0", tags={"shallowexp.fingerprint": "f00d"}).info.run_id
    return folder, ids | {"unknown": "0" * 32}


@pytest.fixture(
    params=[("train.steps", "${oc.env:HOME}"), ("activation._target_", "theirs.Tanh"), ("hydra.launcher.threads", "1")]
)
def strange(request, place):
    """A run with a param of somebody else's, and what it is; a module of its name lies in the folder."""
    folder, ids = place
    (folder / "theirs.py").write_text("open('ran', 'w')")
    client = Store.open(f"sqlite:///{folder / 'mlflow.db'}").client
    copy = client.create_run("0", tags={"shallowexp.fingerprint": "f00d"})
    client.log_param(copy.info.run_id, *request.param)
    client.set_terminated(copy.info.run_id)
    ids["strange"] = copy.info.run_id
    return "=".join(request.param)


@pytest.fixture
def rerun(place, monkeypatch, capsys):
    """The command in this process, on the run of that name: its exit status, stdout and stderr."""

    def run(name):
        folder, ids = place
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setattr(sys, "argv", ["shallowexp-rerun", ids[name]])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run


def test_the_command_in_a_process_of_its_own(place):
    folder, ids = place
    done = command("shallowexp-rerun", ids["plain"], cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "the same, to the bit"


@pytest.mark.parametrize("name", ["plain", "diverged", "single", "chapter"])
def test_the_same_to_the_bit(rerun, name):
    status, out, err = rerun(name)
    assert (status, err) == (0, "")
    assert "the same, to the bit" in out and "fingerprint" not in out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown", "not found"),
        ("sweep", "is a sweep"),
        ("foreign", "was not made by shallowexp"),
        ("unfinished", "is RUNNING: only a FINISHED"),
    ],
)
def test_what_cannot_be_trained_again_is_said_in_a_sentence(rerun, name, words):
    status, out, err = rerun(name)
    assert (status, out) == (1, "")
    assert words in err and "Traceback" not in err


def test_a_value_one_bit_off_is_found(place, rerun):
    change(
        place, "UPDATE metrics SET value = value * (1 + 2.3e-16) WHERE run_uuid = ? AND key = 'test/loss' AND step = 1"
    )
    status, out, _ = rerun("plain")
    assert status == 1
    assert "test/loss differs at 1 of 3 steps, first at step 1" in out
    assert len([line for line in out.splitlines() if "differs" in line]) == 1


def test_another_fingerprint_is_said(place, rerun):
    change(place, "UPDATE tags SET value = 'f00d' WHERE run_uuid = ? AND key = 'shallowexp.fingerprint'")
    assert "has changed since: the fingerprint differs" in rerun("plain")[1]


def test_another_blas_is_said_and_not_taken_for_another_configuration(place, rerun):
    for tag, value in (("fingerprint", "f00d"), ("blas", "abacus 1.0")):
        change(place, f"UPDATE tags SET value = '{value}' WHERE run_uuid = ? AND key = 'shallowexp.{tag}'", "chapter")
    status, out, _ = rerun("chapter")
    assert status == 0
    assert f"Trained on abacus 1.0; this is {provenance.blas()}." in out
    assert "has changed since" not in out


def test_only_what_the_blas_can_change_names_it(place):
    folder, ids = place
    tags = Store.open(f"sqlite:///{folder / 'mlflow.db'}").client.get_run
    assert "shallowexp.blas" in tags(ids["chapter"]).data.tags
    assert "shallowexp.blas" not in tags(ids["plain"]).data.tags


def change(place, statement, name="plain"):
    folder, ids = place
    with sqlite3.connect(folder / "mlflow.db") as database:
        assert database.execute(statement, (ids[name],)).rowcount == 1
    database.close()


def test_nothing_of_another_s_database_is_evaluated_or_imported(place, strange, rerun):
    code, _, said = rerun("strange")
    assert code == 1 and f"has the param {strange}, which shallowexp never writes" in said
    assert not (place[0] / "ran").exists()
