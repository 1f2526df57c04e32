"""`shallowexp-plot`: one figure of any sweep's runs, or of all runs of an experiment, without code."""

import argparse
from pathlib import Path

from shallowexp import __version__
from shallowexp.cli.completion import completed
from shallowexp.cli.messages import one_message
from shallowexp.errors import UserError, nearest

KEYS = ("x", "y", "z", "by", "panel", "kind", "pool")
WHAT = """\
x=step              what lies across: step, or a key that varied
y=train/loss        the metric; in a heat map the key that goes up
z=train/loss        the metric of a heat map, which then is drawn
by=activation       a color for each value        panel=init   a panel for each value
pool=data           medians are taken over this as well as over seeds
where.hidden_size=4 only these runs; several values with commas
kind=curves         or final, dots, heat: else as x and z ask for"""


def main() -> None:
    with one_message():
        _plot()


def _plot() -> None:
    parser = argparse.ArgumentParser(
        prog="shallowexp-plot",
        description="One figure of any sweep's runs. What varies and has no place of its own gets a panel for each value.",
        epilog=WHAT + "\n\nexample: shallowexp-plot --sweep latest x=init.scale y=train/loss by=activation -o loss.pdf",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("choices", nargs="*", metavar="key=value", help="what to draw, see below")
    parser.add_argument(
        "--sweep", action="append", metavar="SWEEP", help="latest (default), a run id or an experiment; may be repeated"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("plot.png"), help=".pdf, .svg, .png or .csv")
    parser.add_argument(
        "--width", default="page", choices=("page", "paper", "wide", "slides"),
        help="for the screen, one or two columns of a paper, or slides",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=__version__)
    words = [*(f"{key}=" for key in KEYS), "where."]
    arguments = completed(parser, choices=words, sweep=["latest"]).parse_intermixed_args()
    chosen: dict[str, str] = {}
    for word in arguments.choices:
        key, equals, value = word.partition("=")
        if not (equals and value) or not (key in KEYS or key.startswith("where.")):
            raise UserError(f"{word}: key=value is needed{nearest(key, KEYS)}; keys: {', '.join(KEYS)}, where.<key>")
        if key in chosen:
            raise UserError(f"{word}: {key} was chosen already, as {key}={chosen[key]}")
        chosen[key] = value
    from shallowexp.claims.choice import Choice
    from shallowexp.claims.plots import WIDTHS
    from shallowexp.report.sweeps import draw

    where = {
        key: [value if key == "sweep" else _value(value) for value in values.split(",")]
        for word, values in chosen.items()
        if (key := word.removeprefix("where.")) != word
    }
    plain = {key: chosen[key] for key in KEYS if key in chosen and key != "pool"}
    pool = [*filter(None, chosen["pool"].split(","))] if "pool" in chosen else ()
    choice = Choice(**plain, pool=pool, where=where)
    draw(arguments.sweep or ["latest"], choice, arguments.output, WIDTHS[arguments.width])


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
