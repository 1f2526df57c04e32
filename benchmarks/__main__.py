"""`make bench`: everything measured in one run, as tables and as benchmarks/results/<date>.json."""

import argparse
import json
import os
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import sweeps, training
from shallowexp.provenance import about

# Sweeps first: a child's peak memory counts what its parent held when it was started, and the peers of training hold much.
PARTS = {"sweeps": sweeps.rows, "training": training.rows}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])  # none: all
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    made = about() | {"Date": f"{datetime.now():%Y-%m-%d %H:%M}", "Load before": f"{os.getloadavg()[0]:.1f}"}
    rows = []
    for part in arguments.parts or PARTS:
        found = PARTS[part](arguments.rounds)
        show(part, found)
        rows += found
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now():%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps(made | {"rows": rows}, indent=1))
    print("\n".join(f"{name}: {value}" for name, value in made.items()), f"written: {path}", sep="\n")


def show(title: str, rows: list[dict]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in columns))
    Console(width=200, soft_wrap=True).print(table)


def _cell(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
