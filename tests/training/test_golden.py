"""What 60 networks gave with each engine: to the last bit in the environment of golden.json, elsewhere to rounding.

`python -m tests.training.golden` makes it anew, where a change of the network's modules means other bits.
"""

import json

import pytest

from tests.training import golden

KEPT = json.loads(golden.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found():
    return golden.trained()


def test_losses_are_what_they_were_in_any_environment(found):
    losses = {name: golden.loss(result) for name, result in found.items()}
    tolerances = {name: 1e-4 if "float32" in name else 1e-12 for name in losses}
    assert losses == {name: pytest.approx(kept, rel=tolerances[name]) for name, kept in KEPT["losses"].items()}


def test_every_bit_is_as_it_was(found):
    here, made = golden.environment(), KEPT["environment"]
    if other := [f"{key}: {here[key]}, not {value}" for key, value in made.items() if here[key] != value]:
        pytest.skip(f"made in another environment: {'; '.join(other)}")
    assert {name: golden.digest(result) for name, result in found.items()} == KEPT["digests"]
