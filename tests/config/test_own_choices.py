"""A user's own data sets, activations and initial weights: what cannot be trained on is refused before it trains."""

import sys
from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest

from shallowexp.config.choices import check_derivative, check_direction
from shallowexp.config.runs import plan
from shallowexp.errors import ConfigError
from shallowexp.network import activations
from shallowexp.network.activations import Activation, LeakyReLU, ReLU, Tanh
from shallowexp.network.optimizers import Adam, GradientDescent, Momentum, Optimizer
from tests.config.test_runs import run, runs

DATA = """
from dataclasses import dataclass
import numpy as np
from shallowexp.network.data import Data, Dataset

@dataclass(frozen=True)
class Mine(Data):
    seed: int = 0
    size: int = 20
    task = "binary"

    def draw(self):
        rng, task = np.random.RandomState(self.seed), self.task
        X, Y = rng.randn(2, self.size), np.arange(self.size)[None] % 2.0
        {change}
        return Dataset(X, Y, X, Y, task)
"""
NUMBERS = count()
CHANGES = {
    "Y = Y + 1": r"returns Y \(1, 20\) with values \[1.0, 2.0\]: two classes need one row of 0 and 1",
    "Y, task, type(self).task = np.r_[Y, Y], *2 * ['multiclass']": r"returns Y \(2, 20\) .* classes need one-hot columns",
    "return X, Y": "returns tuple: a Dataset",
    "task = 'regression'": "returns task 'regression', while that of its class is 'binary'",
    "np.loadtxt('gone.csv')": "FileNotFoundError: gone.csv not found",
    "1 / 0": r"ZeroDivisionError: division by zero \(\w+\.py, line 15\)$",
}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A function that makes data=<name> of a module text, under a name of its own, for a module is imported once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def add(text: str) -> str:
        name = f"own_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "conf" / "data").mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / "data" / f"{name}.yaml").write_text(f"_target_: {name}.Mine\nseed: 0\nsize: 20\n")
        return name

    return add


def test_what_can_be_drawn_is_trained_on(own):
    assert not run(f"data={own(DATA.format(change=''))}").job.data.fault()


@pytest.mark.parametrize(("change", "message"), CHANGES.items())
def test_data_that_cannot_be_trained_on_is_refused(change, message, own):
    name = own(DATA.format(change=change))
    with pytest.raises(ConfigError, match=f"^data={name} cannot be drawn: .*{message}"):
        run(f"data={name}")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('task = "binary"', "", "Mine.task=None is not possible; allowed: binary, multiclass, regression"),
        ('task = "binary"', 'task = "ranking"', "Mine.task=ranking is not possible"),
        ("(frozen=True)", "", r"Mine: unhashable type: 'Mine'; it must be a dataclass\(frozen=True\)"),
    ],
)
def test_a_class_that_no_run_can_be_made_of(before, after, message, own):
    with pytest.raises(ConfigError, match=message):
        run(f"data={own(DATA.format(change='').replace(before, after))}")


def test_what_only_some_cannot_be_drawn_from_is_planned_with_the_others(own):
    name = own(DATA.format(change="if self.size > 20: raise ValueError('too many')"))
    planned = runs([f"data={name}"], [f"data={name}", "data.size=30"], [f"data={name}", "data.size=40"])
    assert [r.job.data.fault() for r in planned] == ["", *2 * [f"ValueError: too many ({name}.py, line 15)"]]
    assert len({r.fingerprint for r in planned}) == 3
    with pytest.raises(ConfigError) as told:
        runs([f"data={name}", "data.size=30"], [f"data={name}", "data.size=40"])
    assert str(told.value) == f"data={name} cannot be drawn: ValueError: too many ({name}.py, line 15)"
    assert plan([]) == []


@dataclass(frozen=True)
class Swish(Activation):
    """Without a kink, and right."""

    def __call__(self, Z):
        return Z * activations.sigmoid(Z)

    def derivative(self, Z):
        return activations.sigmoid(Z) + Z * activations.sigmoid_derivative(Z)


class Flat(Swish):
    def __call__(self, Z):
        return (Z * activations.sigmoid(Z)).mean(axis=0, keepdims=True)


class Wrong(Swish):
    def derivative(self, Z):
        return activations.sigmoid(Z)


class SlopeOfTheOutput(Tanh):
    def derivative(self, Z):
        return 1 - Z**2


class WrongSide(ReLU):
    def derivative(self, Z):
        return (Z < 0).astype(float)


class Complex(Swish):
    def __call__(self, Z):
        return super().__call__(Z) + 0j


class Whole(Swish):
    def __call__(self, Z):
        return np.sign(Z).astype(int)


class Undefined(Swish):
    def __call__(self, Z):
        with np.errstate(invalid="ignore"):
            return np.log(Z)


class Raises(Swish):
    def derivative(self, Z):
        raise KeyError("slope")


@pytest.mark.parametrize("right", [Swish(), Tanh(), ReLU(), LeakyReLU(), activations.Sigmoid(), activations.Identity()])
def test_a_right_derivative_passes(right):
    check_derivative(right)


class Ends(Tanh):
    def __call__(self, Z):
        sys.exit(0)


class InPlace(Tanh):
    def __call__(self, Z):
        return np.tanh(Z, out=Z)


class OnlyTwoRows(Tanh):
    def __call__(self, Z):
        return super().__call__(Z) * (1 if len(Z) == 2 else 1j)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Wrong, r"Wrong: derivative\(.*\) is .*, but the difference quotient of g is"),
        (SlopeOfTheOutput, "SlopeOfTheOutput: derivative"),
        (WrongSide, r"derivative\(-3.997\) is 1, but the difference quotient of g is 0"),
        (
            Flat,
            r"Flat\(\) of an array \(2, 41\) gives float64 \(1, 41\): it must give finite real numbers of the same shape",
        ),
        (Complex, r"gives complex128 \(2, 41\)"),
        (Whole, r"gives int64 \(2, 41\)"),
        (Undefined, "it must give finite real numbers"),
        (Raises, r"Raises.derivative raises KeyError: 'slope' \(test_own_choices.py, line \d+\)"),
        (Ends, r"Ends\(\) raises SystemExit: 0"),
        (InPlace, r"InPlace\(\) changes the array that it is given"),
        (OnlyTwoRows, r"OnlyTwoRows\(\) of an array \(1, 7\) gives complex128"),
    ],
)
def test_a_wrong_activation_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        check_derivative(wrong())


def test_a_module_that_ends_python_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ends.py").write_text("raise SystemExit(0)")
    with pytest.raises(ConfigError, match="activation._target_=ends.Mine cannot be imported: its module ends Python"):
        run("activation._target_=ends.Mine")


def test_a_module_that_raises_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hasty.py").write_text("import numpy\n\n1 / 0")
    with pytest.raises(ConfigError, match=r"cannot be imported: division by zero \(hasty.py, line 3\)"):
        run("activation._target_=hasty.Mine")


def test_a_users_own_activation_is_checked_when_it_is_chosen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    text = "from dataclasses import dataclass\nfrom shallowexp.network.activations import Tanh\n"
    text += "@dataclass(frozen=True)\nclass Mine(Tanh):\n    def derivative(self, Z):\n        return 2 * super().derivative(Z)\n"
    (tmp_path / "twice_the_slope.py").write_text(text)
    with pytest.raises(ConfigError, match="activation Mine: derivative"):
        run("activation._target_=twice_the_slope.Mine")


class Mean(Optimizer):
    def __call__(self, dW, memory, t):
        return dW.mean(), memory


class Forgets(Momentum):
    def __call__(self, dW, memory, t):
        return super().__call__(dW, memory, t)[0], ()


@pytest.mark.parametrize("right", [GradientDescent(), Momentum(), Adam()], ids=repr)
def test_a_right_optimizer_passes(right):
    check_direction(right)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Mean, r"optimizer Mean\(\) of an array \(2, 3\) gives float64 \(\): it must give finite real numbers"),
        (Forgets, r"optimizer Forgets\(\) raises IndexError"),
        (Optimizer, r"optimizer Optimizer\(\) raises NotImplementedError"),
    ],
)
def test_a_wrong_optimizer_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        check_direction(wrong())


def test_a_users_own_optimizer_is_checked_when_it_is_chosen_and_trained_by_numpy(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    text = (
        "from dataclasses import dataclass\nimport numpy as np\nfrom shallowexp.network.optimizers import Optimizer\n"
    )
    text += "@dataclass(frozen=True)\nclass Mine(Optimizer):\n    def __call__(self, dW, memory, t):\n        return {}, memory\n"
    (tmp_path / "signs.py").write_text(text.format("np.sign(dW)"))
    (tmp_path / "counts.py").write_text(text.format("dW.size"))
    assert run("optimizer._target_=signs.Mine").job.engine == "numpy"
    with pytest.raises(ConfigError, match="optimizer Mine"):
        run("optimizer._target_=counts.Mine")
