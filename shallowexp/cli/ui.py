"""`shallowexp-ui [SWEEP]`: MLflow's pages of the store that is used, opened at a sweep's charts."""

import argparse

from shallowexp import __version__
from shallowexp.cli.completion import completed
from shallowexp.cli.messages import one_message
from shallowexp.config.validate import require

MOST_PORT = 2**16 - 1


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="shallowexp-ui",
        description="Start MLflow's own server for this store, on this machine only, and open it at a sweep.",
    )
    parser.add_argument("sweep", nargs="?", default="latest", help="latest (default), a run id or an experiment")
    parser.add_argument("--port", type=int, help="default: a free one")
    parser.add_argument("--no-browser", action="store_true", help="only say the address")
    parser.add_argument("--version", action="version", version=__version__)
    with one_message():
        arguments = completed(parser, sweep=["latest"]).parse_args()
        port = arguments.port
        require(
            "--port", port, port is None or 0 <= port <= MOST_PORT, f"0 to {MOST_PORT}; without it a free one is taken"
        )
        from shallowexp.report.browsing import browse

        browse(arguments.sweep, port, not arguments.no_browser)
