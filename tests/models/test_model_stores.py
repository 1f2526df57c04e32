"""Models in every kind of store, and models whose process is killed while it writes them."""

import os
import signal
import sys

import mlflow
import numpy as np
import pytest

from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store
from tests.commands import command
from tests.models.test_models import models, predictions, run, sweep

# not ours: MLflow and what it stands on deprecate a good deal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:mlflow")
MOMENTS = range(5, 200, 12)  # of the about 200 statements, commits and files that a model takes


def loaded(tracked, model):
    mlflow.set_tracking_uri(tracked.store.uri)
    try:
        return mlflow.pyfunc.load_model(model.model_uri)
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.parametrize("kind", ["server", "postgres"])
def test_a_model_is_stored_linked_registered_and_loaded_everywhere(kind, request, tmp_path, monkeypatch):
    place = request.getfixturevalue(kind)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.url if kind == "server" else place)
    tracked = ExperimentTracker.open("models")
    runs = [run(seed=seed, data="iris", log__register="irises") for seed in range(3)]
    for _ in range(2):
        sweep(tracked, runs)
    (model,) = models(tracked)
    (best,) = (run for run in runs if run.fingerprint == model.tags["shallowexp.fingerprint"])
    stored = tracked.store.client.get_run(model.source_run_id)
    assert model.status == "READY"
    assert [output.model_id for output in stored.outputs.model_outputs] == [model.model_id]
    assert {m.dataset_digest for m in model.metrics} == {stored.inputs.dataset_inputs[0].dataset.digest}
    (version,) = tracked.store.client.search_model_versions("name = 'irises'")
    assert (version.source, version.run_id) == (model.model_uri, model.source_run_id)
    data = best.job.data.load()
    measured = (data.X_test * data.scale + data.mean).T
    np.testing.assert_allclose(loaded(tracked, model).predict(measured), predictions(best), rtol=1e-12)


def victims() -> None:
    """In processes of their own, for the URI of sys.argv: a model for the tracked run of each moment, which ends the process."""
    uri = sys.argv[1]
    tracked = ExperimentTracker.open("shallowexp", Store.open(uri))
    ExperimentTracker.open("before", tracked.store).one(run(), [run()])  # all imports, once
    for moment in MOMENTS:
        plain = run(seed=moment, log__model="none")
        tracked.one(plain, [plain])
    tracked.store.client._tracking_client.store._dispose_engine()  # no connection survives a fork
    for moment in MOMENTS:
        if os.fork() == 0:
            _die(ExperimentTracker.open("shallowexp", Store.open(uri)), moment)
            os._exit(1)  # outlived its moment
        _, status = os.wait()
        assert os.WTERMSIG(status) == signal.SIGKILL, (moment, status)


def _die(tracked, moment: int) -> None:
    import sqlalchemy

    left = [moment]

    def tick(*_, **__):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def file(event, arguments):
        if event in ("os.mkdir", "shutil.copyfile") or (event == "open" and set(str(arguments[1])) & set("wax")):
            tick()

    engine = tracked.store.client._tracking_client.store.engine
    for event in ("before_cursor_execute", "commit"):
        sqlalchemy.event.listen(engine, event, tick)
    sys.addaudithook(file)
    tracked.one(run(seed=moment), [])


def test_killed_at_any_moment_a_model_is_completed_by_the_same_command(workplace):
    uri = f"sqlite:///{workplace / 'mlflow.db'}"
    done = command("tests.models.test_model_stores:victims", uri, cwd=workplace)
    assert done.returncode == 0, done.stderr
    tracked = ExperimentTracker.open("shallowexp", Store.open(uri))
    assert {model.status for model in models(tracked)} == {"PENDING", "READY"}
    for moment in MOMENTS:
        tracked.one(run(seed=moment), [])
    found = models(tracked)
    assert {model.status for model in found} == {"READY"}
    assert len({model.source_run_id for model in found}) == len(found) == len(MOMENTS)
    for model in found:
        stored = tracked.store.client.get_run(model.source_run_id)
        seed = int(stored.data.params["seed"])
        assert [output.model_id for output in stored.outputs.model_outputs] == [model.model_id]
        assert len(model.metrics) == len({metric.key for metric in model.metrics}) == 4
        X = run(seed=seed).job.data.load().X_test
        assert np.array_equal(loaded(tracked, model).predict(X.T), predictions(run(seed=seed)))
