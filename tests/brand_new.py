"""An experiment that is not in the chapter: two files, added to a working directory or to a copy of the project."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from shallowexp import CONF
from tests.commands import MAINS, process

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


def copy_of_the_project(folder: Path, cwd: Path) -> Callable[..., subprocess.CompletedProcess]:
    """`process` with the commands of a copy in `folder`, which has the experiment (in NumPy: nothing there is compiled yet)."""
    for name in ("shallowexp", "conf", "experiments"):
        shutil.copytree(CONF.parent / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    add_experiment(folder, sweep=YAML.replace("steps: 20", "steps: 20, engine: numpy"))

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
        code = f"from pkgutil import resolve_name; resolve_name('{MAINS[program]}')()"
        return process(
            "python", "-c", code, *arguments, cwd=cwd, PYTHONPATH=f"{folder}:{folder / 'shallowexp' / 'plugin'}"
        )

    return run
