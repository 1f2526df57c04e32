"""From configurations to runs: names, defaults, what a fingerprint sees, and what is refused."""

import subprocess
import sys
from dataclasses import fields, replace
from types import ModuleType

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.types import RunMode
from hydra.utils import get_class
from omegaconf import OmegaConf

from shallowexp import CONF, provenance
from shallowexp.config import fingerprint as sources
from shallowexp.config.composition import VERSION_BASE, compose_sweep, config_loader
from shallowexp.config.composition import compose as cheap_compose
from shallowexp.config.runs import GROUPS, over_seeds, plan, plan_each
from shallowexp.errors import ConfigError
from shallowexp.network.activations import LeakyReLU


def runs(*jobs):
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        composed = [compose("config", overrides=list(job), return_hydra_config=True) for job in jobs]
        return plan((_task(config), config.hydra.runtime.choices) for config in composed)


def _task(config):
    return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])


def run(*overrides):
    return runs(overrides)[0]


def test_params_are_named_as_the_overrides_that_set_them():
    overrides = {
        "data": "flower",
        "activation": "leaky_relu",
        "init": "random",
        "hidden_size": "8",
        "seed": "3",
        "init.scale": "0.02",
        "activation.slope": "0.1",
        "train.learning_rate": "0.5",
    }
    params = run(*(f"{key}={value}" for key, value in overrides.items())).params
    assert params.items() >= overrides.items()
    assert run(*(f"{key}={value}" for key, value in params.items())).params == params


def test_name():
    assert run("init.scale=0.01", "hidden_size=8", "seed=3").name == "tanh · random ×0.01 · 8 units · seed 3"
    descended = run("optimizer=adam", "train.batch_size=32", "init=zero", "hidden_size=1")
    assert descended.name == "tanh · zero · 1 unit · adam · batches of 32 · seed 0"


def test_a_name_holds_every_key_that_is_swept():
    lists = (
        "train.learning_rate=0.421787966834972,1e-05",
        "optimizer=gd,adam",
        "data=moons,wine",
        "init.output_scale=1.0,2",
    )
    jobs = compose_sweep([*lists, "train.steps=300", "init.scale=1.6350548766339634", "log.steps=[0,1,300],[0,300]"])[1]
    names = [run.name for run in plan(((job.values, job.choices) for job in jobs), jobs[0].swept)]
    begun = "tanh · random ×1.635 · 4 units"
    assert names[0] == f"{begun} · gd · learning_rate 0.4218 · moons · output_scale 1 · log.steps [0, 1, 300] · seed 0"
    assert names[-1] == f"{begun} · adam · learning_rate 1e-05 · wine · output_scale 2 · log.steps [0, 300] · seed 0"
    assert len(set(names)) == 32


def test_how_a_run_descends_is_among_its_params():
    assert run().params["optimizer"] == "gd"
    assert "train.batch_size" not in run().params
    found = run("optimizer=momentum", "train.batch_size=8").params
    assert found.items() >= {"optimizer": "momentum", "optimizer.beta": "0.9", "train.batch_size": "8"}.items()


@pytest.mark.parametrize(
    ("data", "output"), [("flower", "sigmoid"), ("digits", "softmax"), ("wine", "softmax"), ("diabetes", "identity")]
)
def test_auto_output_follows_the_task(data, output):
    assert run(f"data={data}").params["output"] == output


CHOICES = [path for group in GROUPS for path in sorted(CONF.glob(f"{group}/*.yaml")) if path.stem != "auto"]


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_vocabulary_repeats_the_defaults_of_the_code(path):
    node = OmegaConf.to_container(OmegaConf.load(path))
    target = get_class(node.pop("_target_"))
    defaults = {field.name: field.default for field in fields(target)}
    assert node.keys() == defaults.keys()
    assert node == defaults or path.stem in ("he", "lecun", "xavier")


def test_log_steps():
    assert run("train.steps=1000", "log.points=5").job.log_steps == (0, 1, 10, 100, 1000)
    assert run("train.steps=10", "log.every=4").job.log_steps == (0, 4, 8, 10)
    assert run("train.steps=10", "log.steps=[3,1]").job.log_steps == (1, 3, 10)
    assert run("train.steps=1").job.log_steps == (0, 1)


AS_FLOATS = {
    "train.steps": ("1e4", "10000"),
    "hidden_size": ("8e0", "8"),
    "seed": ("2.0", "2"),
    "train.batch_size": ("2e1", "20"),
    "log.steps": ("[1e1,2e3]", "[10,2000]"),
    "data.samples": ("1e3", "1000"),
    "objective.seeds": ("3e0", "3"),
}


def test_a_whole_number_may_be_written_as_a_float(monkeypatch):
    floats, plain = ([f"{key}={words[i]}" for key, words in AS_FLOATS.items()] for i in (0, 1))
    assert repr(run(*floats)) == repr(run(*plain))  # to the type
    assert run(*floats).fingerprint == run(*plain).fingerprint
    with config_loader() as loader:
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)
        swept = cheap_compose(loader, master, [floats[:4], plain[:4], floats, plain])
    assert all(job.settings for job in swept)  # as plain values, without Hydra
    assert len({repr(plan([(one, job.choices) for one in over_seeds(job)])) for job in swept[2:]}) == 1
    assert [run.job.seed for run in plan([(one, swept[2].choices) for one in over_seeds(swept[2])])] == [2, 3, 4]
    first, second = plan_each((job.values, job.choices) for job in swept[:2])
    assert repr(first) == repr(second)
    monkeypatch.setenv("TASK", "7")
    assert run("seed=${oc.env:TASK}").job.seed == 7


def test_the_lowest_seed_of_each_cell_keeps_its_weights():
    asked = runs(*([f"seed={s}", f"hidden_size={n}"] for s in (3, 1, 2) for n in (2, 4)))
    assert [(r.job.seed, r.job.hidden_size) for r in asked if r.job.weights] == [(1, 2), (1, 4)]
    assert not run("log.weights=none").job.weights


def test_what_is_asked_for_twice_is_there_once():
    assert len(runs(["seed=1"], ["seed=1"], ["seed=2"])) == 2


CHANGES = ["hidden_size=5", "seed=9", "init=he", "init.scale=1", "activation=relu", "data=moons", "data.seed=4"]
CHANGES += ["train.steps=7", "train.learning_rate=1", "train.dtype=float32", "train.engine=numpy", "log.points=3"]
CHANGES += ["log.weights=none", "output=sigmoid_squared", "train.engine=chapter"]
CHANGES += ["train.batch_size=32", "train.batch_size=400", "optimizer=momentum", "optimizer=adam"]


def test_runs_that_differ_in_their_seed_alone_are_what_each_is_by_itself():
    swept = ["seed=0,7,2.0,4294967295", "init.scale=0.1,1", "data.seed=1,${seed}", "log.weights=all"]
    pairs = [(job.values, job.choices) for job in compose_sweep(swept)[1]]
    together, alone = plan_each(pairs), [run for pair in pairs for run in plan_each([pair])]
    assert repr(together) == repr(alone)
    assert [run.fingerprint for run in together] == [run.fingerprint for run in alone]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "seven"])
def test_a_seed_is_checked_after_others_too(seed):
    ((values, choices),) = [(job.values, job.choices) for job in compose_sweep(["seed=0"])[1]]
    with pytest.raises(ConfigError, match=f"seed={seed}"):
        plan_each([(values, choices), (values | {"seed": seed}, choices)])


def test_choices_that_are_equal_but_not_the_same_keep_their_own_fingerprints():
    given = run().job
    jobs = [replace(given, activation=LeakyReLU(slope)) for slope in (0, 0.0, -0.0)]
    assert len({job.activation for job in jobs}) == 1
    assert len({sources.fingerprint(job) for job in jobs}) == 3


def test_every_change_that_matters_changes_the_fingerprint():
    fingerprints = [run(*change).fingerprint for change in ([], *([c] for c in CHANGES))]
    assert len(set(fingerprints)) == len(CHANGES) + 1


@pytest.mark.parametrize(
    "same",
    ["fresh=true", "dry_run=true", "fail_fast=true", "hydra.launcher.threads=1", "init.scale=1e-2", "output=sigmoid"],
)
def test_what_cannot_change_the_result_does_not(same):
    assert run(same).fingerprint == run().fingerprint


def test_what_is_done_with_a_run_is_no_param():
    asked = run("fresh=true", "dry_run=true", "fail_fast=true", "log.model=best", "log.register=it").params
    assert not asked.keys() & {"fresh", "dry_run", "fail_fast", "log.model", "log.register"}


@pytest.mark.parametrize("engine", ["numpy", "chapter", "compiled"])
def test_each_module_that_computes_is_part_of_the_fingerprint(engine, monkeypatch):
    def fingerprint(changed=None):
        with monkeypatch.context() as patch:
            patch.setattr(sources, "_content", lambda name: content(name) + (b"#" if name == changed else b""))
            sources._sources.cache_clear()
            return run(f"train.engine={engine}").fingerprint

    content, modules = sources._content, sources.computing(engine)
    assert {"shallowexp.network.data", "shallowexp.network.passes", "shallowexp.training.engines"} <= set(modules)
    assert ("shallowexp.training.kernel_descent" in modules) == (engine == "compiled")
    assert len({fingerprint(), *map(fingerprint, modules)}) == len(modules) + 1
    sources._sources.cache_clear()


@pytest.mark.parametrize(("engine", "kinds"), [("numpy", 1), ("compiled", 1), ("chapter", 2)])
def test_the_blas_is_part_of_the_fingerprint_where_it_multiplies(engine, kinds, monkeypatch):
    found = set()
    for blas in ("openblas 0.3, Haswell, threads: 2", "openblas 0.3, SkylakeX, threads: 2"):
        monkeypatch.setattr(provenance, "blas", lambda blas=blas: blas)
        found.add(run(f"train.engine={engine}").fingerprint)
    assert len(found) == kinds


def test_numpys_blas_is_told_from_scipys(monkeypatch):
    def library(place, threads, **more):
        common = {"user_api": "blas", "internal_api": "openblas", "version": "0.3", "num_threads": threads}
        return common | {"filepath": f"/env/site-packages/{place}/libopenblas.so", "architecture": "Haswell"} | more

    loaded = [library("scipy.libs", 4), library("numpy.libs", 2), library("sklearn.libs", 8, user_api="openmp")]
    monkeypatch.setattr(provenance, "threadpool_info", lambda: loaded)
    assert provenance.blas.__wrapped__() == "openblas 0.3, Haswell, threads: 2"
    loaded[:] = [{k: v for k, v in library("..", 1).items() if k != "architecture"}]  # MKL has none
    assert provenance.blas.__wrapped__() == "openblas 0.3, threads: 1"
    loaded.clear()
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    assert provenance.blas.__wrapped__() == f"{built['name']} {built['version']}"


def test_fingerprint_is_the_same_in_another_process():
    code = "import tests.config.test_runs as t; print(t.run('seed=5').fingerprint)"
    root = CONF.parent
    other = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == run("seed=5").fingerprint


def test_a_file_that_has_changed_since_the_last_planning_is_read_again(tmp_path):
    file, more = tmp_path / "points.csv", "x,label\n" + "1,a\n2,b\n" * 9

    def fingerprint(text):
        file.write_text(text)
        return run("data=csv", f"data.path={file}", "data.target=label").fingerprint

    first, grown, shrunk, again = map(fingerprint, (more[:-4], more, more[:-8], more[:-4]))
    assert len({first, grown, shrunk}) == 3
    assert again == first
    for path in (file, "\0"):  # the second is no path at all
        assert not sources.forget_changed(str(path))
    file.unlink()
    assert [sources.forget_changed(str(file)) for _ in range(2)] == [True, False]


def test_a_users_own_code_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = "from dataclasses import dataclass\nfrom shallowexp.network.activations import Tanh\n"
    source += "@dataclass(frozen=True)\nclass Mine(Tanh):\n    pass\n"
    for name, text in (("mine_a", source), ("mine_b", source + "\n")):
        (tmp_path / f"{name}.py").write_text(text)
    a, b = (run(f"activation._target_={name}.Mine") for name in ("mine_a", "mine_b"))
    assert a.job.engine == "numpy"
    assert a.fingerprint != b.fingerprint
    assert a.fingerprint != replace(a, job=replace(a.job, seed=1)).fingerprint
    (tmp_path / "mine_a.py").write_text("")  # no longer what was imported
    sources._sources.cache_clear()
    assert replace(a).fingerprint == a.fingerprint


IMPORTS = {
    "mine_c": "import numpy.random, parts_c.slope\nfrom dataclasses import dataclass\nfrom shallowexp.network.activations import Tanh\n"
    "@dataclass(frozen=True)\nclass Mine(Tanh):\n    def late(self):\n        from helper_c import factor\n        from scipy.nowhere import x\n",
    "helper_c": "import mine_c\nfactor = 1\n",
    "parts_c/slope": "from . import deep\nfrom .deep import deepest\nfrom .package import inner\n",
    "parts_c/deep": "deepest = 1\n",
    "parts_c/package/__init__": "# of these,\n",
    "parts_c/package/inner": "# none is empty\n",
    "unused_c": "",
}


def test_what_a_users_own_code_imports_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    """At its head or late, from a package, from a folder or beside it, in a circle; not from libraries."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in IMPORTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    own = {name.replace("/", ".").removesuffix(".__init__") for name in IMPORTS} - {"unused_c"}
    assert sources.users_own(["mine_c", "shallowexp.network.data"]) == own
    content = sources._content

    def fingerprint(changed=None):
        monkeypatch.setattr(sources, "_content", lambda name: content(name) + (b"#" if name == changed else b""))
        sources._sources.cache_clear()
        return run("activation._target_=mine_c.Mine").fingerprint

    assert len({fingerprint(), *map(fingerprint, own)}) == len(own) + 1
    sources._sources.cache_clear()


def test_a_choice_that_is_in_no_file_is_refused_because_nothing_would_tell_its_runs_apart(monkeypatch):
    notebook = ModuleType("notebook_of_mine")
    source = "from dataclasses import dataclass\nfrom shallowexp.network.activations import Tanh\n"
    exec(source + "@dataclass(frozen=True)\nclass Mine(Tanh):\n    pass\n", vars(notebook))
    monkeypatch.setitem(sys.modules, "notebook_of_mine", notebook)
    with pytest.raises(ConfigError, match="notebook_of_mine has no file"):
        run("activation._target_=notebook_of_mine.Mine").fingerprint  # noqa: B018


REFUSED = {
    "hidden_size=0": "hidden_size=0",
    "hidden_size=-3": "hidden_size=-3",
    "seed=-1": "seed=-1",
    "data.seed=-1": "data.seed=-1",
    "init.scale=abc": r"init\.scale: Value 'abc'",
    "init.scale=inf": "init.scale=inf",
    "seed=4294967296": "0 to 4294967295",
    "init.scale=nan": "init.scale=nan",
    "train.learning_rate=0": "train.learning_rate=0",
    "train.learning_rate=-1": "train.learning_rate=-1",
    "train.steps=0": "train.steps=0",
    "train.dtype=float46": r"did you mean float64\?",
    "train.engine=chaptr": r"did you mean chapter\?\); choices: auto, compiled, numpy, chapter",
    "train.engine=gpu": "auto, compiled, numpy",
    "log.points=1": "log.points=1",
    "log.every=0": "log.every=0",
    "log.steps=[-1]": r"log.steps=\[-1\]",
    "log.steps=[20000]": "0 to 10000",
    "log.weights=some": "none, first, all",
    "+train.lr=1": r"train\.lr is not a key: train\.learning_rate is meant",
    "+log.pionts=5": r"did you mean points\?",
    "+hiden_size=8": r"hiden_size is not a key \(did you mean hidden_size\?\)",
    "+data.balance=0.3": r"data\.balance is now called data\.positive_rate",
    "+data.positiv_rate=0.3": r"data\.positiv_rate is not a key of the data that was chosen \(did you mean positive_rate\?\); keys there: samples",
    "train.steps=1000000000 log.every=1": "log.every=1 is not possible; allowed: .* at most 1,000,000 times, not 1,000,000,000",
    "log.points=1000000000": "log.points=1000000000 is not possible",
    "data.samples=1000000000": "hidden_size=4 on 1,000,000,000 samples needs about 256 GB of memory; this machine has",
    "hidden_size=100000000": "hidden_size=100000000 on 400 samples needs about 2,560 GB of memory",
    "hidden_size=100000 log.points=100000 train.steps=1000000000": r"kept at 63,897 steps \(log.weights\) needs about 204 GB of memory",
    "init=he +init.scale=2": "init.scale is not a key of the init that was chosen.*; it belongs to init=constant, duplicate, random",
    "output=softmax": "choices: auto, sigmoid, sigmoid_squared",
    "data.positive_rate=1": "data.positive_rate=1",
    "data.samples=1": "data.samples=1",
    "activation._target_=shallowexp.network.activations.Tahn": "cannot be imported",
    "activation._target_=math.sin": "dataclass",
    "train.batch_size=0": "train.batch_size=0 is not possible; allowed: at least 1",
    "train.batch_size=401": "train.batch_size=401 is not possible; allowed: 1 to 400, the training samples of data=flower",
    "train.batch_size=121 data=iris": "allowed: 1 to 120, the training samples of data=iris",
    "optimizer=momentum optimizer.beta=1": r"optimizer\.beta=1\.0 is not possible; allowed: from 0 to below 1",
    "optimizer=adam optimizer.beta1=-0.1": r"optimizer\.beta1=-0\.1 is not possible",
    "optimizer=adam optimizer.beta2=1.5": r"optimizer\.beta2=1\.5 is not possible",
    "optimizer=adam optimizer.epsilon=0": r"optimizer\.epsilon=0\.0 is not possible; allowed: from 1e-30",
    "+optimizer.beta=0.9": r"optimizer\.beta is not a key of the optimizer that was chosen; keys there: none",
    "optimizer._target_=shallowexp.network.activations.Tanh": "inherits shallowexp.network.optimizers.Optimizer",
}


@pytest.mark.parametrize(("override", "message"), REFUSED.items())
def test_what_cannot_be_run_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        run(*override.split())


def test_a_table_larger_than_memory_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.truncate(10**13)  # bytes that take no room
    with pytest.raises(ConfigError, match="large.csv needs about 60,000 GB of memory; this machine has"):
        run("data=csv", f"data.path={path}", "data.target=label")
