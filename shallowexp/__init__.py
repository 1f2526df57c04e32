"""shallowexp: how a shallow neural network starts to learn, one testable claim at a time."""

__version__ = "0.1.0"
