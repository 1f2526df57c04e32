"""Records and stores of tracking's tests."""

import io

import numpy as np

from shallowexp.tracking import client, parents
from shallowexp.tracking.records import DatasetInput, Record
from shallowexp.tracking.store import Store


def record(i: int, **changes) -> Record:
    """A small run: some undefined values, a metric that is never defined, weights for every second run."""
    random = np.random.RandomState(i)
    loss, cosine = random.rand(3), np.array([np.nan, 0.5, np.inf])
    weights = ARTIFACTS if i % 2 == 0 else {}
    values = {
        "fingerprint": f"{i:04x}",
        "name": f"tanh h={i}",
        "params": {"activation": "tanh", "init.scale": f"{0.01 * (i + 1)}", "hidden_size": str(i + 1)},
        "tags": {
            "shallowexp.outcome": "finished",
            "mlflow.source.git.commit": "c0ffee",
            "mlflow.note.content": "A *note*",
        },
        "steps": np.array([0, 10, 100]),
        "metrics": {"train/loss": loss, "symmetry/cosine": cosine, "never": np.full(3, np.nan)},
        "start": 1_700_000_000_000 + i,
        "end": 1_700_000_001_000 + i,
        "artifacts": weights,
        "data": DatasetInput("moons", f"d{i % 2}", '{"tags": {}}', '{"mlflow_colspec": []}', '{"num_rows": 9}'),
    }
    return Record(**values | changes)


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


ARTIFACTS = {"weights.npz": npz(steps=np.array([0, 100]), W1=np.arange(4.0).reshape(2, 2, 1)), "deep/er.txt": b"x"}


def by_client(uri: str) -> Store:
    """The store at `uri`, written and read through MlflowClient whatever it is."""
    store = Store.open(uri)
    return Store(store.uri, store.client, client.ClientBackend(store.client, store.uri))


def sweep_of(store: Store, name: str, digest: str = "d1") -> tuple[str, parents.Sweep]:
    experiment = store.experiment(name)
    return experiment, store.open_sweep(experiment, digest, "a sweep", {"shallowexp.command": "-m x"}, "What it is")
