"""The two commands: `shallowexp` (Hydra: a run or a sweep) and `shallowexp-report` (argparse).

What is heavy (MLflow, Numba, matplotlib) is imported only once the configuration has been found good.
"""

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, OmegaConfBaseException

from shallowexp import CONF, __version__, provenance
from shallowexp.config import nearest, plan, require, unknown
from shallowexp.errors import ConfigError, RunsFailed, UserError

EXPERIMENT = "shallowexp"  # the MLflow experiment of runs that belong to no claim


def main() -> None:
    """`shallowexp`: what the user got wrong ends in one message and a non-zero exit status, not in a traceback."""
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises to here instead of printing
    sys.path.append(os.getcwd())  # where a user's own modules are
    gc.disable()  # what is imported and composed stays: to look for garbage in it takes a fifth of a small sweep's time
    command = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(run)
    with one_message(full_error):
        command()


def run(config: DictConfig) -> float | None:
    """One run. Returns its last training loss, for sweepers that minimise it (with hydra/launcher=basic)."""
    with one_message():
        choices = HydraConfig.get().runtime.choices
        (planned,) = plan([(config, choices)])
        from shallowexp.batches import forecast
        from shallowexp.sweep import Tracked

        tracked = Tracked.open(_experiment([choices]))
        missing = tracked.missing([planned], config.fresh)
        _collect_from_now_on()
        if config.dry_run:
            return print(forecast([planned], missing, None))
        return tracked.one(planned, missing)


def sweep(composed: Sequence, directory: Path, threads: int | None) -> None:
    """A multirun: the batched launcher calls this with every job, composed. Nothing is written before all are valid."""
    config = composed[0].config
    require("hydra.launcher.threads", threads, threads is None or threads >= 1, "at least 1, or null for all cores")
    runs = plan((job.config, job.choices) for job in composed)
    experiment = _experiment([job.choices for job in composed])
    from shallowexp.batches import forecast
    from shallowexp.sweep import Tracked

    tracked = Tracked.open(experiment)
    missing = tracked.missing(runs, config.fresh)
    _collect_from_now_on()
    if config.dry_run:
        return print(forecast(runs, missing, threads))
    _save(composed, directory)
    multirun = directory / "multirun.yaml"  # Hydra's sweepers write it
    files = provenance.configuration(composed, multirun.read_text() if multirun.exists() else "")
    tally = tracked.sweep(runs, missing, threads, files)
    print(f"{tally}. {tracked}")
    if tally.failures:
        raise RunsFailed(tally.failures)


run.sweep = sweep  # what makes the batched launcher take whole sweeps


def report() -> None:
    """`shallowexp-report [names] [--output report] [--train] [--list]`: figures and verdicts from the tracked runs."""
    from shallowexp import claims

    found = claims.find()
    parser = argparse.ArgumentParser(prog="shallowexp-report", description="Figures and verdicts from tracked runs.")
    parser.add_argument("names", nargs="*", metavar="experiment", help=f"of {', '.join(found)} (default: all)")
    parser.add_argument("--output", type=Path, default=Path("report"), help="folder to write (default: report)")
    parser.add_argument("--train", action="store_true", help="launch first what the experiments' sweeps lack")
    parser.add_argument("--list", action="store_true", help="list the experiments and their claims")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args()
    if arguments.list:
        return print("\n".join(f"{name:20} {claim.section:8} {claim.sentence}" for name, claim in found.items()))
    for name in arguments.names:
        if name not in found:
            parser.error(f"there is no experiment {name!r}{nearest(name, found)}; choices: {', '.join(found)}")
    sys.path.append(os.getcwd())
    with one_message():
        from shallowexp.report import write_report

        sys.exit(write_report([found[name] for name in arguments.names or found], arguments.output, arguments.train))


@contextmanager
def one_message(full_error: str | None = None) -> Iterator[None]:
    """Ends the command with one message on stderr; with HYDRA_FULL_ERROR set by the user, with the traceback too."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message, status = _explain(error)
        if message is None or full_error:
            raise
        print(f"shallowexp: {message}", file=sys.stderr)
        sys.exit(status)


def _explain(error: Exception) -> tuple[str | None, int]:
    """What to tell the user, and the exit status; None for what is our fault."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name} is not a choice{nearest(name, error.options)}; choices: {', '.join(error.options)}", 1
    if isinstance(cause, ConfigAttributeError):
        keys = [str(key) for key in cause.parent_node or () if key not in ("hydra", "_target_")]
        return unknown(str(cause.full_key), keys), 1
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return " ".join(" ".join(str(part).split("\n    ")[0].split()) for part in (error, cause) if part), 1
    if isinstance(error, ValueError) and extract_tb(error.__traceback__)[-1].name == "_run_hydra":
        return str(error), 1  # of flags that do not go together
    return (str(error), error.status) if isinstance(error, UserError) else (None, 1)


def _experiment(choices: Sequence[Mapping[str, str]]) -> str:
    names = {chosen.get("experiment") or EXPERIMENT for chosen in choices}
    if len(names) > 1:
        raise ConfigError(f"experiment={','.join(sorted(names))} cannot be swept: launch one experiment at a time")
    return names.pop()


def _collect_from_now_on() -> None:
    """Garbage is looked for again, but not in what start-up has made."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _save(composed: Sequence, directory: Path) -> None:
    """Hydra's output directory of each job: its overrides and its configuration."""
    for number, job in enumerate(composed):
        folder = directory / str(number) / ".hydra"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("config", OmegaConf.to_container(job.config)), ("overrides", job.overrides)):
            (folder / f"{name}.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
