"""`python -m benchmarks.server`: a sweep through an `mlflow server` on PostgreSQL, in Markdown for docs/scale.md.

Both servers run beside the command, on the same cores.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.sweeps import SHALLOWEXP, Took, measured
from tests.servers import mlflow, postgresql

RUNS = 10_000
REPORT = str(Path(sys.executable).parent / "shallowexp-report")


def measure(runs: int) -> Iterable[tuple[str, Took]]:
    sweep = [SHALLOWEXP, "-m", "hidden_size=2,4,8,16", f"seed=range({runs // 4})", "train.steps=200"]
    with tempfile.TemporaryDirectory() as name, postgresql() as database:
        folder, words = Path(name), ("server", "--backend-store-uri", database)
        with mlflow(*words, folder=folder, health="/health") as server:
            yield "trained and written", measured(sweep, folder, server.url)
            yield "resumed, with nothing to do", measured(sweep, folder, server.url)
            yield "a sweep's page", measured([REPORT, "--sweep", "latest"], folder, server.url)


def page(runs: int, found: Iterable[tuple[str, Took]]) -> Iterable[str]:
    yield f"| {runs:,} runs through `mlflow server` on PostgreSQL | whole command | a run | its processor time | peak memory |"
    yield "| --- | --- | --- | --- | --- |"
    for what, took in found:
        each = f"{1e3 * took.seconds / runs:.1f} ms"
        yield f"| {what} | {took.seconds:,.0f} s | {each} | {took.processor:,.0f} s | {took.memory:,.0f} MiB |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    runs = parser.parse_args().runs
    for line in page(runs, measure(runs)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
