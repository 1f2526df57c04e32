"""Trained networks as models: what a network is once it is trained, as plain values that a store can keep.

Models are made once the runs are in MLflow, and a model depends on its run's job alone: a network that is no longer in
memory is trained again, to the same bits. So a sweep that was killed gets its model when the same command is given again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from shallowexp.analysis import LOSS, direction
from shallowexp.config.fingerprint import users_own
from shallowexp.config.runs import Run
from shallowexp.errors import RunsFailed
from shallowexp.models.store import Model, Models
from shallowexp.network.choices import describe
from shallowexp.network.initializers import Parameters
from shallowexp.tracking.artifacts import npz
from shallowexp.tracking.store import RunResult, Store
from shallowexp.training.engines import train
from shallowexp.training.job import Failure, Job, Result

NAMES = ("activations", "choices", "initializers", "optimizers", "outputs", "passes")
USES = [f"shallowexp.network.{name}" for name in NAMES]


@dataclass
class Best:
    """The network with the best objective among those trained by this command."""

    worth: float = math.inf  # the lower the better
    fingerprint: str = ""
    final: Parameters | None = None

    def see(self, run: Run, result: Result | Failure) -> None:
        if isinstance(result, Failure) or result.diverged_at is not None:
            return
        worth = direction(run.objective) * float(result.history(run.objective)[-1])
        if worth < self.worth:
            self.worth, self.fingerprint, self.final = worth, run.fingerprint, result.final


def log_models(
    store: Store, experiment_id: str, runs: Sequence[Run], best: Best, results: Mapping[str, RunResult] | None = None
) -> None:
    """As `log.model` asks: a model for the best of the finished runs, for each of them, or for none.

    `results`, by fingerprint, are asked of the store where the caller has none.

    What is there already is not written again. Raises TrackingError where the store cannot be used.
    """
    if runs[0].model == "none":
        return
    planned, models = {run.fingerprint: run for run in runs}, Models(store.uri, store.client, experiment_id)
    results = store.results(experiment_id, planned) if results is None else results
    finished, objective = [f for f in results if results[f].outcome == "finished"], runs[0].objective

    def rank(fingerprint: str) -> tuple[float, float, str]:
        """Of equals, such as accuracies are, the same one is first each time."""
        metrics = results[fingerprint].metrics
        worth = direction(objective) * metrics[objective] if objective in metrics else math.inf
        return worth, metrics[LOSS], fingerprint

    for fingerprint in sorted(finished, key=rank)[: 1 if runs[0].model == "best" else None]:
        run_id = results[fingerprint].run_id
        with store.one_at_a_time():
            if not models.has(run_id):
                models.log(run_id, model(planned[fingerprint], best))
            if runs[0].register:
                models.register(run_id, runs[0].register)


def model(run: Run, best: Best) -> Model:
    """The run's trained network."""
    job, data = run.job, run.job.data.load()
    parameters = npz(**_final(run, best)._asdict(), mean=data.mean, scale=data.scale)
    parts = {"activation": describe(job.activation), "output": describe(job.output)}
    return Model(
        name=f"{run.params['activation']}-{run.params['init']}-{job.hidden_size}",
        note=f"The network of *{run.name}*, trained on {run.params['data']}: features as measured in, predictions out.",
        fingerprint=run.fingerprint,
        params=dict(run.params),
        parameters=parameters,
        config=parts | {"sha256": sha256(parameters).hexdigest()},
        code=_code(job),
        example=np.ascontiguousarray((data.X_test[:, :5] * data.scale + data.mean).T),
        output=np.empty((0, len(data.Y)), job.dtype),
    )


def _final(run: Run, best: Best) -> Parameters:
    """The run's parameters: from memory if it is the best one, else trained again."""
    if best.final is not None and run.fingerprint == best.fingerprint:
        return best.final
    (result,) = train([run.job])
    if isinstance(result, Failure):
        raise RunsFailed([(run.name, result.error)])
    return result.final


def _code(job: Job) -> dict[str, bytes]:
    """The modules that predicting needs and the packages around them, by path."""
    chosen = {type(job.activation).__module__, type(job.output).__module__}
    modules = {*USES, *chosen, *users_own(chosen)}
    packages = {module[:i] for module in modules for i, letter in enumerate(module) if letter == "."}
    specs = {name: find_spec(name) for name in modules | packages}
    files = {name: Path(spec.origin) for name, spec in specs.items() if spec and spec.origin}
    return {f"{_path(name, file)}.py": file.read_bytes() for name, file in files.items()}


def _path(module: str, file: Path) -> str:
    return module.replace(".", "/") + ("/__init__" if file.stem == "__init__" else "")
