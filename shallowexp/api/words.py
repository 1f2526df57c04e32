"""Values from Python in the words of Hydra's command line."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from shallowexp import provenance
from shallowexp.errors import ConfigError, nearest

PATHS = ("data.path", "data.target")  # whose text may hold commas
SEVERAL = re.compile(r",|^range\(")  # of the command line
SHOWN = 10  # values of a key in what a list of sweeps says


def one_run(choices: Mapping[str, Any]) -> list[str]:
    """Overrides of one run. Raises ConfigError for several values of a key that takes one."""
    for key, value in choices.items():
        if "." not in key and isinstance(value, Iterable) and not isinstance(value, str):
            raise ConfigError(
                f"{key}={value} are several values, but train takes one: sweep({{{key!r}: {value}}}) trains each"
            )
    return [f"{key}={_value(value)}" for key, value in choices.items()]


def products(
    params: Mapping[str, Any] | Iterable[Mapping[str, Any]], overrides: Iterable[str], choices: Mapping[str, Any]
) -> list[dict[str, list[str]]]:
    """What to sweep: of each mapping its keys' values. Raises ConfigError for what is no mapping, with the call that was meant."""
    asked = [params] if isinstance(params, Mapping) else _listed(params)
    if choices or not asked or not all(isinstance(mapping, Mapping) for mapping in asked):
        values = {**params, **choices} if isinstance(params, Mapping) else choices
        call = _as_mapping([word for word in (*asked, *overrides) if isinstance(word, str)], values)
        hint = "".join(nearest(key, ("experiment", "threads", "scheduler", "executor", "workers")) for key in choices)
        raise ConfigError(f"what to sweep is a mapping, or a list of them: {call}{hint}")
    for mapping in asked:
        for key, values in mapping.items():
            _require_list(key, values)
    return [{key: [*map(_value, _listed(values))] for key, values in mapping.items()} for mapping in asked]


def command(asked: Iterable[Mapping[str, Sequence[str]]], overrides: Iterable[str]) -> str:
    """The program, and what it sweeps in the words of the command line, long lists shortened."""
    told = [" ".join(f"{key}={_short(values)}" for key, values in mapping.items()) for mapping in asked]
    return " ".join([f"{provenance.program()}:", " | ".join(told), *overrides])


def _short(values: Sequence[str]) -> str:
    return ",".join(values if len(values) <= SHOWN else [*values[:3], "…", values[-1]])


def _listed(values: Any) -> list[Any]:
    return [*values] if isinstance(values, Iterable) and not isinstance(values, str) else [values]


def _as_mapping(words: Iterable[str], choices: Mapping[str, Any]) -> str:
    """The call that was meant by the command line's words, or by choices as `train` takes them."""
    swept, fixed = {key: repr(values) for key, values in choices.items()}, ""
    for word in words:
        key, _, text = word.partition("=")
        if SEVERAL.search(text):
            swept[key] = _several(text)
        else:
            fixed += f", {word!r}"
    mapping = ", ".join(f"{key!r}: {values}" for key, values in swept.items())
    return f"sweep({{{mapping}}}{fixed})" if swept else "sweep({'activation': ['tanh', 'relu']})"


def _require_list(key: str, values: Any) -> None:
    """Not the command line's text for several values."""
    if isinstance(values, str) and key not in PATHS and SEVERAL.search(values):
        written = f"{{{key!r}: {_several(values)}}}"
        raise ConfigError(f"{key}={values!r} is one text: several values are a list or a range, {written}")


def _several(text: str) -> str:
    """The command line's text for several values, in Python."""
    return text if text.startswith("range(") else repr(text.split(","))


def _value(value: Any) -> str:
    """As Hydra's command line has it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, (list, tuple, range)):
        return f"[{','.join(map(_value, value))}]"
    if isinstance(value, str) and not re.fullmatch(r"[\w.+-]+", value):
        return "'" + re.sub(r"(\\*)(')", r"\1\1\\'", value) + "'"
    return str(value.item() if isinstance(value, np.generic) else value)
