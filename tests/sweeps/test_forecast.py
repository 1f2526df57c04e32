"""What a dry run promises: bytes against those of a real store, and that what costs more is reckoned to cost more."""

import re
from pathlib import Path

import pytest

from shallowexp.config.composition import compose_one
from shallowexp.config.runs import plan
from shallowexp.sweeps.batches import core_seconds
from tests.commands import command

BLOCK = 4096


def on_disk(path: Path) -> int:
    """As file systems count: blocks, folders too."""
    return max(BLOCK, -(-path.stat().st_size // BLOCK) * BLOCK) if path.is_file() else BLOCK


def bytes_there(folder: Path) -> tuple[int, int]:
    """In the database, and in all other files."""
    files = [path for name in ("mlruns", "multirun") for path in (folder / name).rglob("*")]
    return (folder / "mlflow.db").stat().st_size, sum(map(on_disk, files))


def promised(message: str) -> list[float]:
    scales = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
    return [float(n) * scales[unit] for n, unit in re.findall(r"([\d.]+) ([kMG]B)", message)]


@pytest.mark.parametrize(
    "overrides",
    [
        ["log.points=3", "log.weights=none", "log.model=none"],
        ["log.points=150", "log.weights=all", "hidden_size=30"],
        ["log.points=20", "log.weights=first", "log.model=all", "data=iris"],
    ],
)
def test_the_bytes_of_a_dry_run_are_those_of_the_sweep(workplace, overrides):
    sweep = ("-m", "seed=range(12)", "train.steps=200", "train.learning_rate=0.1", *overrides)
    dry = command("shallowexp", *sweep, "dry_run=true", cwd=workplace)
    before = bytes_there(workplace)
    done = command("shallowexp", *sweep, cwd=workplace)
    assert done.returncode == 0, done.stderr
    grown = [after - b for after, b in zip(bytes_there(workplace), before, strict=True)]
    assert promised(dry.stdout) == [pytest.approx(n, rel=0.25) for n in grown]
    again = command("shallowexp", *sweep, "dry_run=true", cwd=workplace)
    assert again.stdout.strip() == "12 runs: 12 already there, 0 to train"


def seconds(*overrides: str) -> float:
    (run,) = plan([compose_one(overrides)])
    return core_seconds(run)


@pytest.mark.parametrize(
    ("cheap", "dear"),
    [
        (["train.batch_size=10"], []),
        (["train.batch_size=1"], ["train.batch_size=300"]),
        (["train.engine=numpy"], ["train.engine=numpy", "optimizer=adam"]),
        ([], ["log.every=1"]),
        ([], ["train.engine=numpy"]),
    ],
)
def test_what_is_more_work_takes_longer(cheap, dear):
    assert seconds(*cheap) < seconds(*dear)


def test_minibatches_of_all_samples_are_as_much_work_as_no_minibatches():
    assert seconds("train.batch_size=400") == seconds()
