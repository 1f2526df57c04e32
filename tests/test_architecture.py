"""Who may import whom: a table of rooms, held against whatever is found. `python -m tests.test_architecture [folder]` prints the picture, and
how many floors and arrows there are in a checkout.

Imports inside functions count as any other. A package or module that is in no row is refused, and so is a circle of modules.
"""

import ast
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMON = {"analysis", "errors", "provenance"}  # modules beside the rooms, for all of them
ROOMS = {  # a room: the rooms that it may import
    "network": set(),
    "training": {"network"},
    "config": {"network", "training"},
    "tracking": set(),
    "claims": {"network"},
    "models": {"network", "training", "config", "tracking"},
    "pool": {"config", "training"},
    "sweeps": {"network", "training", "config", "tracking", "claims", "models", "pool"},
    "report": {"config", "tracking", "claims", "sweeps", "fields"},
    "fields": {"network", "training", "config", "tracking", "claims", "pool", "sweeps"},
    "cli": {"config", "claims", "sweeps", "report", "fields"},
    "plugin": {"config"},
    "api": {"network", "training", "config", "tracking", "claims", "sweeps", "report", "fields"},
}
DOORS = {"__init__": {"api"}, "__main__": {"cli"}}  # files beside the rooms that nobody imports
FRAMEWORKS = {"mlflow", "sqlalchemy", "hydra", "omegaconf", "numba", "matplotlib", "sklearn", "distributed"}
MAY_USE = {  # a room: the frameworks that it may import; NumPy, pandas and the standard library are for all
    "network": {"sklearn"},
    "training": {"numba"},
    "config": {"hydra", "omegaconf"},
    "tracking": {"mlflow", "sqlalchemy"},
    "claims": {"matplotlib"},
    "models": {"mlflow"},
    "pool": {"distributed"},
    "sweeps": {"numba"},  # whose events say when it compiles
    "report": {"omegaconf"},
    "fields": {"omegaconf", "matplotlib"},
    "cli": {"hydra", "omegaconf"},
    "plugin": {"hydra", "omegaconf"},
    "api": {"omegaconf"},
    "provenance": {"omegaconf"},
}
READABLE = {"analysis", "claims", "network"}  # of the package what an experiment may import, beside these
TOOLS = {"numpy", "pandas", "matplotlib", "scipy"} | sys.stdlib_module_names


def imported(path: Path) -> list[str]:
    """Dotted names of everything that a file imports, wherever in it: `from a import b` is a.b."""
    return _imported(path.read_text())


@cache
def _imported(text: str) -> list[str]:
    return list(_imports(ast.parse(text)))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def place(path: Path, root: Path) -> str:
    """The room that a file is in, or its own name beside the rooms."""
    return path.relative_to(root / "shallowexp").parts[0].removesuffix(".py")


def violations(root: Path) -> list[str]:
    """A line for each import under root/shallowexp that the tables do not allow, and for each place that is in none."""
    return [line for path in sorted((root / "shallowexp").rglob("*.py")) for line in _refused(path, root)]


def _refused(path: Path, root: Path) -> Iterator[str]:
    here, file = place(path, root), path.relative_to(root)
    if here not in {*ROOMS, *COMMON, *DOORS}:
        yield f"{file} is in no row of the table"
    package = {p.stem for p in (root / "shallowexp").iterdir()}
    for name in imported(path):
        first, *rest = name.split(".")
        if first == "":
            yield f"{file}: relative import"
        elif first == "shallowexp" and rest and rest[0] in package:
            allowed = {here} | COMMON | (ROOMS | DOORS).get(here, set())
            if rest[0] not in allowed:
                yield f"{file} may not import shallowexp.{rest[0]}"
        elif first in FRAMEWORKS - MAY_USE.get(here, set()):
            yield f"{file} may not import {first}"


def module_graph(root: Path) -> dict[str, set[str]]:
    """Module -> the modules of shallowexp that it imports."""
    files = {
        ".".join(path.relative_to(root).with_suffix("").parts): path for path in (root / "shallowexp").rglob("*.py")
    }
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}

    def module(name: str) -> str:
        return name if name in files else name.rpartition(".")[0]

    return {
        name: {module(other) for other in imported(path) if other.startswith("shallowexp.")} - {name, "shallowexp"}
        for name, path in files.items()
    }


def room_graph(root: Path) -> dict[str, set[str]]:
    """Room -> the rooms and modules beside them that it imports."""
    files = list((root / "shallowexp").rglob("*.py"))
    graph: dict[str, set[str]] = {place(path, root): set() for path in files}
    for path in files:
        others = {name.split(".")[1] for name in imported(path) if name.startswith("shallowexp.")}
        graph[place(path, root)] |= others & {*graph} - {place(path, root)}
    return graph


def floors(graph: dict[str, set[str]]) -> list[list[str]]:
    """From the ground up: whatever imports nothing that is not on a floor below."""
    sorter, found = TopologicalSorter(graph), []
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        sorter.done(*ready)
        found.append(sorted(ready))
    return found


def picture() -> str:
    """ROOMS as a house, for CONTRIBUTING.md: a room may import rooms on floors below it."""
    inside = 35  # columns, which one, two, three or four rooms divide
    rows = ["".join(f"|{room:^{(inside + 1) // len(floor) - 1}}" for room in floor) + "|" for floor in floors(ROOMS)]
    house = [" " * (inside + 2)]
    for row in reversed(rows):
        house += ["".join("+" if "|" in pair else "-" for pair in zip(house[-1], row, strict=True)), row]
    return "\n".join([*house[1:], re.sub(r"[^|]", "-", rows[0]).replace("|", "+")])


def test_every_import_is_in_the_table():
    assert violations(ROOT) == []


def test_contributing_shows_these_rooms():
    assert f"```\n{picture()}\n```" in (ROOT / "CONTRIBUTING.md").read_text()


def test_no_module_is_part_of_a_circle():
    try:
        list(TopologicalSorter(module_graph(ROOT)).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {error.args[1]}")


PLANTED = [(room, f"import shallowexp.{other}") for room in ROOMS for other in {*ROOMS} - ROOMS[room] - {room}]
PLANTED += [(room, f"import {name}") for room in ROOMS for name in FRAMEWORKS - MAY_USE[room]]
PLANTED += [(name, f"import shallowexp.{room}") for name in COMMON for room in ROOMS]
PLANTED += [("network", "from . import data"), ("network", "def late():\n    from shallowexp import report")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "shallowexp", root / "shallowexp", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize(("where", "line"), sorted(PLANTED))
def test_a_planted_import_is_refused(where, line, copy):
    folder = copy / "shallowexp"
    path = folder / f"{where}.py" if where in COMMON else folder / where / "planted.py"
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        assert len(violations(copy)) == 1
    finally:
        path.write_text(before) if before else path.unlink()


@pytest.mark.parametrize("path", ["attic/__init__.py", "helpers.py"])
def test_what_is_in_no_row_is_refused(path, tmp_path):
    (tmp_path / "shallowexp" / path).parent.mkdir(parents=True)
    (tmp_path / "shallowexp" / path).write_text("")
    assert violations(tmp_path) == [f"shallowexp/{path} is in no row of the table"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").rglob("*.py")), ids=lambda p: f"{p.parent.stem}/{p.stem}"
)
def test_experiments_see_frames_and_the_pure_rooms(path):
    names = [name.split(".") for name in imported(path)]
    own = {"fields"} if path.parent.stem == "fields" else set()
    assert {name[1] for name in names if name[0] == "shallowexp"} <= READABLE | own
    assert {name[0] for name in names} - {"shallowexp"} <= TOOLS


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    print(picture())
    for what, graph in (("modules", module_graph(root)), ("rooms, with the modules beside them", room_graph(root))):
        print(f"{len(graph)} {what}, on {len(floors(graph))} floors, {sum(map(len, graph.values()))} arrows")
    for room in ROOMS:
        if (root / "shallowexp" / room).is_dir():
            files = list((root / "shallowexp" / room).rglob("*.py"))
            lines = sum(len(path.read_text().splitlines()) for path in files)
            print(f"{room:10} {len(files):3} files {lines:5} lines -> {', '.join(sorted(room_graph(root)[room]))}")
