"""Output, promises, step size, curves and vectorisation: hand-made runs for and against each claim, and the outcome."""

import json

import numpy as np
import pandas as pd
import pytest
from shallowexp.claims.verdict import CONDITIONAL, INCONCLUSIVE, REFUTED, SUPPORTED

from shallowexp.claims.claim import find
from shallowexp.network.data import Circles
from shallowexp.runs import Runs
from tests.experiments.kept import choices

SEEDS = range(6)
CLAIMS = find()


def runs(rows, steps=(), weights=None):
    """Runs of these rows; their histories are `steps`, dicts with the row's number under `run`."""
    table = pd.DataFrame(rows).assign(outcome="finished")
    table.index = pd.Index([f"{i:04d}" for i in range(len(table))], name="fingerprint")
    histories = pd.DataFrame(steps)
    if len(histories):
        histories["fingerprint"] = table.index[histories.pop("run")]
        params = table[[column for column in table if column not in histories]]
        histories = histories.join(params, on="fingerprint")
    return Runs(table, histories, weights or {})


def noise(seed):
    return 0.001 * np.sin(seed + 1)


def losses(**falls):
    """A run for each seed and learning rate (in hundredths), its losses from 1 on changing by these amounts."""
    rows, steps = [], []
    for rate, changes in falls.items():
        for seed in SEEDS:
            values = 1 + np.cumsum([0, *changes])
            steps += [{"run": len(rows), "step": i, "train/loss": value} for i, value in enumerate(values)]
            rows.append({"data": "flower", "seed": seed, "train.learning_rate": int(rate[1:]) / 100})
    return runs(rows, steps)


@pytest.mark.parametrize(
    ("made", "expected", "share"),
    [
        ({"r30": [-0.1, -0.1], "r120": [-0.1, -0.1]}, SUPPORTED, 0),
        ({"r30": [-0.1, -0.1], "r120": [-0.1, 0.05]}, CONDITIONAL, 0.5),
        ({"r30": [-0.1, 1e-14], "r120": [0.1, 0.1]}, CONDITIONAL, 1),
        ({"r30": [0.1, -0.1], "r120": [-0.1, 0.05]}, REFUTED, 0.5),
    ],
)
def test_step_size(made, expected, share):
    found = CLAIMS["step_size"].load().verdict(losses(**made))
    assert (found.outcome, found.effect.value) == (expected, share)


def test_a_gap_between_windows_is_no_step():
    falling = losses(r120=[-0.1, -0.1])
    falling.histories["step"] *= 10
    assert CLAIMS["step_size"].load().rises(falling).empty


def test_the_sharpness_is_the_largest_eigenvalue():
    module = CLAIMS["step_size"].load()
    run, parameters = network(np.full((2, 2), 0.3))
    run.data.X[:], run.data.Y[:] = 0, 0
    parameters = parameters._replace(W1=parameters.W1 * 0, W2=parameters.W2 * 0)
    # by hand: W2 and b1 have the mixed derivative mean(A2 - Y) = 1/2, so eigenvalues +-1/2; b2 has 1/4
    assert module.largest_eigenvalue(run, parameters) == pytest.approx(0.5, rel=1e-3)


def network(W1):
    from shallowexp.claims.replay import Replay
    from shallowexp.network.activations import Tanh
    from shallowexp.network.data import Moons
    from shallowexp.network.initializers import Parameters

    points = Moons(samples=20).draw()
    parameters = Parameters(W1, np.zeros((2, 1)), np.array([[1.0, -0.5]]), np.zeros((1, 1)))
    return Replay(points, Tanh(), np.array([0]), [parameters]), parameters


DATA = {"data": "circles", "data.samples": 200, "data.positive_rate": 0.5, "data.noise": 0.3, "data.factor": 0.5}


def kept(names, bias):
    """Runs whose weights were kept at steps 0 and 100: small W1, hidden biases `bias` of the activation's name."""
    rows, weights = [], {}
    draw = np.random.RandomState(0).randn
    for name in names:
        for seed in SEEDS:
            fields = {"activation.derivative_at_zero": 0.0, "activation.slope": 0.01}
            b1 = np.full((2, 3, 1), float(bias.get(name, 0)))
            W1 = 0.1 * draw(2, 3, 2)
            weights[f"{len(rows):04d}"] = {
                "steps": np.array([0, 100]), "W1": W1, "b1": b1, "W2": draw(2, 1, 3), "b2": np.zeros((2, 1, 1)),
                "choices": choices(Circles(seed=seed), name),
            }  # fmt: skip
            rows.append({"activation": name, "seed": seed, "data.seed": seed, **DATA, **fields})
    return runs(rows, weights=weights)


def times(ratio):
    forms = {"loop over samples and units": ratio, "loop over samples": 1.5, "matrix form": 1.0}
    rows = [{"form": form, "samples": 400, "median": t, "rounds": [t, t * 1.01]} for form, t in forms.items()]
    return json.dumps({"machine": "a test", "date": "2026-01-01", "units": 3, "inputs": 2, "rows": rows})


@pytest.mark.parametrize(("ratio", "expected"), [(100.0, SUPPORTED), (1.1, CONDITIONAL), (None, INCONCLUSIVE)])
def test_vectorisation(ratio, expected, tmp_path, monkeypatch):
    module = CLAIMS["vectorisation"].load()
    monkeypatch.setattr(module, "TIMES", tmp_path / "times.json")
    if ratio:
        module.TIMES.write_text(times(ratio))
    assert module.verdict(kept(("tanh", "relu"), {})).outcome == expected


def test_the_interval_of_times_is_over_rounds():
    found = CLAIMS["vectorisation"].load().verdict(kept(("tanh",), {}))
    assert found.over == "timing rounds"
    assert found.scope.endswith("not at m = 1.")
    assert any(part.startswith("times as fast, 1 sample: ") for part in found.parts)
    assert "the same wherever it is drawn" in found.notes


def test_forms_that_differ_and_are_not_faster_refute_vectorisation(tmp_path, monkeypatch):
    module = CLAIMS["vectorisation"].load()
    monkeypatch.setattr(module, "TIMES", tmp_path / "times.json")
    module.TIMES.write_text(times(0.5))
    monkeypatch.setattr(module, "ROUNDING", -1.0)
    assert module.verdict(kept(("tanh",), {})).outcome == REFUTED
