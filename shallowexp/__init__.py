"""shallowexp: how a shallow neural network starts to learn, one testable claim at a time."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shallowexp.api import Field as Field
    from shallowexp.api import Page as Page
    from shallowexp.api import Trained as Trained
    from shallowexp.api import field as field
    from shallowexp.api import plot as plot
    from shallowexp.api import runs as runs
    from shallowexp.api import sweep as sweep
    from shallowexp.api import train as train

__version__ = "0.1.0"


def _folder(name: str) -> Path:
    """conf/ and experiments/: inside the package in a wheel, beside it in a checkout."""
    inside = Path(__file__).parent / name
    return inside if inside.is_dir() else inside.parent.parent / name


CONF = _folder("conf")
EXPERIMENTS = _folder("experiments")
# of shallowexp.api, which is imported once one is asked for
PUBLIC = ("Field", "Page", "Trained", "field", "plot", "runs", "sweep", "train")


def search_here() -> None:
    """From now on modules of the working directory can be imported: the user has named something of their own there."""
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module("shallowexp.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
