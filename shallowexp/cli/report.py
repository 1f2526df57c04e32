"""`shallowexp-report`: figures, and what tracked runs say of the chapter."""

import argparse
import gc
import sys
from pathlib import Path

from shallowexp import __version__
from shallowexp.claims.claim import find
from shallowexp.cli.completion import completed
from shallowexp.cli.messages import one_message
from shallowexp.errors import nearest
from shallowexp.report.nothing import require_runs


def main() -> None:
    """`shallowexp-report [names] [--output report] [--train] [--list]`: figures, and what tracked runs say of the chapter."""
    gc.set_threshold(
        100_000, 50, 100
    )  # thousands of configurations stay alive: searching them for garbage is a tenth of composing
    with one_message():
        sys.exit(_report())


def _report() -> int:
    found = find()
    parser = argparse.ArgumentParser(
        prog="shallowexp-report", description="Figures, and what tracked runs say of the chapter."
    )
    parser.add_argument(
        "names", nargs="*", metavar="experiment", help=f"one or more of {', '.join(found)} (default: all)"
    )
    parser.add_argument("--output", type=Path, help="folder to write (default: report, or one below it for a sweep)")
    parser.add_argument(
        "--sweep", action="append", metavar="SWEEP",
        help="a page of any sweep instead: latest, a run id or an experiment; may be repeated",
    )  # fmt: skip
    parser.add_argument("--log", action="store_true", help="keep that page among the sweep's artifacts in MLflow too")
    parser.add_argument(
        "--train", action="store_true", help="first train the runs that are missing from the experiments' sweeps"
    )
    parser.add_argument("--list", action="store_true", help="list the experiments and their claims")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = completed(parser, names=found, sweep=["latest", *found]).parse_args()
    if arguments.list:
        print("\n".join(f"{name:20} {claim.section:8} {claim.sentence}" for name, claim in found.items()))
        return 0
    names = [name for word in arguments.names for name in word.split(",")]
    for name in names:
        if name not in found:
            parser.error(f"there is no experiment {name!r}{nearest(name, found)}; choices: {', '.join(found)}")
    if arguments.sweep:
        if arguments.names or arguments.train:
            parser.error("--sweep stands alone: it is of any sweep's runs, the names are of experiments")
        from shallowexp.report import sweep_page

        print(f"written: {sweep_page.write(arguments.sweep, arguments.output, arguments.log)}")
        return 0
    if arguments.log:
        parser.error("--log is of a sweep's page: add --sweep")
    asked = list(dict.fromkeys(names)) or list(found)
    if not arguments.train:
        require_runs(asked)
    from shallowexp.report.pipeline import write_report

    return write_report(found, asked, arguments.output or Path("report"), arguments.train)
