"""Colour and line style of the words that figures and MLflow's pages share."""

from zlib import crc32

STYLES = {
    "sigmoid": ("#832db6", "--"),
    "tanh": ("#3f90da", "-"),
    "relu": ("#bd1f01", "-."),
    "leaky_relu": ("#ffa90e", (0, (6, 1, 1, 1, 1, 1))),
    "identity": ("#717581", ":"),
    "zero": ("#595959", ":"),
    "constant": ("#FF800E", "--"),
    "random": ("#006BA4", "-"),
    "xavier": ("#5F9ED1", "-."),
    "he": ("#C85200", (0, (4, 1))),
    "lecun": ("#A2C8EC", (0, (3, 1, 1, 1, 1, 1))),
    "duplicate": ("#898989", (0, (1, 1))),
}
OTHERS = ("#e76300", "#333333", "#a96b59", "#b9ac70", "#92dadd")  # other words: the rest of petroff10, a near-black
LINE_STYLES = ("-", "--", "-.", ":")


def color(name: str) -> str:
    """The same colour for a word, always; a user's own words included."""
    return STYLES[name][0] if name in STYLES else OTHERS[crc32(name.encode()) % len(OTHERS)]
