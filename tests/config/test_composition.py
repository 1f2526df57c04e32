"""Cheap composition equals Hydra's own, key by key, and the sweeper's products are what they say."""

from random import Random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from shallowexp.claims.claim import find
from shallowexp.config.composition import _count, _parse, compose, config_loader, united_products
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
        assert (*cheap, composed.choices) == hydra_composes(loader, master, overrides)


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
