"""A choice (a data set, an activation, initial weights, an output) as plain values, and back again."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any


def describe(choice: Any) -> dict[str, Any]:
    """The module, the name and the fields of a dataclass's instance: all that `rebuild` needs, and JSON can hold."""
    return {"module": type(choice).__module__, "name": type(choice).__qualname__, "fields": asdict(choice)}


def rebuild(description: Mapping[str, Any]) -> Any:
    """The instance that was described. Raises ImportError or AttributeError where its class is gone."""
    choice = getattr(import_module(description["module"]), description["name"])
    return choice(**description["fields"])
