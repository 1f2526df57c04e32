"""The commands as a user meets them: real processes, a real store, and another process that looks at what they left."""

import json
import os
import re
import runpy
import signal
import sqlite3
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path

import mlflow
import pytest
import yaml

from shallowexp import __version__
from shallowexp.config.composition import VERSION_BASE
from shallowexp.config.schema import LogSchema, ObjectiveSchema, RunSchema, TrainSchema
from shallowexp.provenance import commit
from shallowexp.sweeps.progress import AHEAD
from tests import held
from tests.brand_new import NEW, add_experiment
from tests.commands import FOLDER, ForkServer, command, environment, forked, process, until

SMALL = ("train.steps=20", "log.points=3", "data.samples=20")


def tracked(folder: Path, experiment="shallowexp"):
    """All runs, parents and children, as MLflow's public search gives them."""
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    try:
        return mlflow.search_runs(experiment_names=[experiment], max_results=50_000)
    finally:
        mlflow.set_tracking_uri(None)  # it would reach every later test of this process, and their child processes


def children(folder, experiment="shallowexp"):
    runs = tracked(folder, experiment)
    return runs[runs["tags.shallowexp.fingerprint"].notna()]


def test_a_single_run_ends_with_one_line(workplace):
    dry = command("shallowexp", "seed=2", "dry_run=true", *SMALL, cwd=workplace)
    assert "1 runs: 0 already there, 1 to train" in dry.stdout
    assert tracked(workplace).empty
    done = command("shallowexp", "seed=2", *SMALL, cwd=workplace)
    run = children(workplace).iloc[0]
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    for part in (f"train/loss {run['metrics.train/loss']:.6g}", "train/accuracy", run.run_id, "mlflow.db"):
        assert part in done.stdout
    assert (run.status, run["params.activation"], run["params.init.scale"], run["params.seed"]) == (
        "FINISHED", "tanh", "0.01", "2",
    )  # fmt: skip
    assert run["tags.mlflow.source.git.commit"] == commit()
    again = command("shallowexp", "seed=2", *SMALL, cwd=workplace)
    assert "already there" in again.stdout
    assert len(children(workplace)) == 1


def test_alone_it_trains_the_default_network(workplace):
    done = command("shallowexp", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert set(children(workplace)["params.train.steps"]) == {"10000"}


FIRST = {"run": (), "sweep": ("-m", "seed=0,1"), "field": ("+field=trainability", "field.width=2", "field.height=2")}


@pytest.fixture
def brand_new(workplace):
    """The first command on a machine, to the point where the store is opened, which is not there: nothing is compiled."""
    nothing = {"NUMBA_CACHE_DIR": str(workplace / "cache"), "MLFLOW_TRACKING_URI": "sqlite:////dev/null/mlflow.db"}
    return partial(process, "shallowexp", cwd=workplace, **nothing)


@pytest.mark.parametrize("arguments", FIRST.values(), ids=FIRST)
def test_the_first_command_says_at_once_that_numba_is_going_to_compile(arguments, brand_new):
    assert brand_new(*arguments).stderr.startswith(f"{AHEAD}\nshallowexp: ")


@pytest.mark.parametrize("argument", ["dry_run=true", "train.engine=numpy"])
def test_it_says_nothing_where_numba_is_not(argument, brand_new):
    assert brand_new(argument).stderr.startswith("shallowexp: ")


def test_a_sweep_has_one_parent_and_a_child_for_each_run(workplace):
    arguments = ("activation=sigmoid,tanh,relu", "init=zero,random", "hidden_size=2,4", "seed=range(3)", *SMALL)
    done = command("shallowexp", "-m", *arguments, cwd=workplace)
    runs, found = tracked(workplace), children(workplace)
    (parent,) = runs[runs["tags.shallowexp.digest"].notna()].itertuples()
    assert done.returncode == 0, done.stderr
    assert len(found) == 36
    assert set(found.status) == {"FINISHED"} == {parent.status}
    assert set(found["tags.mlflow.parentRunId"]) == {parent.run_id}
    assert not found.filter(like="metrics.train/loss").isna().any(axis=None)
    overrides = list(workplace.glob("multirun/*/*/*/.hydra/overrides.yaml"))
    assert len(overrides) == 36
    config = yaml.safe_load((overrides[0].parent / "config.yaml").read_text())
    assert all(f"{key}={config[key]}" in yaml.safe_load(overrides[0].read_text()) for key in ("hidden_size", "seed"))


def test_only_what_is_missing_is_trained(workplace):
    command("shallowexp", "-m", "seed=range(4)", *SMALL, cwd=workplace)
    dry = command("shallowexp", "-m", "seed=range(6)", "dry_run=true", *SMALL, cwd=workplace)
    assert "6 runs: 4 already there, 2 to train" in dry.stdout
    assert len(children(workplace)) == 4
    more = command("shallowexp", "-m", "seed=range(6)", *SMALL, cwd=workplace)
    assert "6 runs: 4 already there, 2 trained" in more.stdout
    assert len(children(workplace)) == 6
    fresh = command("shallowexp", "-m", "seed=range(6)", "fresh=true", *SMALL, cwd=workplace)
    assert "0 already there, 6 trained" in fresh.stdout
    assert len(children(workplace)) == 12


def test_divergence_is_a_result(workplace):
    done = command("shallowexp", "data=diabetes", "train.learning_rate=1e6", "train.steps=50", cwd=workplace)
    (run,) = children(workplace).to_dict("records")
    assert done.returncode == 0
    assert "diverged at step" in done.stdout
    assert (run["status"], run["tags.outcome"]) == ("FINISHED", "diverged")
    client = mlflow.MlflowClient(f"sqlite:///{workplace / 'mlflow.db'}")
    history = client.get_metric_history(run["run_id"], "train/loss")
    assert 0 < len(history) < 20
    assert all(abs(point.value) < 1e308 and point.step < run["metrics.diverged/step"] for point in history)


REFUSED = {
    "activation=tahn": ("activation=tahn", "did you mean tanh?", "sigmoid"),
    "hidden_size=-1": ("hidden_size=-1",),
    "hidden_size=four": ("hidden_size=four",),
    "init.scale=abc": ("init.scale", "abc"),
    "hiden_size=3": ("hiden_size", "did you mean hidden_size?"),
    "data.balance=0.3": ("data.balance is now called data.positive_rate",),
    "activation.slope=0.1": ("activation.slope",),
    "output=softmax": ("output=softmax", "choices: auto, sigmoid"),
    "train.learning_rate=0": ("train.learning_rate=0",),
    "seed=[": ("seed=[ cannot be read", "override_grammar"),
    "seed=range(a)": ("seed=range(a) cannot be read (", "str is incompatible"),
    "~activation": ("activation._target_ is missing",),
    "+experiment=symetry": ("experiment=symetry", "did you mean symmetry?"),
    "-m seed=range(0)": ("seed=range(0)", "empty range"),
    "-m hidden_size=1,-2": ("hidden_size=-2",),
    "-m activation=tanh,tahn": ("activation=tahn", "did you mean tanh?"),
    "-m +experiment=symmetry,saturation": ("one experiment at a time",),
}


@pytest.mark.parametrize(("arguments", "parts"), REFUSED.items())
def test_bad_input_is_one_message_and_leaves_nothing(arguments, parts, tmp_path):
    done = command("shallowexp", *arguments.split(), cwd=tmp_path)
    assert done.returncode == 1
    assert all(part in done.stderr for part in parts), done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("mlflow.db*")) + list(tmp_path.rglob(".hydra/config.yaml"))[1:]


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "conf" / "activation").mkdir(parents=True)
    (tmp_path / "conf" / "activation" / "broken.yaml").write_text("slope: [1\n")
    done = command("shallowexp", "activation=broken", cwd=tmp_path)
    assert done.returncode == 1
    assert 'broken.yaml", line 1' in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(VERSION_BASE != {}, reason="Hydra 1.3 takes the mode from the experiment's file")
def test_an_experiment_without_m_is_told_to_be_a_sweep(tmp_path):
    done = command("shallowexp", "+experiment=symmetry", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "shallowexp: this is a sweep: add -m\n")


@pytest.mark.parametrize("arguments", [("hidden_size=-1",), ("-m", "hidden_size=-1,2")], ids=["run", "sweep"])
def test_a_user_who_asks_for_it_sees_the_traceback_too(arguments, tmp_path):
    done = process("shallowexp", *arguments, cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "in require" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("shallowexp: hidden_size=-1 is not possible")


def test_a_process_of_an_executor_imports_the_command_and_does_not_run_it():
    """As mpi4py's and multiprocessing's workers do."""
    runpy.run_module("shallowexp", run_name="__worker__")


@pytest.mark.parametrize("words", [["shallowexp"], ["python", "-m", "shallowexp"], ["shallowexp-report"]], ids=" ".join)
def test_the_version_is_ours(words, tmp_path):
    done = process(*words, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}


def test_a_terminal_without_the_characters_gets_others_for_them(workplace):
    add_experiment(workplace, code=NEW.replace('role="extension"', 'statement="16"'))
    with ForkServer(**ASCII) as server:
        run = partial(server.command, cwd=workplace)
        one = run("shallowexp", "seed=10", *SMALL)
        report = run("shallowexp-report", "--train", "brand_new")
        again = run("shallowexp-rerun", children(workplace).run_id[0])
    assert one.returncode == 0, one.stderr
    assert " ? train/accuracy " in one.stdout
    assert report.returncode == 0, report.stdout + report.stderr
    assert "6/6 runs trained" in report.stderr
    assert "+---" in report.stdout and "| no. | statement " in report.stdout
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "the same, to the bit"), again.stderr


@pytest.mark.parametrize("arguments", ["shallowexp-report --list", "shallowexp --help"])
def test_a_reader_that_has_seen_enough_is_no_error(arguments, tmp_path):
    read, write = os.pipe()
    os.close(read)  # the reader is gone before the first line
    program, *rest = arguments.split()
    try:
        done = subprocess.run(
            [FOLDER / program, *rest], cwd=tmp_path, env=environment(), stdout=write, stderr=subprocess.PIPE
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_report_without_runs(workplace):
    done = command("shallowexp-report", cwd=workplace)
    assert done.returncode == 1
    assert "no runs of these sweeps" in done.stderr
    assert not (workplace / "report").exists()


def test_a_report_on_an_unknown_experiment(workplace):
    done = command("shallowexp-report", "symetry", cwd=workplace)
    assert done.returncode == 2
    assert "did you mean symmetry?" in done.stderr


def test_help_is_light(tmp_path):
    code = (
        "import sys\nfrom shallowexp.cli.app import main\nsys.argv = ['shallowexp', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('heavy:', [name for name in ('mlflow', 'matplotlib', 'numba', 'sklearn', 'pandas') if name in sys.modules])"
    )
    done = process("python", "-c", code, cwd=tmp_path)
    assert "symmetry" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_help_has_every_key_with_its_words(tmp_path):
    said = command("shallowexp", "--help", cwd=tmp_path).stdout
    keys = [name for name, group in vars(RunSchema()).items() if not isinstance(group, dict)]
    keys += [name for part in (TrainSchema, LogSchema, ObjectiveSchema) for name in vars(part())]
    assert all(re.search(rf"^ *{key}:", said, re.MULTILINE) for key in keys)
    assert "which runs become MLflow models" in said
    assert "random" in said and "shallowexp -m " in said  # a group's choices, an example


def test_garbage_is_collected_once_start_up_is_over(workplace):
    code = "import gc, sys\nfrom shallowexp.cli.app import main\n"
    for arguments in (("seed=1",), ("-m", "seed=1,2")):
        code += f"sys.argv = {['shallowexp', *arguments, *SMALL]}\nmain()\nprint('collected:', gc.isenabled())\n"
    done = process("python", "-c", code, cwd=workplace)
    assert [line for line in done.stdout.splitlines() if line.startswith("coll")] == ["collected: True"] * 2, (
        done.stderr
    )


def written(folder) -> int:
    """How many runs are written. A short look each time: a long one would keep SQLite from writing."""
    count = "SELECT count(*) FROM tags WHERE key = 'shallowexp.fingerprint'"
    with closing(sqlite3.connect(folder / "mlflow.db", timeout=30)) as database:
        return database.execute(count).fetchone()[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_sweep_goes_on_with_the_same_command(number, workplace):
    with forked(*held.SWEEP, cwd=workplace) as sweep:
        for _ in until(sweep):
            if written(workplace):
                break
        sweep.send_signal(number)
        (workplace / "go").touch()
        message = sweep.communicate()[1]
    before = children(workplace)
    assert 0 < len(before) < held.RUNS
    assert sweep.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert "The same command resumes it" in message
        assert set(tracked(workplace).status) == {"FINISHED", "KILLED"}
    done = command(*held.SWEEP, cwd=workplace)
    assert f"{len(before)} already there, {held.RUNS - len(before)} trained" in done.stdout
    after, runs = children(workplace), tracked(workplace)
    assert set(before.run_id) < set(after.run_id)
    assert len(after) == after["tags.shallowexp.fingerprint"].nunique() == held.RUNS
    assert set(runs.status) == {"FINISHED"}
    assert after["tags.mlflow.parentRunId"].nunique() == 1


@pytest.mark.parametrize("multirun", [(), ("-m", "hidden_size=4,8,16")], ids=["run", "sweep"])
def test_ctrl_c_does_not_wait_for_the_last_step(workplace, multirun):
    with forked("shallowexp", *multirun, held.INIT, "seed=1", "train.steps=2000000000", cwd=workplace) as endless:
        for _ in until(endless):
            if (workplace / "begun-1").exists():
                break
        endless.send_signal(signal.SIGINT)
        stderr = endless.communicate()[1]
    assert endless.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "RUNNING" not in set(tracked(workplace).get("status", []))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "hydra.launcher.threads=-1"), "hydra.launcher.threads=-1 is not possible; allowed: at least 1"),
        (("-m", "seed=1,2", "--cfg", "job"), "Only one of --run, --multirun, --cfg"),
    ],
)
def test_what_hydra_lets_pass_or_raises_bare(workplace, arguments, message):
    done = command("shallowexp", *arguments, cwd=workplace)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_diverges_at_its_first_step(workplace):
    done = command("shallowexp", "init.scale=1e308", *SMALL, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "diverged at step 0" in done.stdout


def test_a_failing_run_is_listed_and_the_others_go_on(workplace):
    (workplace / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom shallowexp.network.activations import Tanh\n\n\n@dataclass(frozen=True)\n"
        "class Fragile(Tanh):\n    limit: int = 3\n\n    def __call__(self, Z):\n"
        "        if len(Z) > self.limit:\n            raise ValueError('too many units')\n        return super().__call__(Z)\n"
    )
    (workplace / "conf" / "activation").mkdir(parents=True)
    (workplace / "conf" / "activation" / "fragile.yaml").write_text("_target_: mine.Fragile\nlimit: 3\n")
    arguments = ("-m", "activation=fragile,tanh", "hidden_size=2,4", *SMALL)
    done = command("shallowexp", *arguments, cwd=workplace)
    assert done.returncode == 1
    assert "1 runs failed" in done.stderr
    assert "fragile · random ×0.01 · 4 units · seed 0: ValueError: too many units (mine.py, line 11)" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(children(workplace).status) == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]
    alone = command("shallowexp", "activation=fragile", *SMALL, cwd=workplace)
    assert alone.returncode == 1
    assert alone.stderr.splitlines()[1:] == [
        "  fragile · random ×0.01 · 4 units · seed 0: ValueError: too many units (mine.py, line 11)"
    ]


def test_basic_launcher_gives_the_same_results(workplace):
    arguments = ("-m", "seed=1,2", "data.seed=${seed}", "train.engine=numpy", "log.weights=all", *SMALL)
    command("shallowexp", *arguments, cwd=workplace)
    done = command("shallowexp", *arguments, "fresh=true", "hydra/launcher=basic", cwd=workplace)
    assert done.returncode == 0, done.stderr
    runs = children(workplace)
    losses = runs.groupby("tags.shallowexp.fingerprint")["metrics.train/loss"]
    assert len(runs) == 4
    assert (losses.nunique() == 1).all()
    assert len(losses) == 2


def test_report_of_a_small_sweep(workplace):
    add_experiment(workplace)
    done = command("shallowexp", "-m", "+experiment=brand_new", "hidden_size=8", cwd=workplace)
    assert done.returncode == 0, done.stderr
    done = command("shallowexp-report", "brand_new", cwd=workplace)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "runs are missing" in done.stdout
    assert "no atoms yet" not in done.stdout and "statement" not in done.stdout  # it is not of the chapter
    assert {path.suffix for path in (workplace / "report").glob("brand_new*")} >= {".png", ".svg", ".pdf", ".csv"}
    (claim,) = json.loads((workplace / "report" / "claims.json").read_text())["experiments"]
    assert claim["name"] == "brand_new"


def test_the_module_is_the_command_and_without_numba_it_trains_through_numpy_and_says_so_once(workplace):
    code = "import runpy, sys; sys.modules['numba'] = None; runpy.run_module('shallowexp', None, '__main__', alter_sys=True)"
    done = process("python", "-c", code, "-m", "seed=1,2", *SMALL, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("training with the slower NumPy engine: Numba cannot be imported") == 1
    assert set(children(workplace)["params.train.engine"]) == {"numpy"}
    (told,) = set(tracked(workplace)["tags.shallowexp.command"].dropna())
    assert told.startswith("shallowexp -m seed=1,2 ")
