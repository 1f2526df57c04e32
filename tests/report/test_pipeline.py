"""The report on what is not whole: parts of a sweep, runs of other code, stores that cannot be read."""

import ast
import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest

from shallowexp import CONF
from shallowexp.claims.claim import find
from shallowexp.report import page, plans, publishing
from shallowexp.report.pipeline import write_report
from shallowexp.tracking.store import Store
from tests.brand_new import NEW, YAML, add_experiment, copy_of_the_project
from tests.commands import command, environment
from tests.experiments.test_experiments import assert_found


@pytest.fixture
def trained(workplace):
    """A working directory with a run of an experiment."""
    add_experiment(workplace)
    done = command("shallowexp", "-m", "+experiment=brand_new", "hidden_size=4", "seed=0", cwd=workplace)
    assert done.returncode == 0, done.stderr
    return workplace


def told(done: subprocess.CompletedProcess) -> str:
    """The one message of a command that failed as it should."""
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("shallowexp: ")
    assert done.stderr.count("shallowexp: ") == 1
    return done.stderr


def test_folders_are_no_code(workplace):
    plans.code.cache_clear()
    before = plans.code()
    (workplace / "folder.py").mkdir()
    plans.code.cache_clear()
    assert plans.code() == before


def test_runs_that_cannot_decide_a_claim_are_drawn_and_say_so(workplace):
    add_experiment(workplace)
    for steps in (20, 10):
        part = ("+experiment=brand_new", "hidden_size=4", "seed=0", f"train.steps={steps}")
        done = command("shallowexp", "-m", *part, cwd=workplace)
        assert done.returncode == 0, done.stderr
    done = command("shallowexp-report", "brand_new", "saturation", cwd=workplace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "brand_new: 5 of 6 runs are missing; 1 of another version or configuration" in done.stdout
    assert "; to get them: shallowexp -m +experiment=brand_new\n" in done.stdout
    assert "no runs of saturation; to get them: shallowexp-report --train [names]\n" in done.stdout
    report = workplace / "report"
    (claim,) = json.loads((report / "claims.json").read_text(), parse_constant=pytest.fail)["experiments"]
    assert claim["atoms"] == []
    assert (claim["runs"], claim["missing"]) == (1, 5)
    assert (report / "brand_new.png").stat().st_size > 10_000
    page = (report / "index.html").read_text()
    assert "5 of 6 runs are missing" in page
    assert "Nothing can be said yet: no runs that differ only in hidden_size." in page
    assert "No runs at all of saturation." in page
    drawn = (report / "brand_new.png").stat().st_mtime_ns
    again = command("shallowexp-report", "brand_new", cwd=workplace)
    assert again.returncode == 0 and "written: report" in again.stdout
    assert (report / "brand_new.png").stat().st_mtime_ns == drawn, "the entry is read again from claims.json"


def test_a_new_experiment_is_two_files_in_a_copy_of_the_tree_and_runs_of_other_code_are_left_out(workplace, tmp_path):
    project = tmp_path / "project"
    copy = copy_of_the_project(project)
    with copy() as server:
        assert_found(server.command, workplace)
    with (project / "shallowexp" / "network" / "activations.py").open("a") as module:
        module.write("# another version\n")
    shutil.rmtree(workplace / "report")
    with copy() as server:
        run = partial(server.command, cwd=workplace)
        done = run("shallowexp-report", "brand_new")
        assert "6 of 6 runs are missing; 6 of another version" in done.stdout
        assert "no runs of these sweeps" in told(done)
        assert "3 trained" in run("shallowexp", "-m", "+experiment=brand_new", "hidden_size=4").stdout
        done = run("shallowexp-report", "brand_new")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 6 runs are missing; 6 of another version or configuration are left out; to get them" in done.stdout
    assert json.loads((workplace / "report" / "claims.json").read_text())["experiments"][0]["runs"] == 3


def test_a_changed_module_of_the_users_own_is_seen_wherever_it_lies(workplace):
    add_experiment(workplace)
    (workplace / "pkg").mkdir()
    mine = "from dataclasses import dataclass\nfrom shallowexp.network.activations import Tanh\n"
    mine += "@dataclass(frozen=True)\nclass Mine(Tanh):\n    pass\n"
    (workplace / "pkg" / "mine.py").write_text(mine)
    own = "activation: {_target_: pkg.mine.Mine}\n"
    (workplace / "conf" / "experiment" / "brand_new.yaml").write_text(YAML + own)
    for _ in range(2):  # the first time there is no folder that could remember
        command("shallowexp-report", "--train", "brand_new", cwd=workplace)
    (workplace / "pkg" / "mine.py").write_text(f"{mine}# another\n")
    assert "6 of 6 runs are missing" in command("shallowexp-report", "brand_new", cwd=workplace).stdout


def test_a_figure_is_on_the_page_of_the_sweep_whose_runs_it_shows_and_entries_keep_the_chapters_order(workplace):
    add_experiment(workplace)
    add_experiment(workplace, "another", NEW.replace("Section: 6.2", "Section: 6.4"))
    command("shallowexp", "-m", "+experiment=brand_new", cwd=workplace)
    # a newer sweep, none of its runs
    command("shallowexp", "-m", "+experiment=brand_new", "train.steps=10", cwd=workplace)
    command("shallowexp", "-m", "+experiment=another", cwd=workplace)
    for name in ("another", "brand_new", "another"):
        done = command("shallowexp-report", name, cwd=workplace)
        assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(f"sqlite:///{workplace / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("brand_new").experiment_id
    newer, older = client.search_runs([experiment], "tags.`shallowexp.digest` LIKE '%'")
    assert [path.path for path in client.list_artifacts(older.info.run_id) if path.path.endswith(".png")]
    assert not [path.path for path in client.list_artifacts(newer.info.run_id) if path.path.endswith(".png")]
    rows = json.loads((workplace / "report" / "claims.json").read_text())["experiments"]
    names = [row["name"] for row in rows]
    assert names == [name for name in find() if name in names] == ["brand_new", "another"]


@pytest.mark.parametrize("data", ["mine", "csv"])
def test_a_changed_file_behind_a_users_own_data_is_seen(data, workplace):
    def draw(seed: int) -> None:
        X = np.random.RandomState(seed).randn(2, 20)
        np.save(workplace / "mine.npy", X)
        rows = [f"{a},{b},{i % 2}" for i, (a, b) in enumerate(X.T)]
        (workplace / "mine.csv").write_text("\n".join(["a,b,y", *rows]))

    add_experiment(workplace)
    (workplace / "mine.py").write_text(
        "from dataclasses import dataclass\nimport numpy as np\nfrom shallowexp.network.data import Data, Dataset\n"
        "@dataclass(frozen=True)\nclass Mine(Data):\n    task = 'binary'\n    def draw(self):\n"
        "        X, Y = np.load('mine.npy'), np.arange(20)[None] % 2.0\n        return Dataset(X, Y, X, Y, self.task)\n"
    )
    (workplace / "conf" / "data").mkdir()
    (workplace / "conf" / "data" / "mine.yaml").write_text("_target_: mine.Mine\n")
    sweep = YAML.replace("# @package _global_\n", f"# @package _global_\ndefaults: [{{override /data: {data}}}]\n")
    if data == "csv":
        sweep += "data: {path: mine.csv, target: y}\n"
    (workplace / "conf" / "experiment" / "brand_new.yaml").write_text(sweep)
    draw(0)
    done = command("shallowexp-report", "--train", "brand_new", cwd=workplace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing" not in command("shallowexp-report", "brand_new", cwd=workplace).stdout
    draw(1)
    assert "6 of 6 runs are missing; 6 of another" in command("shallowexp-report", "brand_new", cwd=workplace).stdout


def test_a_report_expects_the_runs_that_the_command_trains(workplace):
    add_experiment(workplace, sweep=f"{YAML}objective: {{seeds: 2}}\n")
    done = command("shallowexp", "-m", "+experiment=brand_new", "dry_run=true", cwd=workplace)
    assert done.stdout.startswith("8 runs"), done.stderr
    assert len(plans.compose("brand_new").runs) == 8


def test_what_was_composed_asked_and_parsed_is_so_once(workplace, monkeypatch):
    add_experiment(workplace)
    calls = Counter()

    def counted(name, function):
        def call(*arguments, **keys):
            calls[name] += 1
            return function(*arguments, **keys)

        return call

    monkeypatch.setattr(plans, "compose_experiment", counted("composed", plans.compose_experiment))
    monkeypatch.setattr(Store, "finished", counted("asked", Store.finished))
    monkeypatch.setattr(ast, "parse", counted("parsed", ast.parse))
    trained = (1, 3)  # a sweep asks again when it opens, and once it is open
    for launch, expected in ((True, trained), (True, (0, 1)), (False, (0, 1))):
        calls.clear()
        claims = find()
        assert write_report(claims, ["brand_new"], workplace / "report", launch) == 0
        assert (calls["composed"], calls["asked"]) == expected
    assert calls["parsed"] == len(claims)


def test_a_page_stays_only_while_a_new_one_would_be_the_same(workplace, monkeypatch, capsys):
    add_experiment(workplace, "another")
    add_experiment(workplace)
    folder = workplace / "report"
    made, drawn = folder / "index.html", folder / "brand_new"
    own, templates = workplace / "experiments" / "another.py", workplace / "templates"
    asked, field = ["brand_new", "another"], ("+field=symmetry", "field.width=8", "field.height=8", "train.steps=20")

    def report(launch=False) -> bytes:
        assert write_report(find(), asked, folder, launch) == 0
        return made.read_bytes()

    def other_templates():
        shutil.copytree(page.TEMPLATES, templates)
        monkeypatch.setattr(page, "TEMPLATES", templates)
        (templates / "page.css").write_text("/* another */")

    shown = report(launch=True)
    before = made.stat().st_mtime_ns
    assert report() == shown and made.stat().st_mtime_ns == before
    assert f"up to date: {made}" in capsys.readouterr().out
    asked.pop()  # the entry of the other stays
    changes = [
        lambda: own.write_text(own.read_text().replace("Nobody", "Somebody")),
        lambda: Path(f"{drawn}.csv").write_text(Path(f"{drawn}.csv").read_text().replace("4", "5")),
        lambda: shutil.copy(f"{drawn}.png", f"{drawn}-card.png"),
        lambda: Path(f"{drawn}.gif").touch(),
        lambda: asked.append("saturation"),
        other_templates,
        lambda: command("shallowexp", *field, cwd=workplace),
    ]
    for change in changes:
        change()
        after = report()
        assert after != shown
        made.unlink()
        assert report() == after
        shown = after
    made.write_bytes(shown[:-100])  # of a report that was killed
    assert report() == shown


def test_every_file_that_is_read_for_the_page_is_in_its_digest(workplace, monkeypatch):
    add_experiment(workplace)
    write, contents, kept, opened, listening = page.write, publishing.contents, [], set(), []
    # a hook stays as long as its process
    sys.addaudithook(lambda event, said: opened.add(str(said[0])) if listening and event == "open" else None)

    def heard(*arguments):
        listening.append(True)
        write(*arguments)
        listening.clear()

    monkeypatch.setattr(page, "write", heard)
    monkeypatch.setattr(publishing, "contents", lambda files: kept.extend(files) or contents(files))
    assert write_report(find(), ["brand_new"], workplace / "report", launch=True) == 0
    ours = {file for file in opened if file.startswith((str(workplace), str(CONF.parent)))}
    read = {file for file in ours if not (file.startswith(sys.prefix) or file.endswith((".py", ".pyc")))}
    assert len(read) > 10
    assert read - {*kept} == {str(workplace / "report" / "index.html")}


def test_a_claim_whose_sweep_cannot_be_run_is_named_and_the_others_come_out(workplace):
    add_experiment(workplace)
    for name, text in (("experiments/wrong.py", NEW), ("conf/experiment/wrong.yaml", YAML.replace("4,8", "4,-8"))):
        (workplace / name).write_text(text)
    done = command("shallowexp-report", "--train", "wrong", "brand_new", cwd=workplace)
    assert done.returncode == 1
    assert "wrong: hidden_size=-8 is not possible; allowed: at least 1\n" in done.stdout
    assert [row["name"] for row in json.loads((workplace / "report" / "claims.json").read_text())["experiments"]] == [
        "brand_new"
    ]


def test_a_claim_with_a_damaged_run_says_which_and_the_others_come_out(workplace):
    looks = NEW.replace("def atoms(runs):", "def atoms(runs):\n    [*runs.weights.values()]")
    for name, code in (("brand_new", NEW), ("looks", looks)):
        add_experiment(workplace, name, code, f"{YAML.rstrip()}\n".replace("log: {", "log: {weights: first, "))
        assert command("shallowexp", "-m", f"+experiment={name}", cwd=workplace).returncode == 0
    client = mlflow.MlflowClient(f"sqlite:///{workplace / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("looks")
    damaged = sorted(Path(experiment.artifact_location).rglob("weights.npz"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    done = command("shallowexp-report", "looks", "brand_new", cwd=workplace)
    assert done.returncode == 1
    assert f"looks: {damaged} cannot be read: BadZipFile" in done.stdout
    assert [row["name"] for row in json.loads((workplace / "report" / "claims.json").read_text())["experiments"]] == [
        "brand_new"
    ]
    page = command("shallowexp-report", "--sweep", "looks", cwd=workplace)
    assert page.returncode == 0, page.stderr
    assert f"{damaged} cannot be read" in page.stdout


def test_a_sweep_of_which_runs_fail_is_drawn_as_far_as_it_went_and_says_so(workplace):
    add_experiment(workplace)
    sweep = YAML.replace("range(3)", "range(3), data.test_size: '0.2,0.99'").replace("train:", "data: {}\ntrain:")
    sweep = sweep.replace("# @package _global_\n", "# @package _global_\ndefaults: [{override /data: wine}]\n")
    (workplace / "conf" / "experiment" / "brand_new.yaml").write_text(sweep)
    done = command("shallowexp-report", "--train", "brand_new", cwd=workplace)
    assert done.returncode == 1
    assert (
        "brand_new: 6 runs failed:\n  tanh · random ×0.01 · 4 units · test_size 0.99 · seed 0 and 5 more: ValueError"
        in done.stdout
    )
    assert "brand_new: 6 of 12 runs are missing" in done.stdout
    assert json.loads((workplace / "report" / "claims.json").read_text())["experiments"][0]["runs"] == 6


def test_an_output_that_is_a_file(trained):
    (trained / "report").write_text("mine")
    assert "--output report cannot be made a folder: File exists" in told(
        command("shallowexp-report", "brand_new", cwd=trained)
    )
    assert (trained / "report").read_text() == "mine"


def test_that_there_is_nothing_is_said_with_what_is_there_and_without_what_is_heavy(workplace):
    command("shallowexp", "seed=1", "train.steps=20", "log.model=none", cwd=workplace)
    code = (
        "import sys\nfrom shallowexp.cli.report import main\nsys.argv = ['shallowexp-report', 'symmetry']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print('status', end.code)\n"
        "print('heavy:', [name for name in ('mlflow', 'matplotlib', 'pandas', 'scipy') if name in sys.modules])"
    )
    process = [sys.executable, "-c", code]
    done = subprocess.run(process, cwd=workplace, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["status 1", "heavy: []"]
    message, there = done.stderr.splitlines()
    assert message.startswith("shallowexp: no runs of these sweeps in sqlite:")
    assert message.endswith("launch one first, e.g. shallowexp -m +experiment=symmetry")
    assert there == "Experiments with finished runs there: shallowexp"
    other = command(
        "shallowexp-report", "symmetry", cwd=workplace, MLFLOW_TRACKING_URI="sqlite:///./mlflow.db?timeout=9"
    )
    assert other.stderr.splitlines()[-1] == there, "where only MLflow can tell"


def test_a_store_that_is_not_there(tmp_path):
    assert "There is no MLflow store" in told(command("shallowexp-report", cwd=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_store_of_an_older_schema(trained):
    with closing(sqlite3.connect(trained / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '75868b020152'")
        database.commit()
    assert "mlflow db upgrade" in told(command("shallowexp-report", cwd=trained))


def test_a_locked_store(workplace):
    with closing(sqlite3.connect(workplace / "mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert "start again when that has finished" in told(command("shallowexp-report", cwd=workplace))


def test_a_file_that_is_no_store(workplace):
    (workplace / "mlflow.db").write_text("hello")
    assert "file is not a database" in told(command("shallowexp-report", cwd=workplace))
