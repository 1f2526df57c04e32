"""`make bench`: everything measured in one run, held against the goals, kept in benchmarks/results/ and written into docs/benchmarks.md."""

import argparse
import os
from datetime import datetime

from rich.console import Console
from rich.table import Table

from benchmarks import fields, page, peak, results, sweeps, training
from benchmarks.goals import GOALS
from shallowexp.provenance import about

# Sweeps first: a child's peak memory counts what its parent held when it was started, and the peers of training hold much.
PARTS = {"sweeps": sweeps.rows, "fields": fields.rows, "peak": peak.rows, "training": training.rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], help="only these, printed and not kept")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    made = {"Date": f"{datetime.now():%Y-%m-%d %H:%M}", "Load before": f"{os.getloadavg()[0]:.1f}"}
    rows = [row for part in arguments.parts or PARTS for row in PARTS[part](arguments.rounds)]
    result = results.Result(about() | made | {"Rounds": str(arguments.rounds)}, rows)
    Console().print(table(result))
    for what, error in {row["what"]: row["missing"] for row in rows if "missing" in row}.items():
        print(f"not measured: {what} ({error})")
    if not arguments.parts:
        print(f"written: {result.save()}")
        page.write()


def table(result: results.Result) -> Table:
    """The goals beside what was measured now and the last time."""
    found = Table("what", "measured", "last time", "goal", "met")
    last = results.load()[0]
    for goal in GOALS:
        if goal.of(result) is not None:
            found.add_row(goal.what, goal.measured(result), goal.measured(last), str(goal), goal.met(result))
    return found


if __name__ == "__main__":
    main()
