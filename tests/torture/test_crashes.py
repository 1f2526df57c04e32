"""A short form of the torture: a sweep that dies at a few of its write events and is given again."""

import pytest

from tests.commands import _fork_server
from tests.torture.crashes import SMALL_SWEEP, Deaths


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, empty_store) -> Deaths:
    return Deaths("KILL", SMALL_SWEEP, _fork_server(), empty_store, tmp_path_factory.mktemp("torture"))


@pytest.mark.parametrize(
    ("part", "by"), [(0.65, "KILL"), (0.82, "KILL"), (0.5, "TERM"), (0.3, "clock"), (0.4, "terminal")]
)
def test_a_disturbed_sweep_is_made_whole_by_the_same_command(sweep, part, by):
    sweep.by = by
    assert sweep.faults(round(part * sweep.events)) == []
