"""What every experiment that is found must do, through the real store; nothing here knows any of them by name."""

import shutil
import subprocess
import sys
from warnings import catch_warnings

import numpy as np
import pandas as pd
import pytest

from shallowexp import CONF
from shallowexp.claims import figures
from shallowexp.claims.claim import find, first_paragraph
from shallowexp.claims.page import Page
from shallowexp.claims.statement import Atom, chapter
from shallowexp.report import plans
from shallowexp.runs import Lacking, Runs
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store
from tests.commands import command, environment


@pytest.fixture(scope="module", params=find().values(), ids=lambda claim: claim.name)
def small(request, tmp_path_factory, empty_store):
    """A claim, and a function from fingerprints to runs, those of its sweep's two lowest seeds, trained and tracked."""
    claim, database = request.param, tmp_path_factory.mktemp("sweep") / "mlflow.db"
    shutil.copy(empty_store, database)
    runs = plans.compose(claim.name).runs
    seeds = sorted({run.job.seed for run in runs})[:2]
    runs = [run for run in runs if run.job.seed in seeds]
    tracked = ExperimentTracker.open(claim.name, Store.open(f"sqlite:///{database}"))
    assert not tracked.sweep(runs, runs, None).failures
    return claim, lambda chosen=[run.fingerprint for run in runs]: tracked.store.read(claim.name, chosen)


def test_contract(small):
    claim, read = small
    module = claim.load()
    assert claim.sentence.endswith(".")
    assert claim.section.startswith("6.")
    assert len(claim.docstring.split("\n\n")) > 1, "what does the literature add?"
    assert (CONF / "experiment" / f"{claim.name}.yaml").is_file()
    assert first_paragraph(module.figure).endswith(".")
    runs = read()
    assert_drawn(module, runs)
    atoms = list(module.atoms(runs))
    assert atoms
    assert_readable(atoms)


def assert_drawn(module, runs: Runs) -> None:
    with figures.styled:
        page = module.figure(runs)
        page.figure.draw_without_rendering()
    assert isinstance(page, Page)
    assert isinstance(page.numbers, pd.DataFrame)


def assert_readable(atoms: list[Atom]) -> None:
    """Each in words of its own, with a scope and a unit, of a statement that is there."""
    assert all(isinstance(atom, Atom) for atom in atoms)
    assert len({(atom.text, atom.scope, atom.statement) for atom in atoms}) == len(atoms), "an atom is counted twice"
    for atom in atoms:
        assert atom.text.strip() and not {"{", "}", "\n"} & set(atom.text), atom
        assert atom.scope.strip() or atom.expects is None, atom
        assert atom.statement in {"", *chapter()}, atom
        assert atom.statement or atom.role == "extension", atom


PARTS = {
    "a random half": lambda table: np.random.default_rng(0).random(len(table)) < 0.5,
    "one seed": lambda table: table["seed"] == table["seed"].max(),
    "one activation": lambda table: table["activation"] == table["activation"].iloc[0],
    "another activation": lambda table: table["activation"] == table["activation"].max(),
    "one data set": lambda table: table["data"] == table["data"].max(),
    "one initialiser": lambda table: table["init"] == table["init"].iloc[-1],
    "one run": lambda table: table.index == table.index[0],
    "another run": lambda table: table.index == table.index[-1],
}


def test_a_part_of_the_sweep_is_drawn_and_has_the_same_atoms_or_says_what_it_lacks(small):
    claim, read = small
    module, table = claim.load(), read().table
    whole = len(list(module.atoms(read())))
    for name, chosen in PARTS.items():
        runs = read(table.index[chosen(table)])
        with catch_warnings(action="error"):
            assert_drawn(module, runs)
            try:
                atoms = list(module.atoms(runs))
            except Lacking:
                continue
        assert_readable(atoms)
        assert len(atoms) <= whole, name


@pytest.mark.parametrize("claim", find().values(), ids=lambda claim: claim.name)
def test_enough_seeds(claim):
    cells = pd.Series([run.cell for run in plans.compose(claim.name).runs]).value_counts()
    assert cells.max() >= 20  # a theorem is checked with fewer


NEW = '''"""Eight tanh units end below four.

Section: 6.2

Nobody (2026) has said so.
"""

from shallowexp.claims.vocabulary import Page, below


def figure(runs):
    """Nothing to see."""
    page = Page("a", (4, 3))
    page.strip("a", runs, "train/loss", "hidden_size")
    return page


def atoms(runs):
    pairs = runs.compare("train/loss", "hidden_size", 8, 4)
    yield from below(pairs, 0.01, "nats", "8 units end below 4", role="extension", scope="flower")
'''
YAML = """# @package _global_
hydra:
  mode: MULTIRUN
  sweeper:
    params: {hidden_size: "4,8", seed: range(3)}
train: {steps: 20}
"""


def add_experiment(folder):
    for name, text in (("experiments/brand_new.py", NEW), ("conf/experiment/brand_new.yaml", YAML)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def assert_found(run, workplace):
    assert "brand_new" in run("shallowexp-report", "--list").stdout
    assert "brand_new" in run("shallowexp", "--help").stdout
    assert "6 trained" in run("shallowexp", "-m", "+experiment=brand_new").stdout
    done = run("shallowexp-report", "brand_new")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (workplace / "report" / "index.html").read_text()
    assert "Eight tanh units end below four." in page
    assert "8 units end below 4" in page


def test_a_new_experiment_is_two_files_in_a_copy_of_the_tree(workplace, tmp_path_factory):
    tree = tmp_path_factory.mktemp("tree")
    for name in ("shallowexp", "conf", "experiments"):
        shutil.copytree(CONF.parent / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    add_experiment(tree)

    def run(program, *arguments):
        code = f"from shallowexp.cli.{'report' if program.endswith('report') else 'app'} import main; main()"
        here = environment(PYTHONPATH=f"{tree}:{tree / 'shallowexp' / 'plugin'}")
        process = [sys.executable, "-c", code, *arguments]
        return subprocess.run(process, cwd=workplace, env=here, capture_output=True, text=True, check=False)

    assert_found(run, workplace)


def test_a_users_own_experiment_is_two_files_in_the_working_directory(workplace):
    add_experiment(workplace)
    assert_found(lambda *arguments: command(*arguments, cwd=workplace), workplace)


def test_a_broken_experiment_is_named_with_its_line_and_the_others_come_out(workplace):
    add_experiment(workplace)
    broken = NEW.replace("return page", "return 1 / 0")
    (workplace / "experiments" / "broken.py").write_text(broken)
    (workplace / "conf" / "experiment" / "broken.yaml").write_text(YAML)
    (workplace / "experiments" / "unreadable.py").write_text("def figure(:\n")
    for name in ("brand_new", "broken"):
        command("shallowexp", "-m", f"+experiment={name}", cwd=workplace)
    done = command("shallowexp-report", "broken", "unreadable", "brand_new", cwd=workplace)
    line = 1 + broken[: broken.index("1 / 0")].count("\n")
    assert done.returncode == 1
    assert f"broken.py, line {line}: ZeroDivisionError" in done.stdout
    assert "unreadable" in done.stdout
    assert (workplace / "report" / "brand_new.png").is_file()
    assert "Traceback" not in done.stdout + done.stderr


def test_a_second_report_draws_nothing_and_a_redrawn_figure_has_the_same_bytes(workplace):
    add_experiment(workplace)
    command("shallowexp-report", "--train", "brand_new", cwd=workplace)
    files = sorted((workplace / "report").glob("brand_new*"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    again = command("shallowexp-report", "--train", "brand_new", cwd=workplace)
    assert "to train" not in again.stdout
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files} == before
    files[0].unlink()
    command("shallowexp-report", "brand_new", cwd=workplace)
    assert {path: path.read_bytes() for path in files} == {path: content for path, (_, content) in before.items()}
