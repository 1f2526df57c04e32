"""`make bench`: everything measured in one run, as a table and as benchmarks/results/<date>.json."""

import argparse
import json
import platform
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import sweeps, training

PARTS = {"training": training.rows, "sweeps": sweeps.rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rows = [row for part in arguments.parts for row in PARTS[part](arguments.rounds)]
    machine = {
        "date": datetime.now().isoformat(timespec="seconds"),
        "machine": platform.processor() or platform.machine(),
    }
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{datetime.now():%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps(machine | {"python": platform.python_version(), "rows": rows}, indent=1))
    show(rows)
    print(f"written: {path}")


def show(rows: list[dict]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in columns))
    Console(width=200, soft_wrap=True).print(table)


def _cell(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
