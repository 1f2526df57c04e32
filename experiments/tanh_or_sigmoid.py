"""In the hidden layer tanh generally does somewhat better than sigmoid, because its values have mean zero.

Section: 6.2.2

tanh(z) = 2 sigmoid(2z) - 1, so a sigmoid network with 2 W1, 2 b1, 2 W2, b2 - sum W2 is the same function: all that can
differ is the descent. There two things differ, and the chapter names one. A gradient step on those doubled weights
moves the function a quarter as far, since sigmoid' is at most 1/4: four times the learning rate undoes that. What is
then left is the mean (with b2, which now moves four times as fast): activations around 1/2 tie W2 to b2 and enlarge
the largest curvature (LeCun et al. 1998, 4.3 and 4.4). Beyond |z| = 1.66 sigmoid' is the larger slope.
"""

from collections.abc import Iterator

import pandas as pd

from shallowexp.claims.vocabulary import Atom, Comparison, Page, Runs, below

LOSS = "train/loss"
EARLY, END = 100, 1000  # steps
MARGIN, UNIT = 0.01, "nats"  # of training loss
TANH, SIGMOID, MATCHED = "tanh", "sigmoid", "sigmoid, 2 W, rate x 4"


def arm(frame: pd.DataFrame) -> pd.Series:
    """Which of the three comparisons' sides a run is."""
    matched = (frame["activation"] == SIGMOID) & (frame["init.scale"] == 0.02)
    return frame["activation"].mask(matched, MATCHED)


CARD = "loss"


def figure(runs: Runs) -> Page:
    """At the same rate tanh is far ahead of sigmoid; a sigmoid that takes the same step all but catches up."""
    page = Page([["loss", "gaps"]], size=(11, 4.4), width_ratios=[1, 1.1])
    page.curves("loss", runs.label(arm=arm).where(data="flower"), LOSS, by="arm")
    page["loss"].set(title="flower, 4 units", ylabel="training loss")
    prefix = {"stated": "same rate", "reason": "same step", "extension": "step less mean"}
    page.intervals("gaps", atoms(runs), row=lambda a: f"{prefix[a.role]}, {a.scope}")
    page["gaps"].set(title="tanh minus sigmoid", xlabel="nats of training loss; left: tanh is better")
    return page


def atoms(runs: Runs) -> Iterator[Atom]:
    same, matched = ({step: _gaps(runs, step, rival) for step in (EARLY, END)} for rival in (SIGMOID, MATCHED))
    tests = {"by": ("place",), "statement": "10"}
    for gaps in same.values():
        yield from below(gaps, MARGIN, UNIT, "tanh has a lower loss than sigmoid at the same rate", **tests)
    same_step = "tanh has a lower loss than a sigmoid that takes the same step, so that only the mean differs"
    yield from below(matched[EARLY], MARGIN, UNIT, same_step, role="reason", **tests)
    total, mean = (gaps[EARLY].differences.droplevel("arm") for gaps in (same, matched))
    step_less_mean = same[EARLY]._replace(differences=total - 2 * mean)
    longer_step = "of the gap at the same rate tanh's longer step makes more than its mean does"
    yield from below(step_less_mean, MARGIN, UNIT, longer_step, role="extension", **tests)


def _gaps(runs: Runs, step: int, rival: str) -> Comparison:
    places = runs.label(arm=arm, place=lambda frame: frame["data"].str.replace("_", " ") + f" after {step} steps")
    return places.at(step).compare(LOSS, "arm", TANH, rival, pair=("place", "seed"))
