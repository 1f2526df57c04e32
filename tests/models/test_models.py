"""Models: what a fresh process loads and serves is the trained network, to the bit, once for each run that asks for it."""

import json
import urllib.error
import urllib.request
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from sklearn import datasets
from sklearn.model_selection import train_test_split

from shallowexp.config.composition import Workers, compose_run
from shallowexp.config.runs import to_run
from shallowexp.errors import ConfigError
from shallowexp.network.passes import forward
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store
from shallowexp.training.engines import train_one
from tests.commands import PATIENCE, process
from tests.servers import mlflow

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")
ROOT = Path(__file__).parents[2]
SMALL = {"train.steps": "30", "log.points": "2", "train.engine": "numpy"}
SWISH = """
from dataclasses import dataclass
from shallowexp.network.activations import Activation, sigmoid

@dataclass(frozen=True)
class Swish(Activation):
    beta: float = 1.0

    def __call__(self, Z):
        return Z * sigmoid(self.beta * Z)

    def derivative(self, Z):
        s = sigmoid(self.beta * Z)
        return s + self.beta * Z * s * (1 - s)
"""
LOAD = """
import sys, numpy as np, mlflow
for number, path in enumerate(sys.argv[1:]):
    model = mlflow.pyfunc.load_model(path)
    np.save(f"out{number}.npy", model.predict(np.load(f"rows{number}.npy")))
print(sys.modules["shallowexp.network.passes"].__file__)
"""


@cache
def composed(**overrides):
    return compose_run(SMALL | {key.replace("__", "."): str(value) for key, value in overrides.items()})


def run(seed=0, **overrides):
    config, choices = composed(**overrides)
    return to_run(OmegaConf.merge(config, {"seed": seed}), choices)


@pytest.fixture
def tracked(workplace):
    return ExperimentTracker.open("shallowexp", Store.open(f"sqlite:///{workplace / 'mlflow.db'}"))


def sweep(tracked, runs):
    return tracked.sweep(runs, tracked.missing(runs), Workers(1))


def models(tracked):
    return tracked.store.client.search_logged_models([tracked.experiment_id])


def folder(model) -> Path:
    return Path(model.artifact_location.removeprefix("file://"))


def measured(name, **split):
    """The test rows of scikit-learn's table as they were measured."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return train_test_split(X, test_size=0.2, random_state=1, **({"stratify": y} | split))[1]


def predictions(run):
    """What the trained network says of its test set: rows are samples."""
    data, _ = run.job.initial()
    return run.job.output(forward(data.X_test, train_one(run.job).final, run.job.activation).Z2).T


def test_a_fresh_process_predicts_the_same_bits_from_measured_features(tracked, tmp_path, monkeypatch):
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "my_swish.py").write_text(SWISH)
    monkeypatch.syspath_prepend(tmp_path / "user")
    own = run(activation___target_="my_swish.Swish", activation__beta=1.5)
    single = run(data="diabetes", train__dtype="float32", train__learning_rate=0.05, output="relu")
    asked = [
        (run(data="wine", activation="sigmoid", hidden_size=3, init__scale=0.5), measured("wine")),
        (single, measured("diabetes", stratify=None)),
        (own, own.job.data.load().X_test.T),
    ]
    for number, (wanted, measurements) in enumerate(asked):
        np.save(tmp_path / f"rows{number}.npy", measurements)
        tracked.one(wanted, [wanted])
    logged = {model.tags["shallowexp.fingerprint"]: folder(model) for model in models(tracked)}
    paths = [logged[wanted.fingerprint] for wanted, _ in asked]
    done = process("python", "-c", LOAD, *map(str, paths), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(paths[0] / "code" / "shallowexp" / "network" / "passes.py")
    for number, (wanted, _) in enumerate(asked):
        got, expected = np.load(tmp_path / f"out{number}.npy"), predictions(wanted)
        assert got.dtype == expected.dtype and np.array_equal(got, expected)


def test_the_best_run_of_a_sweep_gets_one_model_linked_to_it(tracked):
    runs = [run(seed=seed, hidden_size=h, init="xavier") for seed in range(3) for h in (1, 4)]
    runs.append(run(data="diabetes", train__learning_rate=1e9))
    assert sweep(tracked, runs).finished == 7
    table = tracked.store.read("shallowexp", [run.fingerprint for run in runs]).table
    best = table[table.outcome == "finished"]["train/loss"].idxmin()
    (model,) = models(tracked)
    stored = tracked.store.client.get_run(model.source_run_id)
    assert (model.source_run_id, model.status) == (table.run_id[best], "READY")
    assert model.tags["shallowexp.fingerprint"] == best
    assert model.params == stored.data.params
    assert [output.model_id for output in stored.outputs.model_outputs] == [model.model_id]
    (data,) = (used.dataset for used in stored.inputs.dataset_inputs)
    assert {(m.dataset_name, m.dataset_digest) for m in model.metrics} == {(data.name, data.digest)}
    assert {m.key: m.value for m in model.metrics}["test/accuracy"] == stored.data.metrics["test/accuracy"]
    histories = {
        name: tracked.store.client.get_metric_history(model.source_run_id, name) for name in stored.data.metrics
    }
    assert {len(histories[metric.key]) for metric in model.metrics} == {len(runs[0].job.log_steps)}
    assert stored.info.status == "FINISHED" and stored.info.end_time == table.end_time[best]
    assert not tracked.store.client.search_registered_models()


def test_the_best_run_is_that_of_the_objective(tracked):
    keys = {"data": "circles", "hidden_size": 3, "init": "xavier", "train__steps": 40}
    runs = [run(seed=seed, objective__metric="test/accuracy", **keys) for seed in range(8)]
    sweep(tracked, runs)
    table = tracked.store.read("shallowexp", [run.fingerprint for run in runs]).table
    best = table.sort_values(["test/accuracy", "train/loss"], ascending=[False, True]).index[0]
    assert best != table["train/loss"].idxmin()
    (model,) = models(tracked)
    assert model.tags["shallowexp.fingerprint"] == best


def test_the_same_command_again_adds_the_model_that_is_missing_and_nothing_else(tracked):
    plain, asked = ([run(seed=seed, log__model=which) for seed in range(2)] for which in ("none", "best"))
    sweep(tracked, plain)
    assert not models(tracked)
    assert sweep(tracked, asked).reused == 2
    (model,) = models(tracked)
    best = next(run for run in asked if run.fingerprint == model.tags["shallowexp.fingerprint"])
    with np.load(folder(model) / "artifacts" / "parameters.npz") as arrays:
        assert all(np.array_equal(arrays[name], p) for name, p in train_one(best.job).final._asdict().items())
    sweep(tracked, asked)
    assert [again.model_id for again in models(tracked)] == [model.model_id]


@pytest.mark.parametrize("moment", ["log_model_artifacts", "log_outputs", "finalize_logged_model"])
def test_a_model_that_was_interrupted_is_taken_up_again(tracked, monkeypatch, moment):
    wanted = run()

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tracked.store.client, moment, stop)
        with pytest.raises(KeyboardInterrupt):
            tracked.one(wanted, [wanted])
    (begun,) = models(tracked)
    assert begun.status == "PENDING"
    tracked.one(wanted, tracked.missing([wanted]))
    (model,) = models(tracked)
    assert (model.model_id, model.status) == (begun.model_id, "READY")
    assert len(tracked.store.client.get_run(model.source_run_id).outputs.model_outputs) == 1


def test_all_and_none(tracked):
    sweep(tracked, [run(seed=seed, log__model="all") for seed in range(3)])
    assert len({model.source_run_id for model in models(tracked)}) == 3
    alone = run(seed=7, log__model="none")
    tracked.one(alone, [alone])
    assert len(models(tracked)) == 3


def test_a_model_is_registered_when_asked_and_once(tracked):
    plain, asked = run(), run(log__register="flowers")
    tracked.one(plain, [plain])
    for _ in range(2):
        tracked.one(asked, tracked.missing([asked]))
    (version,) = tracked.store.client.search_model_versions("name = 'flowers'")
    assert version.source == f"models:/{models(tracked)[0].model_id}"


def test_what_is_logged_changes_neither_fingerprint_nor_params():
    plain = run()
    for other in (run(log__model="all"), run(log__model="none"), run(log__register="flowers")):
        assert (other.fingerprint, other.params) == (plain.fingerprint, plain.params)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [({"log__model": "bst"}, "did you mean best"), ({"log__model": "all", "log__register": "x"}, "log.register=x")],
)
def test_what_is_refused(overrides, named):
    with pytest.raises(ConfigError, match=named):
        run(**overrides)


@pytest.mark.parametrize("name", ["a/b", "a:b", ".", "..a", "it's", 'say "it"', "x" * 257])
def test_a_name_that_cannot_be_registered_is_refused_before_training(name):
    quoted = name.replace("'", "\\'")
    with pytest.raises(ConfigError, match="log.register=.* is not possible"):
        run(log__register=f"'{quoted}'")


@pytest.mark.parametrize("name", [".a", "my model", "größer 50%", "x" * 256])
def test_a_name_that_is_taken_can_be_registered_and_found(tracked, name):
    assert run(log__register=f"'{name}'").register == name
    tracked.store.client.create_registered_model(name)
    (found,) = tracked.store.client.search_registered_models(f"name = '{name}'")
    assert found.name == name


def test_what_was_tampered_with_does_not_load_and_other_widths_are_refused(tracked):
    from mlflow.pyfunc import load_model

    wanted = run()
    tracked.one(wanted, [wanted])
    (model,) = models(tracked)
    with pytest.raises(Exception, match=r"expected shape \(-1, 2\)"):
        load_model(str(folder(model))).predict(np.zeros((4, 3)))
    path = folder(model) / "artifacts" / "parameters.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match="is not the file that was logged"):
        load_model(str(folder(model)))


def ask(server, rows):
    body = json.dumps({"inputs": rows}).encode()
    request = urllib.request.Request(f"{server.url}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["predictions"]


def test_mlflow_serves_it(tracked, tmp_path):
    wanted = run(data="iris")
    tracked.one(wanted, [wanted])
    (model,) = models(tracked)
    words = ("models", "serve", "--env-manager", "local", "-m", str(folder(model)))
    with mlflow(*words, folder=tmp_path, health="/ping") as server:
        rows = measured("iris")
        assert np.array_equal(ask(server, rows.tolist()), predictions(wanted))
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(server, [[1.0, 2.0]])


def test_a_sweep_looks_for_its_best_run_among_its_own(tracked):
    runs = [run(seed=seed) for seed in range(4)]
    sweep(tracked, [replace(run, model="none") for run in runs])
    ranked = sorted(runs, key=lambda run: train_one(run.job).metrics[-1, 0])
    sweep(tracked, ranked[1:])
    assert [model.tags["shallowexp.fingerprint"] for model in models(tracked)] == [ranked[1].fingerprint]


def test_the_documents_snippet_predicts_as_it_says(tracked, workplace):
    wanted = run(data="wine", activation="sigmoid", hidden_size=3, init__scale=0.5)
    tracked.one(wanted, [wanted])
    [source] = {model.source_run_id for model in models(tracked)}
    snippet = (ROOT / "docs" / "models.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    snippet = snippet.replace("<run id>", source).replace("model.predict(", "out = model.predict(")
    near = {"": 1e-12, ".astype('float32')": 1e-4, ".tolist()": 1e-12, ".astype(int)": 1}
    np.save("rows.npy", measured("wine"))
    code = "import numpy\n"
    for number, convert in enumerate(near):
        code += f"rows = numpy.load('rows.npy'){convert}\n{snippet}\nnumpy.save('out{number}.npy', out)\n"
    done = process("python", "-c", code, cwd=workplace)
    assert done.returncode == 0, done.stderr
    for number, atol in enumerate(near.values()):
        np.testing.assert_allclose(np.load(f"out{number}.npy"), predictions(wanted), atol=atol)
