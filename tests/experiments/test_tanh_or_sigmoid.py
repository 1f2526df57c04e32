"""The statement on tanh follows the runs, and its reason those that take the same step."""

from itertools import product

import pandas as pd
import pytest

from shallowexp.analysis import Runs
from shallowexp.claims.claim import find
from shallowexp.claims.statement import CONDITION, OTHER_REASON, RIGHT, WRONG, chapter, judge

SEEDS = range(6)


def runs(early: float, late: float, matched: float) -> Runs:
    """tanh's loss is 0.5; sigmoid's exceeds it by `early` and `late`, that of the same step by `matched`."""
    arms = {
        ("tanh", 0.01): (0.5, 0.5),
        ("sigmoid", 0.01): (0.5 + early, 0.5 + late),
        ("sigmoid", 0.02): (0.5 + matched, 0.5),
    }
    rows, steps = [], []
    for (data, ((activation, scale), losses)), seed in product(product(("flower", "wine"), arms.items()), SEEDS):
        row = {"data": data, "activation": activation, "init.scale": scale, "seed": seed}
        fingerprint = f"{len(rows):03d}"
        noise = 0.001 * (seed % 3) * (activation == "tanh")
        rows.append({"fingerprint": fingerprint, "outcome": "finished"} | row)
        steps += [row | {"fingerprint": fingerprint, "step": step, "train/loss": loss + noise}
                  for step, loss in zip((100, 1000), losses, strict=True)]  # fmt: skip
    return Runs(pd.DataFrame(rows).set_index("fingerprint"), pd.DataFrame(steps), {})


@pytest.mark.parametrize(
    ("excess", "expected"),
    [
        ((0.1, 0.1, 0.1), RIGHT),
        ((0.1, 0.1, 0.0), OTHER_REASON),  # all of it is the longer step
        ((0.1, 0.0, 0.1), CONDITION),
        ((-0.1, -0.1, 0.0), WRONG),
    ],
)
def test_tanh_is_better(excess, expected):
    atoms = list(find()["tanh_or_sigmoid"].load().atoms(runs(*excess)))
    assert judge(chapter()["10"], atoms).outcome == expected


@pytest.mark.parametrize(("matched", "outcome"), [(0.02, "holds"), (0.09, "contradicted")])
def test_the_step_and_the_mean_share_the_gap(matched, outcome):
    atoms = find()["tanh_or_sigmoid"].load().atoms(runs(0.1, 0.1, matched))
    shares = [a for a in atoms if a.role == "extension"]
    assert {a.outcome() for a in shares} == {outcome}
    assert [a.value for a in shares] == pytest.approx([2 * matched - 0.1 - 0.001] * 2)
