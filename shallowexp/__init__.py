"""shallowexp: how a shallow neural network starts to learn, one testable claim at a time."""

from pathlib import Path

__version__ = "0.1.0"


def _folder(name: str) -> Path:
    """conf/ and experiments/: inside the package in a wheel, beside it in a checkout."""
    inside = Path(__file__).parent / name
    return inside if inside.is_dir() else inside.parent.parent / name


CONF = _folder("conf")
EXPERIMENTS = _folder("experiments")
