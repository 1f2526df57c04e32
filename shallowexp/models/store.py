"""Trained networks as MLflow models, each linked to the run that trained it.

A model is PENDING until its files and its link are there, then READY. One that a killed process left PENDING is taken up
again, so a run never has two. Only the public client is used, which leaves the run itself as it is.
"""

import logging
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shallowexp.errors import TrackingError
from shallowexp.tracking.errors import explained_artifacts, tracked
from shallowexp.tracking.records import FINGERPRINT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric
    from mlflow.entities import Run as MLflowRun

PREDICTOR, TYPE = Path(__file__).with_name("predictor.py"), "shallowexp"


@dataclass(frozen=True)
class Model:
    """A trained network: what predictor.py needs to predict as it did."""

    name: str
    note: str  # its description
    fingerprint: str
    params: dict[str, str]
    parameters: bytes  # npz: W1, b1, W2, b2, and the features' mean and scale
    config: dict[str, Any]  # of the activation and the output: module, name and fields; the SHA-256 of `parameters`
    code: dict[str, bytes]  # path -> content of the modules that predictor.py imports, the user's own among them
    example: np.ndarray  # (5, n_x): rows of features as they were measured
    output: np.ndarray  # (0, n_y): the predictions' width and dtype


@dataclass(frozen=True)
class Models:
    """The models of one MLflow experiment. Its methods raise TrackingError when the store fails."""

    uri: str
    client: "MlflowClient"
    experiment_id: str

    @tracked
    def has(self, run_id: str) -> bool:
        """Whether the run's model is there, whole."""
        found = self._find(run_id)
        return found is not None and found.status == "READY"

    @tracked
    def log(self, run_id: str, model: Model) -> None:
        """Write the run's model, or write again what a killed process has begun."""
        from mlflow.entities import LoggedModelOutput

        logged = self._find(run_id) or self._create(run_id, model)
        with tempfile.TemporaryDirectory() as folder:
            save(model, Path(folder), run_id=run_id, model_id=logged.model_id)
            with explained_artifacts(logged.artifact_location):
                self.client.log_model_artifacts(logged.model_id, f"{folder}/model")
        run = self.client.get_run(run_id)
        if logged.model_id not in [output.model_id for output in (run.outputs.model_outputs if run.outputs else ())]:
            self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self.client.log_batch(run_id, _measured(run, logged.model_id))
        self.client.finalize_logged_model(logged.model_id, "READY")

    @tracked
    def register(self, run_id: str, name: str) -> None:
        """Make the run's model a version of the registered model `name`, once. Raises TrackingError if it has none."""
        logged = self._find(run_id)
        if logged is None:
            raise TrackingError(f"Run {run_id} has no model that could be registered as {name}.")
        if name not in [found.name for found in self.client.search_registered_models(f"name = '{name}'")]:
            self.client.create_registered_model(name)
        if not self.client.search_model_versions(f"name = '{name}' AND run_id = '{run_id}'"):
            model_id = logged.model_id
            self.client.create_model_version(name, f"models:/{model_id}", run_id, model_id=model_id)

    def _find(self, run_id: str) -> "LoggedModel | None":
        condition = f"source_run_id = '{run_id}' AND model_type = '{TYPE}'"
        return next(iter(self.client.search_logged_models([self.experiment_id], condition)), None)

    def _create(self, run_id: str, model: Model) -> "LoggedModel":
        tags = {FINGERPRINT: model.fingerprint, "mlflow.note.content": model.note}
        return self.client.create_logged_model(self.experiment_id, model.name, run_id, tags, model.params, TYPE)


def _measured(run: "MLflowRun", model_id: str) -> list["Metric"]:
    """The run's last losses and accuracies as the model's too, on the run's data set: so MLflow links the two.

    The run has these very points, so it stays as it is.
    """
    from mlflow.entities import Metric

    (used,) = run.inputs.dataset_inputs if run.inputs else []
    data, step = used.dataset, int(run.data.params["train.steps"])
    last = {name: value for name, value in run.data.metrics.items() if name.startswith(("train/", "test/"))}
    on = {"model_id": model_id, "dataset_name": data.name, "dataset_digest": data.digest, "run_id": run.info.run_id}
    return [Metric(name, value, run.info.end_time, step, **on) for name, value in last.items()]


def save(model: Model, folder: Path, run_id: str, model_id: str) -> None:
    """Write MLflow's folder `model` for it: predictor.py, its modules, the parameters, what goes in and comes out."""
    from mlflow.models import Model as MLflowModel
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import Schema, TensorSpec

    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
    files = {f"code/{path}": content for path, content in model.code.items()} | {"parameters.npz": model.parameters}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    inputs, outputs = (
        Schema([TensorSpec(np.dtype(rows.dtype), (-1, rows.shape[1]))]) for rows in (model.example, model.output)
    )
    save_model(
        folder / "model",
        python_model=str(PREDICTOR),
        artifacts={"parameters": str(folder / "parameters.npz")},
        code_paths=[str(path) for path in sorted((folder / "code").iterdir())],
        model_config=model.config,
        signature=ModelSignature(inputs, outputs),
        input_example=model.example,
        pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "numpy")],
        metadata={FINGERPRINT: model.fingerprint, "shallowexp.sha256": model.config["sha256"]},
        mlflow_model=MLflowModel(run_id=run_id, model_id=model_id),
    )
