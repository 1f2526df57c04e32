"""What a shell completes of the commands that argparse reads; Hydra completes `shallowexp` itself."""

import argparse
import os
from collections.abc import Iterable


def completed(parser: argparse.ArgumentParser, **words: Iterable[str]) -> argparse.ArgumentParser:
    """The parser; where a shell asks what could follow (through argcomplete), the answer instead, and the command ends.

    `words` are what an argument may be, by its name.
    """
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        for action in parser._actions:
            if action.dest in words:
                offered = [*words[action.dest]]
                action.completer = lambda offered=offered, **_: offered  # type: ignore[attr-defined]
        argcomplete.autocomplete(parser)
    return parser
