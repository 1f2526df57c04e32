"""shallowexp from Python and in notebooks: `import shallowexp`, then `runs`, `field`, `train`, `sweep`, `plot` and `Page`.

Keys are those of the command line, with a dot where it has one: `train("train.steps=1000", activation="tanh")`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from shallowexp import provenance
from shallowexp.analysis import Runs
from shallowexp.api.arrays import table
from shallowexp.api.words import command, one_run, products
from shallowexp.claims.choice import Choice
from shallowexp.claims.page import Page as Page
from shallowexp.claims.plots import plot as _plot
from shallowexp.config import runs as planning
from shallowexp.config.composition import Workers, compose_one, compose_sweep
from shallowexp.config.explain import explain
from shallowexp.config.runs import EXPERIMENT, Run
from shallowexp.errors import ConfigError, RunsFailed
from shallowexp.fields.field import Field as Field
from shallowexp.network.data import Dataset
from shallowexp.network.diagnostics import metric_names
from shallowexp.network.initializers import Parameters
from shallowexp.network.passes import forward
from shallowexp.sweeps.progress import compilation_told
from shallowexp.training.engines import train as train_jobs
from shallowexp.training.job import Failure, Result


def runs(
    experiment: str | None = None,
    *,
    sweep: str | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    uri: str | None = None,
) -> Runs:
    """Tracked runs as frames: all finished ones of an experiment, those of a sweep (`latest`, or how its run id begins), else of the store.

    `where` chooses among them by params, a value or a list of values each. `uri` is the store's, by default MLflow's own.
    Raises TrackingError for what is not there, and UserError where no run has these params.
    """
    from shallowexp.claims.choice import narrowed
    from shallowexp.report.sweeps import read
    from shallowexp.tracking.store import Store

    store = Store.open(uri, create=False)
    named = [sweep] if isinstance(sweep, str) else [*(sweep or ())]
    if named and experiment:
        raise ConfigError(f"experiment={experiment} and sweep={sweep}: name one of them")
    asked = named or ([experiment] if experiment else store.experiments())
    _, found = read(asked, store)
    return narrowed(found if len(named) > 1 else found.once(), where or {})


def field(reference: str = "latest", *, uri: str | None = None) -> Field:
    """A tracked field, the `latest` or the one whose run id begins so: `arrays` (height, width), `x.values`, `y.values`, `units`, and
    `frame`, a row a pixel. Raises TrackingError for what is not there, RunDamaged for a file that is broken.
    """
    from shallowexp.tracking import fields
    from shallowexp.tracking.store import Store

    store = Store.open(uri, create=False)
    return Field.from_npz(store.sweep(fields.find(store, reference).run_id).arrays(fields.ARRAYS))


def plot(chosen: Runs, **choices: Any) -> Page:
    """The figure that `shallowexp-plot` draws of these choices: x, y, z, by, panel, kind, pool, where. Raises UserError."""
    pool = choices.get("pool", ())
    return _plot(chosen, Choice(**choices | {"pool": [pool] if isinstance(pool, str) else pool}))


@dataclass(frozen=True)
class Trained:
    """One trained network, and the data set that it has seen."""

    run: Run
    result: Result
    data: Dataset
    classes: np.ndarray | None = None  # the names of the classes, of data from Python

    @property
    def history(self) -> pd.DataFrame:
        """A row for each logged step (the index), a column for each metric."""
        steps = pd.Index(self.result.steps, name="step")
        names = [*metric_names(self.data.task)]
        return pd.DataFrame(self.result.metrics, index=steps, columns=names).dropna(axis="columns", how="all")

    @property
    def parameters(self) -> Parameters:
        """W1 (n_h, n_x), b1 (n_h, 1), W2 (n_y, n_h), b2 (n_y, 1), at the last logged step."""
        return self.result.final

    @property
    def diverged_at(self) -> int | None:
        return self.result.diverged_at

    def predict_proba(self, X: Any) -> np.ndarray:
        """The output A2 for the rows of X (m, n_x), in the units in which its features were measured: (m, n_y)."""
        data, W1 = self.data, self.parameters.W1
        columns = np.asarray(X, dtype=float).T
        if columns.ndim != 2 or len(columns) != W1.shape[1]:
            raise ConfigError(f"X has shape {np.shape(X)}: a row a sample and {W1.shape[1]} columns are needed")
        scaled: np.ndarray = np.ascontiguousarray((columns - data.mean) / data.scale, dtype=W1.dtype)
        output = self.run.job.output(forward(scaled, self.parameters, self.run.job.activation).Z2)
        return np.ascontiguousarray(output.T)

    def predict(self, X: Any) -> np.ndarray:
        """Classes (m,): for data from Python as y had them, else counted from 0 in sorted order. Or values (m,), in standard deviations
        of the training targets.
        """
        outputs = self.predict_proba(X)
        if self.data.task == "regression":
            return outputs[:, 0]
        found = outputs.argmax(axis=1) if self.data.task == "multiclass" else (outputs[:, 0] > 0.5).astype(int)
        named: np.ndarray = found if self.classes is None else self.classes[found]
        return named

    def __str__(self) -> str:
        ended = f"diverged at step {self.diverged_at}" if self.diverged_at is not None else "finished"
        return f"{self.run.name}: {ended}"

    def __repr__(self) -> str:
        return f"{self}\n{self.history.tail(3)}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>{self.history.tail(3).to_html()}"


def train(*overrides: str, data: Any = None, experiment: str | None = None, **choices: Any) -> Trained:
    """Train one network: `train("train.steps=1000", activation="tanh", hidden_size=4, seed=2)`.

    `data` is the name of a set or (X, y): rows of X (m, n_x) are samples, y (m,) holds labels or values. Nothing is stored, unless
    `experiment` names the MLflow experiment for it; a run that is there already stays as it is. Raises ConfigError, RunsFailed, and
    TrackingError where it is stored.
    """
    if data is None or isinstance(data, str):
        return _train([*overrides, *one_run(choices | ({"data": data} if data else {}))], experiment)
    if experiment:
        raise ConfigError(
            f"experiment={experiment}: arrays cannot be stored; write them to a file, data=csv data.path=<file>"
        )
    if not (isinstance(data, (tuple, list)) and len(data) == 2 and np.ndim(data[0]) == 2 and np.ndim(data[1]) == 1):
        raise ConfigError("data is the name of a set or (X, y): X (m, n_x) with a row a sample, y (m,)")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data.parquet"
        X, y = data
        words = [*overrides, *one_run(choices)]
        own = table(X, y, path, any(word.startswith("data.categorical=") for word in words))
        try:
            found = _train(["data=csv", *one_run(own), *words], None)
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"data.path={path}", "data").replace(str(path), "data")) from None
        return found if found.data.task == "regression" else replace(found, classes=np.unique(y))


def _train(overrides: Sequence[str], experiment: str | None) -> Trained:
    with _one_message():
        config, choices = compose_one(overrides)
        _refuse(config, "train")
        (run,) = planning.plan([(config, choices)])
        if (n := int(config.objective.seeds)) != 1:
            seeds = range(run.job.seed, run.job.seed + n)
            raise ConfigError(f"objective.seeds={n}: train trains one network; sweep({{'seed': {seeds}}}) trains each")
    stored = _track(experiment, run, config.fresh) if experiment else None
    return Trained(run, stored or _result(run), run.job.data.load())


def _track(experiment: str, run: Run, fresh: bool) -> Result | None:
    from shallowexp.sweeps.sweep import ExperimentTracker

    tracker = ExperimentTracker.open(experiment)
    return tracker.one(run, tracker.missing([run], fresh), fresh=fresh)


def _result(run: Run) -> Result:
    with compilation_told():
        (result,) = train_jobs([run.job])
    if isinstance(result, Failure):
        raise RunsFailed([(run.name, result.error)])
    return result


def _refuse(config: DictConfig, function: str) -> None:
    """Keys that the command reads and a function from Python does not."""
    if config.name is not None:
        raise ConfigError(f"name={config.name} is of the command line: write experiment={str(config.name)!r}")
    if config.dry_run:
        raise ConfigError(f"dry_run=true is of the command line: shallowexp.{function} trains")
    if config.field:
        raise ConfigError("+field=... is of the command line: shallowexp.field reads what it has trained")


def sweep(
    params: Mapping[str, Any] | Iterable[Mapping[str, Any]] = (),
    *overrides: str,
    experiment: str = EXPERIMENT,
    threads: int | None = None,
    scheduler: str | None = None,
    executor: str | None = None,
    workers: int | None = None,
    **choices: Any,  # as `train` takes them: answered, not taken
) -> Runs:
    """Launch a multirun: `sweep({"activation": ["tanh", "relu"], "seed": range(10)}, "train.steps=1000")`.

    A mapping is a product of its values; several mappings are united. What is tracked already is not trained again. Returns
    all of its runs. `threads`, `scheduler`, `executor` and `workers` are those of hydra.launcher (docs/cluster.md). Raises
    ConfigError, RunsFailed (the others are tracked), TrackingError, PoolError and Interrupted.
    """
    from shallowexp.sweeps.sweep import ExperimentTracker

    swept = products(params, overrides, choices)
    with _one_message():
        tree, composed = compose_sweep(
            overrides, [{key: ",".join(values) for key, values in mapping.items()} for mapping in swept]
        )
        config = composed[0].config
        _refuse(config, "sweep")
        planned = planning.plan_jobs(composed)
    tracker = ExperimentTracker.open(experiment, fail_fast=config.fail_fast, command=command(swept, overrides))
    files = provenance.configuration(composed, OmegaConf.to_yaml(tree))
    launcher = Workers(threads, scheduler, executor, workers)
    summary = tracker.sweep(planned, tracker.missing(planned, config.fresh), launcher, files, config.fresh)
    if summary.failures:
        raise RunsFailed(summary.failures.values())
    return tracker.store.read(experiment, [run.fingerprint for run in planned])


@contextmanager
def _one_message() -> Iterator[None]:
    """Hydra's errors in the words of the command line."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        message, _ = explain(error)
        if message is None:
            raise
        raise ConfigError(message) from None
