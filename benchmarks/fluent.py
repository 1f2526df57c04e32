"""What a user would write without shallowexp: Hydra's basic launcher, one network at a time, MLflow's fluent interface.

The same conf/ and the same arithmetic (network/passes.py), `log_metrics` once for each logged step. Run by benchmarks/sweeps.py.
"""

import hydra
import mlflow
from hydra.core.hydra_config import HydraConfig

from shallowexp import CONF
from shallowexp.config.composition import VERSION_BASE  # (registers the types that conf/config.yaml names, too)
from shallowexp.config.runs import to_run
from shallowexp.network.diagnostics import METRICS
from shallowexp.training.engines import train_one


def main(config) -> None:
    run = to_run(config, HydraConfig.get().runtime.choices)
    mlflow.set_experiment("fluent")
    with mlflow.start_run(run_name=run.name):
        mlflow.log_params(dict(run.params))
        result = train_one(run.job)
        for step, row in zip(result.steps, result.metrics, strict=True):
            values = {name: value for name, value in zip(METRICS, row, strict=True) if value == value}
            mlflow.log_metrics(values, step=int(step))


if __name__ == "__main__":
    hydra.main(config_path=str(CONF), config_name="config", **VERSION_BASE)(main)()
