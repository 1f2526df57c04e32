"""Data from a user's own file, and data of which only some can be drawn, as commands meet them."""

import csv
import sqlite3
from contextlib import closing

import pytest

from tests.cli.test_app import SMALL, children, tracked
from tests.commands import command

MINE = """
from dataclasses import dataclass
import numpy as np
from shallowexp.network.data import Data, Dataset

@dataclass(frozen=True)
class Mine(Data):
    path: str = "mine.csv"
    task = "binary"

    def draw(self):
        X, y = np.split(np.loadtxt(self.path, delimiter=",", ndmin=2).T, [2])
        return Dataset(X, y, X, y, self.task)
"""
SHORT = ("train.steps=20", "log.points=3")


@pytest.fixture
def own(workplace):
    (workplace / "mine.py").write_text(MINE)
    (workplace / "conf" / "data").mkdir(parents=True)
    (workplace / "conf" / "data" / "mine.yaml").write_text("_target_: mine.Mine\npath: mine.csv\n")
    return workplace


def test_a_changed_file_is_trained_on_anew(own):
    rows = [f"{i / 7},{(i % 5) / 3},{i % 2}" for i in range(60)]
    (own / "mine.csv").write_text("\n".join(rows))
    sweep = ("-m", "data=mine", "hidden_size=2,4", *SHORT)
    assert " 2 trained" in command("shallowexp", *sweep, cwd=own).stdout
    assert " 2 already there" in command("shallowexp", *sweep, cwd=own).stdout
    (own / "mine.csv").write_text("\n".join(rows[49:]))
    assert " 0 already there, 2 trained" in command("shallowexp", *sweep, cwd=own).stdout


def test_a_csv_file_needs_no_code(workplace):
    rows = [f"{i % 7},{i % 5},{'no' if i % 3 else 'yes'}" for i in range(60)]
    (workplace / "points.csv").write_text("\n".join(["a,b,label", *rows]))
    sweep = ("-m", "data=csv", "data.path=points.csv", "data.target=label", "activation=tanh,relu", *SHORT)
    assert " 2 trained" in command("shallowexp", *sweep, cwd=workplace).stdout
    assert set(children(workplace)["params.data.task"]) == {"auto"}
    (workplace / "points.csv").write_text("\n".join(["a,b,label", *rows[:50]]))
    assert " 0 already there, 2 trained" in command("shallowexp", *sweep, cwd=workplace).stdout
    wrong = command("shallowexp", *sweep, "data.target=lable", cwd=workplace)
    assert wrong.returncode == 1
    assert wrong.stderr == "shallowexp: data.target=lable is not a column of points.csv: did you mean label?\n"


def test_what_can_be_read_only_once_is_no_table(workplace):
    (workplace / "points.csv").symlink_to("/dev/null")  # a pipe would be waited for
    wrong = command("shallowexp", "data=csv", "data.path=points.csv", "data.target=label", cwd=workplace)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("shallowexp: data.path=points.csv is not possible; allowed: a regular file")


@pytest.mark.parametrize("arguments", [("data=mine",), ("-m", "data=mine", "seed=range(3)")], ids=["run", "sweep"])
def test_a_file_that_is_gone_is_one_message_before_anything_is_written(arguments, own):
    (own / "mlflow.db").unlink()
    done = command("shallowexp", *arguments, cwd=own)
    assert done.returncode == 1
    assert (
        done.stderr
        == "shallowexp: data=mine cannot be drawn: FileNotFoundError: mine.csv not found. (mine.py, line 12)\n"
    )
    assert not (own / "mlflow.db").exists()


def test_what_cannot_be_drawn_fails_beside_the_others(workplace):
    sweep = ("-m", "data=wine", "data.test_size=0.2,0.99", "seed=range(3)", *SHORT)
    dry = command("shallowexp", *sweep, "dry_run=true", cwd=workplace)
    assert "6 to train" in dry.stdout, dry.stderr
    done = command("shallowexp", *sweep, cwd=workplace)
    assert done.returncode == 1
    assert "3 trained, 3 failed" in done.stdout
    told = done.stderr[done.stderr.index("shallowexp: ") :].splitlines()
    assert told[0] == "shallowexp: 3 runs failed:"
    assert told[1].startswith(
        "  tanh · random ×0.01 · 4 units · test_size 0.99 · seed 0 and 2 more: ValueError: data.test_size=0.99 leaves "
    )
    assert len(told) == 2
    runs, parents = children(workplace), tracked(workplace)
    assert runs.groupby("params.data.test_size").status.unique().to_dict() == {"0.2": ["FINISHED"], "0.99": ["FAILED"]}
    (parent,) = parents[parents["tags.shallowexp.digest"].notna()].run_id
    with closing(sqlite3.connect(workplace / "mlflow.db")) as database:
        ((folder,),) = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", [parent])
    with open(f"{folder}/runs.csv", newline="") as file:
        outcomes = [(row["data.test_size"], row["outcome"]) for row in csv.DictReader(file)]
    assert sorted(outcomes) == [("0.2", "finished")] * 3 + [("0.99", "failed")] * 3


def test_initial_weights_of_another_shape_fail_with_the_one_that_is_needed(workplace):
    (workplace / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom shallowexp.network.initializers import Parameters, Zero\n\n\n"
        "@dataclass(frozen=True)\nclass Turned(Zero):\n    def __call__(self, n_x, n_h, n_y, seed):\n"
        "        return Parameters(*(a.T for a in super().__call__(n_x, n_h, n_y, seed)))\n"
    )
    (workplace / "conf" / "init").mkdir(parents=True)
    (workplace / "conf" / "init" / "turned.yaml").write_text("_target_: mine.Turned\n")
    done = command("shallowexp", "-m", "init=turned,zero", "hidden_size=3", *SMALL, cwd=workplace)
    assert done.returncode == 1
    assert "ValueError: Turned gives W1 as float64 (2, 3); expected real numbers of shape (3, 2)" in done.stderr
    assert sorted(children(workplace).status) == ["FAILED", "FINISHED"]
