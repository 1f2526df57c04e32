"""What a job starts from: initial parameters of the shapes that the data and the hidden size ask for."""

from dataclasses import dataclass

import numpy as np
import pytest

from shallowexp.network.activations import Tanh
from shallowexp.network.data import Wine
from shallowexp.network.initializers import Initializer, Parameters, Random
from shallowexp.network.outputs import Softmax
from shallowexp.training.engines import train
from shallowexp.training.job import Failure, Job


@dataclass(frozen=True)
class Changed(Initializer):
    """Random, but for one array that becomes `what`."""

    name: str
    what: str

    def __call__(self, n_x, n_h, n_y, seed):
        right = Random()(n_x, n_h, n_y, seed)
        array = getattr(right, self.name)
        changes = {
            "flat": array[:, 0],
            "turned": array.T,
            "text": array.astype(str),
            "complex": array + 0j,
            "a number": 0.0,
        }
        return right._replace(**{self.name: changes[self.what]})


def job(init, engine):
    return Job(Wine(), Tanh(), init, Softmax(), 5, 0, 10, 0.1, (0, 10), engine=engine)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize(
    ("name", "what", "message"),
    [
        ("W1", "turned", "W1 as float64 (13, 5); expected real numbers of shape (5, 13)"),
        ("b1", "flat", "b1 as float64 (5,); expected real numbers of shape (5, 1)"),
        ("W2", "complex", "W2 as complex128 (3, 5); expected real numbers of shape (3, 5)"),
        ("b2", "a number", "b2 as float64 (); expected real numbers of shape (3, 1)"),
        ("W2", "text", "W2 as <U"),
    ],
)
def test_initial_parameters_of_another_shape_or_kind_fail(name, what, message, engine):
    (result,) = train([job(Changed(name, what), engine)])
    assert isinstance(result, Failure)
    assert result.error.startswith(f"ValueError: Changed gives {message}")
    assert "; expected real numbers of shape (" in result.error


def test_a_wrong_job_leaves_the_one_beside_it_as_it_is():
    alone, beside = (
        train([job(Random(), "compiled")]),
        train([job(Changed("W1", "turned"), "compiled"), job(Random(), "compiled")]),
    )
    assert isinstance(beside[0], Failure)
    np.testing.assert_array_equal(beside[1].metrics, alone[0].metrics)


def test_whole_numbers_do_for_parameters():
    @dataclass(frozen=True)
    class Ones(Initializer):
        def __call__(self, n_x, n_h, n_y, seed):
            return Parameters(*(np.ones(shape, int) for shape in ((n_h, n_x), (n_h, 1), (n_y, n_h), (n_y, 1))))

    _, parameters = job(Ones(), "numpy").initial()
    assert {array.dtype for array in parameters} == {np.dtype("float64")}
