"""Cheap composition equals Hydra's own, key by key, and the sweeper's products are what they say."""

from itertools import product
from random import Random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from shallowexp.claims.claim import find
from shallowexp.config.base import Base
from shallowexp.config.composition import _count, _parse, _without_hydra, compose, config_loader, united_products
from shallowexp.config.runs import plan_each
from shallowexp.errors import ConfigError


@pytest.fixture
def loader():
    with config_loader() as loader:
        yield loader


def hydra_composes(loader, master, overrides):
    config = loader.load_sweep_config(master, list(overrides))
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return OmegaConf.to_container(config), OmegaConf.to_container(config, resolve=True), choices


def assert_same(loader, master, jobs):
    for composed, overrides in zip(compose(loader, master, jobs), jobs, strict=True):
        cheap = OmegaConf.to_container(composed.config), OmegaConf.to_container(composed.config, resolve=True)
        expected = hydra_composes(loader, master, overrides)
        assert same((*cheap, composed.choices), expected)
        assert same((composed.written, composed.values, composed.choices), expected)


def same(found, expected) -> bool:
    """To the type: 1 is not 1.0, nor True."""
    return repr(found) == repr(expected)


@pytest.mark.parametrize("name", find())
def test_every_experiment_composes_as_hydra_does(name):
    words = [f"+experiment={name}"]
    with config_loader() as loader:
        master = loader.load_configuration("config", words, RunMode.MULTIRUN)
        jobs = united_products(master.hydra.sweeper.params, parse(*words))
        assert_same(loader, master, Random(0).sample(jobs, min(len(jobs), 3)))


def test_random_overrides_compose_as_hydra_does(loader):
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    random = Random(1)
    pool = [
        ["activation=tanh", "activation=relu", "activation=leaky_relu"],
        ["init=zero", "init=he", "init=duplicate"],
        ["data=moons", "data=digits", "data=xor"],
        ["hidden_size=3", "++hidden_size=7"],
        ["train.steps=5", "train.learning_rate=0.5", "train={steps: 7}"],
        ["data.seed=${seed}", "+extra.key=[1,2]", "++extra=3", "seed=${hidden_size}"],
        ["log.steps=[1,2]", "~data.seed", "log.every=3"],
    ]
    jobs = [[random.choice(group) for group in pool if random.random() < 0.7] for _ in range(12)]
    assert_same(loader, master, jobs)


WORDS = [
    *(
        "seed=3",
        "seed=007",
        "seed=1.0",
        "++seed=4",
        "~seed",
        "seed=${hidden_size}",
        "hidden_size=1_0",
        "hidden_size=-0",
    ),
    *("train.learning_rate=1", "train.learning_rate=1e-05", "train.learning_rate='2'", "train.learning_rate=nan"),
    *("train.batch_size=8", "train.batch_size=null", "train.dtype=float32", "train={steps: 7}", "train.steps=5"),
    *("log.steps=[1,2]", "log.steps=[3]", "log.every=3", "log.register=a", "fresh=true", "fresh=1", "name=1"),
    *("init.scale=1", "init.scale=0.5", "init.scale=true", "init.scale='1'", "init.scale=-0.0", "init.scale=1e300"),
    *("data.seed=1", "data.seed=1${seed}", "data.seed={a: 1}", "data.seed.a=2", "data.seed=[1]", "+data.more=1"),
]


def test_overrides_of_any_kind_end_as_hydra_has_them_in_values_or_in_an_error(loader):
    """Whatever was composed before them: the jobs of a sweep share a base."""
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    base, random = Base(*_without_hydra(loader.load_sweep_config(master, []))), Random(2)
    jobs = [[word] for word in WORDS] + [random.sample(WORDS, random.randint(2, 5)) for _ in range(200)]
    simple = 0
    for words in jobs:
        overrides = [_parse(word) for word in words]
        expected = ended(lambda: base.config(overrides))  # noqa: B023  (called at once)
        composed = ended(lambda: base.job(words, overrides).values)  # noqa: B023
        assert same(composed, expected if isinstance(expected, str) else resolved(expected)), words
        simple += isinstance(composed, dict) and base.job(words, overrides).settings is not None
    assert 30 < simple < len(jobs) - 30


def ended(attempt):
    """What came of it; of an error its words."""
    try:
        return attempt()
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        return str(error)


def resolved(config):
    return ended(lambda: OmegaConf.to_container(config, resolve=True))


NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False).map(str),
    st.from_regex(r"-?[0-9_]{1,4}(\.[0-9]{0,3})?([eE][-+]?[0-9]{0,3})?", fullmatch=True),
)


@settings(deadline=None)
@given(st.sampled_from(["seed", "a.b_c", "true", "_x.y2", "a.0", "null"]), NUMBERS)
def test_numbers_are_read_as_hydras_parser_reads_them(key, number):
    word = f"{key}={number}"
    assert same(ended(lambda: _parse(word)), ended(lambda: OverridesParser.create().parse_override(word)))


def test_fingerprints_are_those_of_hydras_own_compositions(loader):
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    pools = (
        ["activation=tanh", "activation=leaky_relu activation.slope=0.2"],
        ["init.scale=0.01", "init.scale=1", "init.output_scale=2"],
        ["data.samples=20", "data.seed=1${seed}", "data.seed=7"],
        ["seed=0", "seed=5"],
        ["train.learning_rate=1", "train.learning_rate=0.30000000000000004", "train.batch_size=5"],
        ["log.steps=[0,1]", "log.every=5", "objective.seeds=1"],
    )
    jobs = [[*" ".join(words).split()] for words in Random(3).sample([*product(*pools)], 8)]
    cheap = compose(loader, master, jobs)
    assert {job.settings is None for job in cheap} == {True, False}
    of_hydra = [(loader.load_sweep_config(master, job), found.choices) for job, found in zip(jobs, cheap, strict=True)]
    for config, _ in of_hydra:
        with open_dict(config):
            del config["hydra"]
    found, expected = plan_each((job.values, job.choices) for job in cheap), plan_each(of_hydra)
    assert [run.fingerprint for run in found] == [run.fingerprint for run in expected]
    assert same(found, expected)


def test_one_experiment_at_a_time(loader):
    master = loader.load_configuration("config", ["+experiment=symmetry"], RunMode.MULTIRUN)
    with pytest.raises(ConfigError, match="experiment=saturation,symmetry cannot be swept"):
        compose(loader, master, [["+experiment=symmetry"], ["+experiment=saturation"]])


def test_bases_are_not_shared_between_jobs(loader):
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    first, second = compose(loader, master, [["train.steps=3"], ["hidden_size=9"]])
    assert (first.config.train.steps, second.config.train.steps) == (3, 10000)


def parse(*overrides):
    return OverridesParser.create().parse_overrides(list(overrides))


def test_products_are_united_and_the_command_line_wins():
    params = [
        {"activation": "tanh,relu", "seed": "range(2)"},
        {"activation": "leaky_relu", "activation.slope": "0.1,0.2", "seed": "range(2)"},
    ]
    jobs = united_products(params, parse("seed=5"))
    assert jobs == [
        ["activation=tanh", "seed=5"],
        ["activation=relu", "seed=5"],
        ["activation=leaky_relu", "activation.slope=0.1", "seed=5"],
        ["activation=leaky_relu", "activation.slope=0.2", "seed=5"],
    ]


def test_a_job_is_there_once():
    assert united_products([{"seed": "1,2"}, {"seed": "2,1,1"}], []) == [["seed=1"], ["seed=2"]]


def test_one_mapping_is_hydras_product():
    assert len(united_products({"seed": "range(3)"}, parse("hidden_size=1,2"))) == 6


@pytest.mark.parametrize("override", ["seed=range(0)", "seed=interval(0,1)"])
def test_what_cannot_be_swept_is_named(override):
    with pytest.raises(HydraException, match="seed="):
        united_products({}, parse(override))


@pytest.mark.parametrize(
    "swept", ["seed=range(1000000000)", "seed=range(2000) hidden_size=range(1,2000)", "seed=range(0,2e9,2)"]
)
def test_a_sweep_that_no_machine_trains_is_refused_before_it_is_listed(swept):
    with pytest.raises(ConfigError, match="the sweep asks for .* runs: at most 1,000,000 are possible"):
        united_products(None, [_parse(override) for override in swept.split()])


def test_a_sweep_as_large_as_is_possible_is_counted_exactly():
    assert [
        _count(_parse(f"seed={values}")) for values in ("range(7)", "range(1,8,3)", "range(5,0,-2)", "1,2,3", "4")
    ] == [7, 3, 3, 3, 1]
