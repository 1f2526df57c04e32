"""`shallowexp-rerun RUN_ID`: trains a tracked run again and says whether every metric comes out the same, to the bit."""

import argparse
import sys

from shallowexp import __version__
from shallowexp.cli.completion import completed
from shallowexp.cli.messages import one_message


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="shallowexp-rerun", description="Train a tracked run again: is every metric the same, to the bit?"
    )
    parser.add_argument("run_id", help="id of a run of shallowexp in MLFLOW_TRACKING_URI (default: ./mlflow.db)")
    parser.add_argument("--version", action="version", version=__version__)
    with one_message():
        run_id = completed(parser).parse_args().run_id
        from shallowexp.sweeps.rerun import rerun

        sys.exit(rerun(run_id))
