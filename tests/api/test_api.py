"""shallowexp from Python: the same runs as on the command line, read, trained, swept and drawn."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier

import shallowexp
from shallowexp.errors import ConfigError, RunsFailed, TrackingError, UserError
from shallowexp.network.data import forget
from shallowexp.network.initializers import Random
from shallowexp.tracking.store import Store
from tests.commands import command

SMALL = ("train.steps=20", "log.points=4", "hidden_size=2")


def test_importing_it_is_light():
    heavy = "import sys, shallowexp; print([name for name in ('numpy', 'pandas', 'hydra', 'mlflow') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout == "[]\n"


def test_all_that_is_public_is_there_and_nothing_else():
    assert all(callable(getattr(shallowexp, name)) for name in shallowexp.PUBLIC)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        shallowexp.trian  # noqa: B018


def test_a_network_is_the_one_that_the_command_trains(workplace):
    trained = shallowexp.train(*SMALL, activation="relu", seed=3)
    assert not list(workplace.glob("mlruns/*/*"))  # nothing is stored
    done = command("shallowexp", *SMALL, "activation=relu", "seed=3", cwd=workplace)
    assert done.returncode == 0, done.stderr
    (tracked,) = shallowexp.runs().histories.groupby("fingerprint")
    pd.testing.assert_series_equal(
        trained.history["train/loss"], tracked[1].set_index("step")["train/loss"], check_exact=True
    )
    assert "relu" in trained._repr_html_() and "train/loss" in trained._repr_html_()
    assert repr(trained).startswith("relu · random") and len(repr(trained)) < 1000


def test_a_network_that_is_stored_is_trained_once(workplace, monkeypatch):
    drawn, draw = [], Random.__call__
    monkeypatch.setattr(Random, "__call__", lambda *given: drawn.append(1) or draw(*given))
    stored = shallowexp.train(*SMALL, "train.engine=numpy", experiment="mine")
    assert len(drawn) == 1
    (tracked,) = shallowexp.runs("mine").histories.groupby("fingerprint")
    pd.testing.assert_series_equal(
        stored.history["train/loss"], tracked[1].set_index("step")["train/loss"], check_exact=True
    )
    again = shallowexp.train(*SMALL, "train.engine=numpy", experiment="mine")
    assert len(drawn) == 2 and len(shallowexp.runs("mine").table) == 1
    pd.testing.assert_frame_equal(again.history, stored.history, check_exact=True)


def test_seeds_of_an_objective_are_the_sweep_s(workplace):
    found = shallowexp.sweep({"seed": [3]}, *SMALL, "objective.seeds=2")
    assert sorted(found.table["seed"]) == [3, 4]


def test_a_file_that_changes_meanwhile_is_read_again(workplace):
    own = {"data": "csv", "data.path": "points.csv", "data.target": "y"}
    first = "a,b,y\n" + "1,2,0\n3,4,1\n2,2,0\n" * 20
    found = []
    for text in (
        first,
        first.replace("3,4,1", "3,4,2"),
        first.replace("3,4,1", "3,1,1"),
        first.replace("2,2,0", "2,2,2"),
    ):
        Path("points.csv").write_text(text)  # of the same size
        trained = shallowexp.train(*SMALL, **own)
        table = shallowexp.sweep({**own, "seed": [0]}, *SMALL).table
        assert [*table.index] == [trained.run.fingerprint]
        found.append((trained.run.fingerprint, trained.data.task, trained.history["train/loss"].iloc[-1]))
    assert len({fingerprint for fingerprint, _, _ in found}) == 3  # labels 0 and 2 are the classes that 0 and 1 are
    assert [task for _, task, _ in found] == ["binary", "binary", "binary", "multiclass"]
    assert len({loss for _, _, loss in found}) == 3
    datasets = Store.open().client.search_runs(["1"], "tags.`shallowexp.fingerprint` LIKE '%'")
    assert len({run.inputs.dataset_inputs[0].dataset.digest for run in datasets}) == 3
    Path("points.csv").unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        shallowexp.train(*SMALL, **own)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_data_of_ones_own_is_trained_on_and_predicted_in_its_own_units(task):
    random = np.random.RandomState(1)
    X = 5 + 100 * random.randn(120, 3)
    score = (X[:, 0] - X[:, 1]) / 100
    y = {
        "binary": score > 0,
        "multiclass": np.array(["a", "b", "c"])[np.digitize(score, (-0.7, 0.7))],
        "regression": score,
    }[task]
    trained = shallowexp.train("train.steps=2000", "train.learning_rate=0.3", data=(X, y), hidden_size=8, init="xavier")
    forget()  # the arrays were in a file that is gone
    found = pickle.loads(pickle.dumps(trained)).predict(X)
    if task == "regression":
        assert np.corrcoef(found, y)[0, 1] > 0.99
        assert trained.classes is None
    else:
        assert found.dtype == y.dtype and (found == y).mean() > 0.9
        peer = MLPClassifier((8,), activation="tanh", max_iter=3000, random_state=0).fit((X - 5) / 100, y)
        assert (found == peer.predict((X - 5) / 100)).mean() > 0.9
    outputs = trained.predict_proba(X[:7])
    assert outputs.shape == (7, 3 if task == "multiclass" else 1)


def test_a_frame_s_names_and_index_are_nothing_that_is_learned():
    X, y = np.random.RandomState(1).randn(40, 2), [0, 1] * 20
    frame = pd.DataFrame(X, columns=["target", "target"], index=range(40, 80))
    by_name = shallowexp.train(*SMALL, data=(frame, pd.Series(y, index=frame.index)))
    pd.testing.assert_frame_equal(by_name.history, shallowexp.train(*SMALL, data=(X, y)).history, check_exact=True)


def test_a_sweep_from_python_is_the_command_s_and_trains_nothing_twice(workplace):
    found = shallowexp.sweep({"activation": ["tanh", "relu"], "seed": range(2)}, *SMALL)
    assert len(found.table) == 4
    done = command("shallowexp", "-m", "activation=tanh,relu", "seed=range(2)", *SMALL, cwd=workplace)
    assert "4 runs: 4 already there, 0 trained" in done.stdout
    assert {*shallowexp.runs(sweep="latest").table.index} == {*found.table.index}
    assert [*shallowexp.runs("shallowexp", where={"activation": "relu"}).table["activation"]] == ["relu"] * 2
    assert "4 runs; what varied: activation (2)" in found._repr_html_()
    united = shallowexp.sweep([{"init": "zero", "seed": [0]}, {"init": "random", "init.scale": [0.1, 1.0]}], *SMALL)
    assert sorted(united.table["init"]) == ["random", "random", "zero"]


def test_a_figure_shows_itself(workplace):
    found = shallowexp.sweep({"activation": ["tanh", "relu"], "seed": range(2)}, *SMALL)
    page = shallowexp.plot(found, x="seed", by="activation")
    assert page._repr_png_().startswith(b"\x89PNG")
    assert set(page.numbers["activation"]) == {"tanh", "relu"}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: shallowexp.train(activation="tanhh"), ConfigError, "did you mean tanh"),
        (lambda: shallowexp.train(seed=range(3)), ConfigError, r"sweep\({'seed': range\(0, 3\)}\) trains each"),
        (lambda: shallowexp.train(activation=["tanh", "relu"]), ConfigError, "several values, but train takes one"),
        (lambda: shallowexp.sweep({"activation": "tanh,relu"}), ConfigError, r"{'activation': \['tanh', 'relu'\]}"),
        (lambda: shallowexp.sweep({"seed": "range(3)"}), ConfigError, r"{'seed': range\(3\)}"),
        (lambda: shallowexp.sweep({"seed": [1, 2]}, "dry_run=true"), ConfigError, "shallowexp.sweep trains"),
        (lambda: shallowexp.sweep({"seed": [1]}, "name=mine"), ConfigError, "write experiment='mine'"),
        (lambda: shallowexp.sweep({"seed": [1]}, *SMALL, executor="nowhere.Pool"), UserError, "executor=nowhere.Pool cannot be"),
        (lambda: shallowexp.sweep({"seed": [1]}, "+field=edge"), ConfigError, "shallowexp.field reads"),
        (lambda: shallowexp.train(name="mine"), ConfigError, "write experiment='mine'"),
        (lambda: shallowexp.train("+field=edge"), ConfigError, "shallowexp.field reads"),
        (lambda: shallowexp.train(dry_run=True, data=(np.eye(20), [0, 1] * 10)), ConfigError, "shallowexp.train trains"),
        (lambda: shallowexp.train("objective.seeds=5", seed=2), ConfigError, r"sweep\({'seed': range\(2, 7\)}\) trains each"),
        (lambda: shallowexp.train(hidden=3), ConfigError, "hidden_size is meant"),
        (lambda: shallowexp.train("train.lr=1"), ConfigError, "train.lr is not a key"),
        (lambda: shallowexp.train(data=(np.ones((3, 2)), [0, 1])), ConfigError, "X has 3 rows and y 2 values"),
        (lambda: shallowexp.train(data=([[1.0], [np.nan]], [0, 1])), ConfigError, r"^data: X\[1, 0\] is nan: .* which 1 of 2"),
        (lambda: shallowexp.train(data=([[1.0, 2], [3, np.inf]], [0, 1])), ConfigError, r"^data: X\[1, 1\] is inf"),
        (lambda: shallowexp.train(data=(pd.DataFrame({"a": [1, 2], "b": [1, "x"]}), [0, 1])), ConfigError, r"X\[1, 'b'\] is 'x': .*onehot"),
        (lambda: shallowexp.train("data.categorical=onehot", data=(pd.DataFrame({"b": ["x", None]}), [0, 1])), ConfigError, r"^data: X\[1, 'b'\]"),
        (lambda: shallowexp.train(data=(np.ones((3, 1)), [0, np.nan, 1])), ConfigError, r"^data: y\[1\] is nan"),
        (lambda: shallowexp.train(data=(np.eye(2), np.array(["a", 1], object))), ConfigError, r"^data: y\[1\] is 1: all finite"),
        (lambda: shallowexp.train(data=(np.ones((2, 0)), [0, 1])), ConfigError, r"^data: X has shape \(2, 0\)"),
        (lambda: shallowexp.train("data.task=regression", data=(np.eye(2), ["a", "b"])), ConfigError, "^data has 'a', no number, .* column y"),
        (lambda: shallowexp.train(data=(np.ones((4, 2)), [0, 1, 0, 1]), experiment="x"), ConfigError, "arrays cannot be stored"),
        (lambda: shallowexp.train(data=np.ones((3, 2))), ConfigError, r"data is the name of a set or \(X, y\)"),
        (lambda: shallowexp.train(data=(np.ones((3, 2)), 3)), ConfigError, r"data is the name of a set or \(X, y\)"),
        (lambda: shallowexp.sweep([]), ConfigError, "what to sweep is a mapping"),
        (lambda: shallowexp.sweep("activation=tanh"), ConfigError, "what to sweep is a mapping"),
        (lambda: shallowexp.sweep(None), ConfigError, "what to sweep is a mapping"),
        (lambda: shallowexp.sweep("train.steps=5", activation=["tanh", "relu"]), ConfigError, r"\['tanh', 'relu'\]}, 'train.steps=5'\)"),
        (lambda: shallowexp.sweep({"seed": [1]}, activation="relu"), ConfigError, r"sweep\({'seed': \[1\], 'activation': 'relu'}\)"),
        (lambda: shallowexp.sweep("activation=tanh,relu", "seed=range(3)"), ConfigError, r"\['tanh', 'relu'\], 'seed': range\(3\)}\)"),
        (lambda: shallowexp.sweep({"seed": [1]}, thread=3), ConfigError, r"did you mean threads\?"),
        (lambda: shallowexp.runs("symmetry", sweep="latest"), ConfigError, "name one of them"),
        (lambda: shallowexp.sweep({"seed": []}), ConfigError, "seed"),
        (lambda: shallowexp.runs("nothing"), TrackingError, "no sweep 'nothing'"),
        (lambda: shallowexp.runs(where={"seed": 0}), UserError, "no finished runs in sqlite"),
        (lambda: shallowexp.train("train.steps=3", data=(np.eye(20), [0, 1] * 10)).predict([1]), ConfigError, "X has shape"),
        (lambda: shallowexp.train("data.test_size=0.99", data="wine"), (ConfigError, RunsFailed), "test_size=0.99"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message(workplace, call, error, words):
    with pytest.raises(error, match=words):
        call()
