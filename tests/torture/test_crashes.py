"""A short form of the torture: a sweep that dies at a few of its write events and is given again."""

import signal

import pytest

from tests.commands import _fork_server
from tests.torture.crashes import SCENARIOS, Torture


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, empty_store) -> Torture:
    return Torture(SCENARIOS[1], _fork_server(), empty_store, tmp_path_factory.mktemp("torture"))


@pytest.mark.parametrize(("part", "by"), [(0.65, signal.SIGKILL), (0.82, signal.SIGKILL), (0.5, signal.SIGTERM)])
def test_a_sweep_that_died_is_made_whole_by_the_same_command(sweep, part, by):
    assert sweep.faults(round(part * sweep.events), by) == []
