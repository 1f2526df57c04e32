"""A claim of the chapter: the file of experiments/ that holds it.

An experiment is a pair of files of one name: conf/experiment/<name>.yaml, its sweep, and experiments/<name>.py with

- a docstring: the claim in one sentence, its section, and what the literature adds;
- `figure(runs) -> Page`: the picture and the numbers drawn in it; the first line of its own
  docstring says what to see;
- `atoms(runs) -> Iterable[Atom]`: the hypotheses, fixed before the runs, and what the runs say of each.

What fields say is in experiments/fields/, a file for a choice of conf/field/ (fields/statements.py).
Files are found, never listed: in the package and in ./experiments of the working directory.
"""

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from inspect import cleandoc, getsourcelines, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from shallowexp import EXPERIMENTS, search_here

if TYPE_CHECKING:
    from shallowexp.analysis import Runs
    from shallowexp.claims.page import Page
    from shallowexp.claims.statement import Atom

FIELDS = "fields"  # the folder of experiments/ for them, and the MLflow experiment of those without a name
MAKERS = "as below(), within() and theorem() make"


class Experiment(Protocol):
    """A file of experiments/, run: what the report asks of it."""

    def figure(self, runs: "Runs") -> "Page": ...

    def atoms(self, runs: "Runs") -> "Iterable[Atom]": ...


@dataclass(frozen=True)
class Claim:
    """One file of experiments/, found but not yet run."""

    name: str
    path: Path

    @cached_property
    def docstring(self) -> str:
        """Read once, without running the file; empty where it cannot be parsed."""
        try:
            return ast.get_docstring(ast.parse(self.path.read_bytes())) or ""
        except (SyntaxError, ValueError):
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

    def load(self, functions: Sequence[str] = ("figure(runs)", "atoms(runs)")) -> "Experiment":
        """Run the file. Raises what it raises, and AttributeError where a function is missing."""
        if self.path.parent not in (EXPERIMENTS, EXPERIMENTS / FIELDS):
            search_here()
        spec = spec_from_file_location(f"experiments.{self.name}", self.path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.path} is no Python file")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        for function in functions:
            if not callable(getattr(module, function.partition("(")[0], None)):
                raise AttributeError(f"{self.path} has no function {function}")
        return cast("Experiment", module)


def find(folder: str = "") -> dict[str, Claim]:
    """Every experiment, by name, in the chapter's order; of two with one name the package's own. In a `folder`: of fields."""
    folders = dict.fromkeys([Path.cwd() / "experiments" / folder, EXPERIMENTS / folder])
    files = (path for folder in folders for path in folder.glob("[!_]*.py") if path.is_file())
    found = {path.stem: Claim(path.stem, path) for path in files}
    return dict(sorted(found.items(), key=lambda item: (item[1].section, item[0])))


def state(module: Experiment, *measured: Any) -> "tuple[list[Atom], str]":
    """Its atoms of what was measured; none, and why, where that lacks what they need."""
    from shallowexp.analysis import Lacking
    from shallowexp.claims.statement import Atom

    yielded = module.atoms(*measured)
    if not isinstance(yielded, Iterable):
        raise mistaken(module.atoms, f"returns {type(yielded).__name__}: Atoms are needed, {MAKERS}")
    try:
        atoms = list(yielded)
    except Lacking as lack:
        return [], str(lack)
    for found in atoms:
        if not isinstance(found, Atom):
            raise mistaken(module.atoms, f"yields {type(found).__name__}: an Atom is needed, {MAKERS}")
    return atoms, ""


def mistaken(function: Callable[..., object], what: str) -> TypeError:
    call = f"{function.__name__}({', '.join(signature(function).parameters)})"
    return TypeError(f"{call}, line {getsourcelines(function)[1]}, {what}")


def first_paragraph(function: Callable[..., Any]) -> str:
    """Of its docstring: what to see in a figure, what a verdict tests, with its module's constants as their values."""
    text = " ".join(cleandoc(function.__doc__ or "").split("\n\n")[0].split())
    return re.sub(r"\b[A-Z]{3,}\b", lambda name: str(function.__globals__.get(name[0], name[0])), text)
