"""docs/benchmarks.md, made from the committed results: `python -m benchmarks.page`."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from benchmarks import goals
from benchmarks.goals import GROWTH, JAX, KERNEL, PARTS, SCIKIT_LEARN
from benchmarks.results import Result, load

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
SHOWN = 4  # results, the newest first
CONTENDERS = {
    KERNEL: "kernel",
    JAX: "JAX",
    "PyTorch, networks stacked": "PyTorch stacked",
    "PyTorch, one by one": "PyTorch",
    "NumPy, the chapter's code": "NumPy, the chapter's",
    SCIKIT_LEARN: "scikit-learn",
}


def render() -> str:
    results = load()
    newest = results[0]
    names = {
        benchmark: [row["what"] for row in newest.rows if row["benchmark"] == benchmark]
        for benchmark in (GROWTH, PARTS)
    }

    def number(benchmark: str, what: str, column: str = "median") -> str:
        value = newest.value(benchmark, what, column)
        return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True, keep_trailing_newline=True
    )
    return templates.get_template("page.md.j2").render(
        newest=newest,
        results=results[:SHOWN],
        heading=heading,
        number=number,
        contenders=CONTENDERS,
        trained=dict.fromkeys(row["benchmark"] for row in newest.rows if row["benchmark"].startswith("training")),
        sizes=[int(name.split()[0]) for name in names[GROWTH]],
        parts=names[PARTS],
        **{name: value for name, value in vars(goals).items() if name.isupper()},
    )


def heading(result: Result) -> str:
    """A result's day and commit."""
    return f"{result.about['Date'].split()[0]}, {re.sub('.*commit ', '', result.about['Code'])[:7]}"


def write() -> None:
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write()
