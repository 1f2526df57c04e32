"""fail_fast=true: the first run that fails ends its sweep; the same command trains the rest."""

import pytest

from tests.commands import command
from tests.searching import SEARCH
from tests.tracking.test_lost_stores import finished, sweeps

SMALL = ("train.steps=20", "log.points=3", "hidden_size=2")
FRAGILE = """
from dataclasses import dataclass
from pathlib import Path
from shallowexp.network.initializers import Random


@dataclass(frozen=True)
class Fragile(Random):
    def __call__(self, n_x, n_h, n_y, seed):
        if seed == 3 and not Path("mended").exists():
            raise ValueError("three is too much")
        return super().__call__(n_x, n_h, n_y, seed)
"""


def one_a_batch() -> None:
    """The command, which trains and writes run by run."""
    from shallowexp.cli.app import main
    from shallowexp.sweeps import batches

    batches.BATCH_RUNS = 1
    main()


@pytest.fixture
def fragile(workplace):
    (workplace / "mine.py").write_text(FRAGILE)
    (workplace / "conf" / "init").mkdir(parents=True)
    (workplace / "conf" / "init" / "fragile.yaml").write_text("_target_: mine.Fragile\nscale: 0.01\n")
    return workplace


def sweep(folder, *overrides: str, main: str = f"{__name__}:one_a_batch"):
    return command(main, "-m", "init=fragile", "seed=range(6)", *SMALL, *overrides, cwd=folder)


def test_the_first_run_that_fails_ends_the_sweep_and_the_same_command_goes_on(fragile):
    ended = sweep(fragile, "fail_fast=true")
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "1 runs failed" in ended.stderr and "three is too much" in ended.stderr
    assert "6 runs: 0 already there, 3 trained, 1 failed" in ended.stderr
    assert sorted(run.data.params["seed"] for run in finished(fragile)) == ["0", "1", "2"]
    (parent,) = sweeps(fragile)
    assert parent.info.status == "FAILED"
    counts = {name: parent.data.tags[f"shallowexp.{name}"] for name in ("runs", "finished", "failed")}
    assert counts == {"runs": "6", "finished": "3", "failed": "1"}

    (fragile / "mended").touch()
    done = sweep(fragile, "fail_fast=true")
    assert done.returncode == 0, done.stderr
    assert "6 runs: 3 already there, 3 trained" in done.stdout
    (parent,) = sweeps(fragile)
    assert parent.info.status == "FINISHED" and len(finished(fragile)) == 6


def test_without_it_the_others_are_trained(fragile):
    assert sweep(fragile).returncode == 1
    assert len(finished(fragile)) == 5


def test_a_search_ends_too(fragile):
    ended = sweep(fragile, *SEARCH, "fail_fast=true", main="tests.searching:main")
    assert ended.returncode == 1 and "three is too much" in ended.stderr
    assert not (fragile / "worth.txt").exists()
    assert sweep(fragile, *SEARCH, main="tests.searching:main").returncode == 0


def test_a_pool_ends_too(fragile):
    """How many runs were being trained by then is the pool's own affair."""
    loky = ("hydra.launcher.executor=joblib.externals.loky.get_reusable_executor", "hydra.launcher.workers=1")
    ended = sweep(fragile, *loky, "fail_fast=true", main="shallowexp")
    assert ended.returncode == 1 and "three is too much" in ended.stderr
    assert [parent.info.status for parent in sweeps(fragile)] == ["FAILED"]
