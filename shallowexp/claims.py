"""A claim of the chapter and what the runs say of it: the words that experiments/*.py speak.

An experiment is a pair of files of one name: conf/experiment/<name>.yaml, its sweep, and experiments/<name>.py with

- a docstring: the claim in one sentence, its section, and what the literature adds;
- `figure(runs) -> (matplotlib Figure, DataFrame)`: the picture and the numbers drawn in it; the first line of its own
  docstring says what to see;
- `verdict(runs) -> Verdict`, whose docstring states the hypothesis, fixed before the runs.

Files are found, never listed: in the package and in ./experiments of the working directory.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from inspect import cleandoc
from math import isnan
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd

from shallowexp import EXPERIMENTS

SUPPORTED, REFUTED, CONDITIONAL, UNDECIDED = OUTCOMES = ("supported", "refuted", "conditional", "undecided")


class Undecided(ValueError):
    """What the runs that are there lack for a verdict; the report shows it in the verdict's place."""


class Runs(NamedTuple):
    """The tracked runs of one experiment, sorted by fingerprint, which is the index of `table` and the key everywhere."""

    table: (
        pd.DataFrame
    )  # a row each: run_id, params (activation, init.scale, ...; numbers as numbers), last metrics, outcome
    histories: (
        pd.DataFrame
    )  # a row for each run and logged step: fingerprint, step, a column for each metric, and the params
    weights: Mapping[
        str, Mapping[str, np.ndarray]
    ]  # steps (p,), W1 (p, n_h, n_x), b1, W2, b2 of the runs that kept them


class Estimate(NamedTuple):
    """An effect in raw units with its 95% interval: over seeds, or over what `Verdict.over` says."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    parts: Mapping[str, bool]  # of the hypothesis, by a name that has its number: whether it holds; pairs do as well
    measure: str  # what `effect` is, with its unit and what was compared
    effect: Estimate
    condition: str  # where the claim holds and where it stops: one or two short sentences, made from the runs
    notes: str = ""  # what else the runs say, beyond the hypothesis
    over: str = "seeds"  # what the effect's interval is over

    def __post_init__(self):
        pairs = list(self.parts.items() if isinstance(self.parts, Mapping) else self.parts)
        parts = {name: bool(holds) for name, holds in pairs}
        if len(parts) < len(pairs):
            names = sorted({name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1})
            raise ValueError(
                f"several parts of the hypothesis have one name, so some would be lost: {'; '.join(names)}"
            )
        object.__setattr__(self, "parts", parts)

    @property
    def outcome(self) -> str:
        """Supported where every part of the claim holds, refuted where none does, conditional between.

        Without a part, or with one seed, from which no interval follows, nothing is decided.
        """
        if not self.parts or isnan(self.effect.low):
            return UNDECIDED
        holds = self.parts.values()
        return SUPPORTED if all(holds) else CONDITIONAL if any(holds) else REFUTED


@dataclass(frozen=True)
class Claim:
    """One file of experiments/, found but not yet run."""

    name: str
    path: Path

    @property
    def docstring(self) -> str:
        """Read without running the file; empty where it cannot be parsed."""
        try:
            return ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or ""
        except SyntaxError:
            return ""

    @property
    def sentence(self) -> str:
        """The claim in one sentence: the docstring's first paragraph."""
        return " ".join(self.docstring.split("\n\n")[0].split())

    @property
    def section(self) -> str:
        """The chapter's section, from the line `Section: 6.4`."""
        found = re.search(r"^Section: (.+)$", self.docstring, re.MULTILINE)
        return found[1].strip() if found else ""

    def load(self) -> ModuleType:
        """Run the file. Raises what it raises, and AttributeError where `figure` or `verdict` is missing."""
        spec = spec_from_file_location(f"experiments.{self.name}", self.path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        for function in ("figure", "verdict"):
            if not callable(getattr(module, function, None)):
                raise AttributeError(f"{self.path} has no function {function}(runs)")
        return module


def find() -> dict[str, Claim]:
    """Every experiment, by name, in the chapter's order; of two with one name the package's own."""
    folders = dict.fromkeys([Path.cwd() / "experiments", EXPERIMENTS])
    found = {path.stem: Claim(path.stem, path) for folder in folders for path in folder.glob("[!_]*.py")}
    return dict(sorted(found.items(), key=lambda item: (item[1].section, item[0])))


def first_paragraph(function: Callable) -> str:
    """Of its docstring: what to see in a figure, what a verdict tests, with its module's constants as their values."""
    text = " ".join(cleandoc(function.__doc__ or "").split("\n\n")[0].split())
    return re.sub(r"\b[A-Z]{3,}\b", lambda name: str(function.__globals__.get(name[0], name[0])), text)
