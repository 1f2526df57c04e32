"""What fields say: over seeds of one configuration, whose zooms are told from fields of other axes; the shipped files on fields made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from shallowexp import CONF
from shallowexp.analysis import Lacking
from shallowexp.claims.claim import FIELDS, Claim, find
from shallowexp.claims.statement import CONTRADICTED, HOLDS, INCONCLUSIVE, NO_DIFFERENCE
from shallowexp.fields.field import Axis, Field
from shallowexp.fields.statements import findings

COUNTS = '''"""How many."""

from shallowexp.claims.vocabulary import theorem

def atoms(fields, zooms):
    yield theorem(True, "counted", role="extension", detail=f"{len(fields)} fields, {len(zooms)} zooms")
'''


def field(seed: int, x=("init.scale", 1e-3, 1e2), y=("train.learning_rate", 1e-3, 1e3), losses=None, **more) -> Field:
    """Of 21 x 25 pixels; `losses(x, y)` gives those of a grid."""
    across, up = Axis(*x, "log", 21), Axis(*y, "log", 25)
    grid = np.meshgrid(across.values, up.values)
    loss = losses(*grid) if losses else np.ones((25, 21))
    arrays = {"train/loss": loss, "diverged/step": np.full((25, 21), np.nan)} | more.pop("arrays", {})
    params = {"activation": "tanh", "hidden_size": "4", "data": "flower", "data.seed": f"1{seed}", "seed": str(seed)}
    return Field(across, up, arrays, params | more.pop("params", {}), 0.5, 0.69, "train/loss", **more)


def counts(tmp_path, fields) -> dict[str, str]:
    """Scope -> what was handed over."""
    (tmp_path / "mine.py").write_text(COUNTS)
    atoms, _ = findings(Claim("mine", tmp_path / "mine.py"), fields)
    return {atom.scope: atom.detail for atom in atoms}


def test_fields_that_only_their_seeds_tell_apart_are_one_scope_and_others_their_own(tmp_path):
    relu = {"activation": "relu", "activation.slope": "0.0"}
    fields = [field(seed) for seed in range(3)] + [field(seed, params=relu) for seed in range(2)]
    assert counts(tmp_path, fields) == {"tanh": "3 fields, 0 zooms", "relu": "2 fields, 0 zooms"}
    leaky = [field(0, params={"activation": "leaky", "activation.slope": slope}) for slope in ("0.1", "0.2")]
    assert [*counts(tmp_path, [field(0), *leaky])] == ["tanh", "leaky, slope 0.1", "leaky, slope 0.2"]


def test_a_seed_counts_once_and_fields_of_other_axes_or_losses_not_at_all(tmp_path):
    others = [field(3, x=("init.scale", 1e-2, 1e2)), replace(field(4), loss=0.4)]
    assert counts(tmp_path, [field(0), field(0), field(1), *others]) == {"": "2 fields, 0 zooms"}


def test_zooms_are_those_into_the_fields_of_the_scope(tmp_path):
    inside, outside = ("init.scale", 1e-2, 1.0), ("init.scale", 1e-2, 1e3)
    fields = [field(7, x=inside, window=1), field(0, x=outside, window=1), field(0, x=inside, window=1), field(0)]
    assert counts(tmp_path, fields) == {"": "1 fields, 1 zooms"}
    assert counts(tmp_path, fields[3:]) == {"": "1 fields, 0 zooms"}


def test_the_nearest_value_of_an_axis_is_by_ratio_and_one_off_it_is_lacking(tmp_path):
    axis = Axis("init.scale", 0.01, 100, "log", 5)
    assert [axis.nearest(value) for value in (0.01, 0.03, 0.04, 9, 31, 33, 100)] == [0, 0, 1, 3, 3, 4, 4]
    assert Axis("x", 0, 10, "linear", 11).nearest(3.4) == 3
    with pytest.raises(Lacking, match=r"init.scale=0.001 is not among 0.01 to 100"):
        axis.nearest(0.001)
    narrow = [field(seed, x=("init.scale", 0.1, 100)) for seed in range(3)]
    assert findings(find(FIELDS)["trainability"], narrow) == ([], "init.scale=0.01 is not among 0.1 to 100")


def outcomes(name: str, fields) -> list[str]:
    atoms, lacks = findings(find(FIELDS)[name], fields)
    assert not lacks
    return [atom.outcome() for atom in atoms]


def jitter(seed: int) -> float:
    return 1 + 0.01 * seed


def test_every_field_that_is_shipped_has_its_statements():
    assert {*find(FIELDS)} == {path.stem for path in (CONF / "field").glob("*.yaml")}


@pytest.mark.parametrize(("large", "expected"), [(2.0, [HOLDS, HOLDS, HOLDS]), (0.25, [HOLDS, NO_DIFFERENCE, HOLDS])])
def test_trainability_compares_each_scale_at_its_best_rate(large, expected):
    def losses(scale, rate):
        least = np.where(scale > 50, large, np.where(scale > 0.5, 0.2, 0.25))
        return least + np.log10(rate / 10 * scale**0.25) ** 2

    fields = [field(seed, losses=lambda x, y, s=seed: losses(x, y) * jitter(s)) for seed in range(5)]
    assert outcomes("trainability", fields) == expected


def apart(seed: int, decades: dict[float, int]) -> Field:
    """Units are apart from 10^decade on, at each rate."""

    def units(noise, rate):
        nearest = min(decades, key=lambda each: abs(np.log(each / rate)))
        return 4.0 if noise >= 10.0 ** (decades[nearest] - 0.01 * seed) else 1.0

    made = field(seed, x=("init.noise", 1e-16, 1e-2), y=("train.learning_rate", 1e-2, 1e2))
    return replace(
        made,
        arrays=made.arrays
        | {"symmetry/effective_units": np.vectorize(units)(*np.meshgrid(made.x.values, made.y.values))},
    )


def test_symmetry_compares_how_much_noise_rates_need():
    fields = [apart(seed, {0.1: -6, 1.2: -9, 12: -13}) for seed in range(5)]
    assert outcomes("symmetry", fields) == [HOLDS, HOLDS, HOLDS]
    fields = [apart(seed, {0.1: -6, 1.2: -6, 12: -4}) for seed in range(5)]
    assert outcomes("symmetry", fields)[1:] == [CONTRADICTED, CONTRADICTED]


def test_rates_for_which_the_least_noise_is_enough_are_not_compared():
    fields = [apart(seed, {0.1: -6, 1.2: -16, 12: -16}) for seed in range(5)]
    atoms, _ = findings(find(FIELDS)["symmetry"], fields)
    assert [(atom.outcome(), atom.n, atom.lost) for atom in atoms[:2]] == [(HOLDS, 5, 0), (INCONCLUSIVE, 0, 5)]


@pytest.mark.parametrize(
    ("power", "expected"),
    [
        (-0.5, [HOLDS, CONTRADICTED, HOLDS, HOLDS, HOLDS]),
        (0.5, [CONTRADICTED, HOLDS, CONTRADICTED, CONTRADICTED, HOLDS]),
    ],
)
def test_regimes_measure_how_movement_falls_with_width_and_scale(power, expected):
    fields = []
    for seed in range(5):
        made = field(seed, y=("hidden_size", 1, 256), losses=lambda scale, _, s=seed: 0.3 * jitter(s) + 0 * scale)
        scale, width = np.meshgrid(made.x.values, made.y.values)
        moved = 0.3 * scale**-0.8 * (width / 256) ** power * jitter(seed)
        fields.append(replace(made, arrays=made.arrays | {"change/W1": moved}))
    assert outcomes("regimes", fields) == expected


def test_the_edge_counts_only_windows_that_are_deep():
    def rough(seed: int, window: int, low: float) -> Field:
        noise = np.random.RandomState(10 * seed + window).rand(25, 21) < 0.5
        return field(
            seed, x=("init.scale", low, 2 * low), arrays={"train/loss": np.where(noise, 0.1, 1.0)}, window=window
        )

    wholes = [field(seed) for seed in range(3)]
    assert outcomes("edge", wholes + [rough(seed, 4, 0.1) for seed in range(3)]) == [HOLDS]
    atoms, _ = findings(find(FIELDS)["edge"], wholes + [rough(seed, 3, 0.1) for seed in range(3)])
    assert [atom.n for atom in atoms] == [0]
