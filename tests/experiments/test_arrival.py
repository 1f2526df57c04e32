"""promises: a run arrives at the first step within 0.02 nats of the best loss, if it also ends there."""

import pandas as pd

from shallowexp.analysis import Runs
from shallowexp.claims.claim import find

LOSSES = {  # by seed, after 10, 100 and 1000 steps
    0: (0.5, 0.215, 0.2),  # the best; there after 100
    1: (0.219, 0.21, 0.21),  # there after 10
    2: (0.21, 0.3, 0.4),  # was there, and left
    3: (0.5, 0.4, 0.22),  # 0.02 above is not within
}


def test_a_run_arrives_where_it_is_near_and_stays():
    rows = [
        {"fingerprint": f"{seed}", "seed": seed, "init.scale": 0.01, "step": step, "train/loss": loss}
        for seed, losses in LOSSES.items()
        for step, loss in zip((10, 100, 1000), losses, strict=True)
    ]
    histories = pd.DataFrame(rows)
    table = histories.groupby("fingerprint").last().drop(columns="step")
    found = find()["promises"].load()._arrival(Runs(table, histories, {}), 0.01)
    assert found.dropna().to_dict() == {0: 100, 1: 10}
    assert len(found) == 4
