"""The notebooks run from an empty folder, cell by cell, and what a cell ends with shows itself."""

import ast
import json
from pathlib import Path

import pytest

from tests.commands import process

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def program(notebook: Path) -> str:
    """Its cells as one program, which tells how each cell's last value is shown."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = ["def show(value):", "    ways = [way for way in ('_repr_png_', '_repr_html_') if hasattr(value, way)]"]
    lines += ["    assert all(getattr(value, way)() for way in ways)", "    print('shown:', *ways)"]
    for cell in cells:
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            if isinstance(tree.body[-1], ast.Expr):
                tree.body[-1].value = ast.Call(ast.Name("show", ast.Load()), [tree.body[-1].value], [])
            lines.append(ast.unparse(ast.fix_missing_locations(tree)))
    return "\n".join(lines)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, workplace):
    done = process("python", "-c", program(notebook), cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("_repr_png_") >= 3  # figures
    assert "_repr_html_" in done.stdout  # tables


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_kept_that_could_grow_stale(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
