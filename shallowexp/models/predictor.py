"""A trained network as MLflow serves it: rows of measured features in, rows of predictions out.

MLflow keeps a copy of this file with every model, beside the modules that it imports (models from code: no pickle), and
runs it when the model is loaded. So it needs NumPy and MLflow, not an installed shallowexp.
"""

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from shallowexp.network.choices import rebuild
from shallowexp.network.initializers import Parameters
from shallowexp.network.passes import forward


class Predictor(PythonModel):
    """`models.Model` says what `parameters` and the configuration hold."""

    def load_context(self, context: PythonModelContext) -> None:
        path, config = Path(context.artifacts["parameters"]), context.model_config
        content = path.read_bytes()
        if sha256(content).hexdigest() != config["sha256"]:
            raise ValueError(f"{path} is not the file that was logged: its SHA-256 is not {config['sha256']}")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            self.parameters = Parameters(*(arrays[name] for name in Parameters._fields))
            self.mean, self.scale = arrays["mean"], arrays["scale"]
        self.g, self.output = (rebuild(config[part]) for part in ("activation", "output"))

    def predict(
        self, context: PythonModelContext | None, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        X = (np.asarray(model_input, dtype=np.float64).T - self.mean) / self.scale
        X = np.ascontiguousarray(X, dtype=self.parameters.W1.dtype)
        return np.ascontiguousarray(self.output(forward(X, self.parameters, self.g).Z2).T)


set_model(Predictor())
