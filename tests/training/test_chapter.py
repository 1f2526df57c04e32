"""The engine `chapter`: what the chapter's own products do to hidden units that start equal, on whatever BLAS is here."""

import operator
from dataclasses import replace

import numpy as np
import pytest

from shallowexp.network.activations import Sigmoid, Tanh
from shallowexp.network.data import Flower
from shallowexp.network.initializers import Constant, Random, Zero
from shallowexp.network.outputs import Sigmoid as SigmoidOutput
from shallowexp.network.passes import exact
from shallowexp.training import engines
from shallowexp.training.engines import train
from shallowexp.training.job import Job

JOB = Job(
    data=Flower(positive_rate=0.3, seed=10),
    activation=Sigmoid(),
    init=Zero(),
    output=SigmoidOutput(),
    hidden_size=7,
    seed=0,
    steps=2000,
    learning_rate=1.2,
    log_steps=tuple(range(0, 2001, 50)),
    weights=True,
)


def equal_rows(result):
    """Whether all hidden units' [w, b] are the same to the last bit, at every logged step."""
    rows = np.concatenate([result.weights.W1, result.weights.b1], axis=2)
    return (rows == rows[:, :1]).all(axis=(1, 2))


def uneven(A, B):
    """As a BLAS that rounds the last row otherwise, on every machine alike."""
    C = exact(A, B)
    C[-1] = np.nextafter(C[-1], 2 * C[-1])
    return C


@pytest.mark.parametrize("product", [operator.matmul, uneven])
@pytest.mark.parametrize("start", [{"init": Zero()}, {"init": Constant(0.01), "activation": Tanh()}], ids=repr)
@pytest.mark.parametrize("n_h", [4, 8, 7])
def test_rows_stay_equal_or_the_run_says_when_they_part(product, start, n_h, monkeypatch):
    monkeypatch.setitem(engines.PRODUCTS, "chapter", product)
    job = replace(JOB, hidden_size=n_h, **start)
    chapter, *exact = train([replace(job, engine=engine) for engine in ("chapter", "numpy", "compiled")])
    np.testing.assert_array_equal(chapter.history("symmetry/separation") == 0, equal_rows(chapter))
    if product is uneven:
        assert not equal_rows(chapter).all()
        assert (chapter.history("symmetry/separation").max() > 0.1) == (n_h > 4)  # four equal units are stable
    for result in exact:
        assert equal_rows(result).all()
        assert not result.history("symmetry/separation").any()


def test_a_random_start_hardly_feels_the_products():
    job = replace(JOB, init=Random(0.5), activation=Tanh(), steps=50, log_steps=(0, 50))
    chapter, exact = train([replace(job, engine=engine) for engine in ("chapter", "numpy")])
    np.testing.assert_allclose(chapter.metrics, exact.metrics, rtol=1e-9)
    assert not any(np.array_equal(p, q) for p, q in zip(chapter.final, job.initial()[1], strict=True))


def test_the_products_are_those_that_were_asked_for(monkeypatch):
    """With products that are twice too large the loss after some steps is another, in this engine alone."""
    job = replace(JOB, init=Random(0.5), steps=5, log_steps=(5,))
    before = train([replace(job, engine=engine) for engine in ("chapter", "numpy")])
    monkeypatch.setitem(engines.PRODUCTS, "chapter", lambda A, B: 2 * A @ B)
    after = train([replace(job, engine=engine) for engine in ("chapter", "numpy")])
    same = [a.metrics.tobytes() == b.metrics.tobytes() for a, b in zip(before, after, strict=True)]
    assert same == [False, True]
