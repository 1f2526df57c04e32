"""What newcomers type, and the words that help them; nothing is written meanwhile."""

import pytest

from tests.commands import command

HINTS = {
    ("learning_rate=0.1",): "train.learning_rate is meant",
    ("epochs=3",): "train.steps is meant",
    ("train.lr=3",): "train.learning_rate is meant",
    ("hidden=3",): "hidden_size is meant",
    ("data.balance=0.3",): "is now called data.positive_rate",
    ("train.momentum=0.9",): "optimizer=momentum optimizer.beta is meant",
    ("batch_size=32",): "train.batch_size is meant",
    ("optimizer=sgd",): "choices: adam, gd, momentum",
    ("train.weight_decay=0.1",): "nothing regularises these networks",
    ("activation=relu,", "tanh"): "ends with a comma",
    ("activation", "=", "relu"): "activation is not key=value",
    ("help",): "shallowexp --help lists the keys",
    ("-m", "seed=0..4"): "for 0 to 4 write range(0,5)",
    ("hidden_size=2,4",): "add -m",
    ("--activation", "relu"): "write activation=relu",
    ("--activation=relu",): "write activation=relu",
    ("train.learning_rate=abc",): "a number is needed",
    ("-m", "init.scale=logspace(-3,1,3)"): "write init.scale=0.001,0.1,10",
    ("-m", "init.scale=logspace(-3,b,3)"): "numbers are needed",
    ("init=he", "init.scale=2"): "not a key of the init that was chosen; keys there: gain, fan",
}


@pytest.mark.parametrize(("arguments", "words"), HINTS.items(), ids=[" ".join(found) for found in HINTS])
def test_a_newcomer_is_told_what_helps(tmp_path, arguments, words):
    refused = command("shallowexp", *arguments, cwd=tmp_path)
    assert refused.returncode != 0
    assert words in refused.stderr and refused.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("mlflow.db"))


def test_names_of_experiments_may_have_commas(tmp_path):
    refused = command("shallowexp-report", "symmetry,saturatoin", cwd=tmp_path)
    assert "did you mean saturation" in refused.stderr and "'symmetry'" not in refused.stderr


def test_where_runs_go_has_a_name(workplace):
    small = ("train.steps=2", "log.points=2")
    for where, more in (("mine", {}), ("theirs", {"MLFLOW_EXPERIMENT_NAME": "theirs"})):
        named = ["name=mine"] if where == "mine" else []
        done = command("shallowexp", *small, *named, cwd=workplace, **more)
        assert f"experiment {where} in" in done.stdout, done.stderr
    assert "experiment mine in" in command("shallowexp", "-m", "seed=1,2", *small, "name=mine", cwd=workplace).stdout
    assert "2 already there" in command("shallowexp", "-m", "seed=1,2", *small, "name=mine", cwd=workplace).stdout
