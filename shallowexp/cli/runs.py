"""`shallowexp-runs`: the sweeps and fields that are tracked; `shallowexp-runs delete NAME` deletes one."""

import argparse

from shallowexp import __version__
from shallowexp.cli.completion import completed
from shallowexp.cli.messages import one_message


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="shallowexp-runs", description="The sweeps and fields that are tracked, newest first."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="delete")
    delete = commands.add_parser(
        "delete",
        help="delete a sweep or a field with its runs and artifacts",
        description="Runs that it reused stay: they are other sweeps'.",
    )
    delete.add_argument("name", help="latest, or the beginning of its run id")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.add_argument("--shared", action="store_true", help="from a server or a database, which others may use, too")
    with one_message():
        arguments = completed(parser).parse_args()
        from shallowexp.report import tracked_sweeps

        if arguments.command == "delete":
            tracked_sweeps.delete(arguments.name, arguments.yes, arguments.shared)
        else:
            tracked_sweeps.show()
