"""An experiment that is not in the chapter: two files, added to a working directory or to a copy of the project."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from shallowexp import CONF
from tests.commands import ROOT, ForkServer

NEW = '''"""Eight tanh units end below four.

Section: 6.2

Nobody (2026) has said so.
"""

from shallowexp.claims.vocabulary import Page, below


def figure(runs):
    """Nothing to see."""
    page = Page("a", (4, 3))
    page.strip("a", runs, "train/loss", "hidden_size")
    return page


def atoms(runs):
    pairs = runs.compare("train/loss", "hidden_size", 8, 4)
    yield from below(pairs, 0.01, "nats", "8 units end below 4", role="extension", scope="flower")
'''
YAML = """# @package _global_
hydra:
  mode: MULTIRUN
  sweeper:
    params: {hidden_size: "4,8", seed: range(3)}
train: {steps: 20}
log: {model: none}
"""


def add_experiment(folder: Path, name: str = "brand_new", code: str = NEW, sweep: str = YAML) -> None:
    for path, text in ((f"experiments/{name}.py", code), (f"conf/experiment/{name}.yaml", sweep)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def copy_of_the_project(folder: Path) -> Callable[[], ForkServer]:
    """Commands of a copy in `folder`, as it then is; it has the experiment (in NumPy: nothing there is compiled yet)."""
    for name in ("shallowexp", "conf", "experiments"):
        shutil.copytree(CONF.parent / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    add_experiment(folder, sweep=YAML.replace("steps: 20", "steps: 20, engine: numpy"))
    return partial(ForkServer, folder, PYTHONPATH=f"{folder}:{folder / 'shallowexp' / 'plugin'}:{ROOT}")
