"""The progress of a sweep, and what it says where Numba compiles: real compilations, of a small function."""

import io
import time

import pytest
from numba import njit
from rich.console import Console

from shallowexp.sweeps import progress
from shallowexp.sweeps.progress import COMPILING, Progress, compilation_told


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def outer():
    """Compiled when it is first called, together with what it calls."""

    @njit
    def inner(x):
        return x + 1

    @njit
    def outer(x):
        return inner(x) + inner(x + 1)

    return outer


def test_a_compilation_is_told_once_and_only_where_there_is_one(console, outer):
    with compilation_told(console):
        assert console.file.getvalue() == ""
        assert outer(1) == 5
    assert console.file.getvalue().splitlines() == [COMPILING]
    with compilation_told(console):
        outer(2)
    assert console.file.getvalue().count(COMPILING) == 1
    outer(1.5)  # compiled again, outside


def test_the_time_that_it_took_is_not_in_the_estimate(console, outer, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Progress(100, console) as shown:
        now[0] = 30.0
        outer(1)  # as if it had taken half a minute
        now[0] += progress.PLAIN_EVERY + 1
        shown.advance(11, 0)
    told, estimate = console.file.getvalue().splitlines()
    assert (told, estimate) == (COMPILING, "11/100 runs trained, 0 failed, 89 s left")


def test_nothing_done_is_no_fault_where_there_is_nothing_to_estimate_from(console, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_EVERY", -1)
    with Progress(3, console) as shown:
        shown.advance(0, 0)
        shown.advance(3, 0)
    assert console.file.getvalue() == "3/3 runs trained, 0 failed, 0 s left\n"
