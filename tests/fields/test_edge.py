"""The border of divergence: box-counting against sets whose dimension is known, and where the next zoom looks."""

import numpy as np
import pytest

from shallowexp.errors import UserError
from shallowexp.fields import edge
from shallowexp.fields.training import Canvas
from tests.fields.test_fields import planned


def carpet(depth: int) -> np.ndarray:
    pattern = np.ones((1, 1), bool)
    for _ in range(depth):
        pattern = np.kron(pattern, np.array([[1, 0], [1, 1]])).astype(bool)
    return pattern


def test_the_dimension_of_a_line_a_square_and_a_triangle_of_sierpinski():
    line = np.zeros((256, 256), bool)
    line[100] = True
    assert edge.dimension(line) == pytest.approx(1)
    assert edge.dimension(np.ones((256, 256), bool)) == pytest.approx(2)
    assert edge.dimension(carpet(8)) == pytest.approx(np.log2(3))
    assert np.isnan(edge.dimension(np.zeros((256, 256), bool)))


def field(diverged: np.ndarray):
    plan = planned("+field=edge", f"field.width={diverged.shape[1]}", f"field.height={diverged.shape[0]}")
    canvas = Canvas(plan)
    canvas.put(np.arange(diverged.size), {name: np.zeros(diverged.size) for name in canvas.arrays})
    canvas.arrays["diverged/step"][:] = np.where(diverged, 3.0, np.nan)
    return plan, canvas.field()


def test_a_zoom_goes_where_there_is_most_border():
    noise = np.zeros((40, 60), bool)
    noise[22:30, 33:44] = np.random.RandomState(0).rand(8, 11) < 0.5
    plan, found = field(noise)
    border = edge.border(found)
    found.arrays["train/loss"][noise], found.arrays["diverged/step"][noise] = 1.01 * found.zero_loss, np.nan
    assert np.array_equal(edge.border(found), border)  # what is worse than weights of 0 counts as what diverged
    assert border.sum() == sum(
        (r < 39 and noise[r, c] != noise[r + 1, c]) or (c < 59 and noise[r, c] != noise[r, c + 1])
        for r in range(40) for c in range(60)
    )  # fmt: skip
    windows = {(r, c): border[r : r + 10, c : c + 15].sum() for r in range(31) for c in range(46)}
    row, column = max(windows, key=windows.get)
    closer = edge.zoomed(plan, found)
    assert (closer.x.low, closer.x.high) == tuple(plan.x.values[[column, column + 14]])
    assert (closer.y.low, closer.y.high) == tuple(plan.y.values[[row, row + 9]])
    assert (closer.x.count, closer.y.count) == (60, 40) and closer.fingerprint != plan.fingerprint


def test_without_a_border_there_is_nothing_to_zoom_into():
    with pytest.raises(UserError, match="no edge of training"):
        edge.zoomed(*field(np.zeros((16, 16), bool)))
