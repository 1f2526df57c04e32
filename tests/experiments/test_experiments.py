"""What every experiment that is found must do, through the real store; nothing here knows any of them by name."""

import re
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from warnings import catch_warnings

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig

from shallowexp import CONF
from shallowexp.analysis import Lacking, Runs
from shallowexp.claims import figures
from shallowexp.claims.claim import find, first_paragraph
from shallowexp.claims.page import Page
from shallowexp.claims.statement import Atom, chapter
from shallowexp.config.composition import compose, config_loader, united_products
from shallowexp.config.runs import plan
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.store import Store
from tests.brand_new import NEW, add_experiment
from tests.commands import command


def swept(loader, name: str) -> tuple[DictConfig, list[list[str]]]:
    """The sweep's master configuration, and the overrides of each of its jobs."""
    words = [f"+experiment={name}"]
    master = loader.load_configuration("config", words, RunMode.MULTIRUN)
    return master, united_products(master.hydra.sweeper.params, OverridesParser.create().parse_overrides(words))


def seed(job: list[str]) -> int:
    return int(dict(override.split("=", 1) for override in job)["seed"])


@pytest.fixture(scope="module")
def store(tmp_path_factory, empty_store) -> Store:
    database = tmp_path_factory.mktemp("sweeps") / "mlflow.db"
    shutil.copy(empty_store, database)
    return Store.open(f"sqlite:///{database}")


@pytest.fixture(scope="module", params=find().values(), ids=lambda claim: claim.name)
def small(request, store):
    """A claim, and a function from fingerprints to runs, those of its sweep's two lowest seeds, trained and tracked."""
    claim = request.param
    with config_loader() as loader:
        master, jobs = swept(loader, claim.name)
        seeds = sorted(set(map(seed, jobs)))[:2]
        composed = compose(loader, master, [job for job in jobs if seed(job) in seeds])
    runs = [replace(run, model="none") for run in plan((job.config, job.choices) for job in composed)]
    runs = [run for i, run in enumerate(runs) if run.job.engine != "chapter" or i % 4 == 0]  # NumPy's are slow
    assert not ExperimentTracker.open(claim.name, store).sweep(runs, runs).failures
    return claim, lambda chosen=[run.fingerprint for run in runs]: store.read(claim.name, chosen)


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
    parts = {frozenset(table.index[chosen(table)]): name for name, chosen in PARTS.items()}
    for chosen, name in parts.items():
        runs = read(table.index[table.index.isin(chosen)])
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
    with config_loader() as loader:
        _, jobs = swept(loader, claim.name)
    cells = Counter(tuple(override for override in job if not override.startswith("seed=")) for job in jobs)
    assert max(cells.values()) >= 20  # a theorem is checked with fewer


def assert_found(command, workplace):
    """The experiment is, by this way to run commands, and ends on the page."""
    run = partial(command, cwd=workplace)
    assert "brand_new" in run("shallowexp-report", "--list").stdout
    assert "brand_new" in run("shallowexp", "--help").stdout
    assert "6 trained" in run("shallowexp", "-m", "+experiment=brand_new").stdout
    done = run("shallowexp-report", "brand_new")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (workplace / "report" / "index.html").read_text()
    assert "Eight tanh units end below four." in page
    assert "8 units end below 4" in page


def test_a_users_own_experiment_is_two_files_in_the_working_directory(workplace):
    add_experiment(workplace)
    assert_found(command, workplace)


def test_a_broken_experiment_is_named_with_its_line_and_the_others_come_out(workplace):
    add_experiment(workplace)
    broken = NEW.replace("return page", "return 1 / 0")
    add_experiment(workplace, "broken", broken)
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


MISTAKES = {
    "def atoms": ("def atom", "has no function atoms(runs)"),
    '"extension"': ('"remark"', "line 20: ValueError: '8 units end below 4': role 'remark' of ('stated', "),
    "return page": ("return 'a page'", "figure(runs), line 11, returns str: a Page is needed"),
    "def figure": ("CARD = 'b'\n\n\ndef figure", "panel b is not in the figure: choose among a"),
    "yield from below": ("yield 'fine'; below", "atoms(runs), line 18, yields str: an Atom is needed"),
    '0.01, "nats"': ('0.01, ""', "line 20: ValueError: the margin 0.01 of '8 units end below 4' needs a unit"),
    'role="extension"': ('statement="99"', "line 20: ValueError: '8 units end below 4' is of statement '99', which is not in"),
}  # fmt: skip


def test_what_an_experiment_gets_wrong_is_named_with_its_line_and_the_others_come_out(workplace):
    names = [f"wrong{i}" for i in range(len(MISTAKES))]
    for name, (right, (wrong, _)) in zip(names, MISTAKES.items(), strict=True):
        assert right in NEW
        add_experiment(workplace, name, NEW.replace(right, wrong))
    add_experiment(workplace)
    add_experiment(workplace, "bare", re.sub(r"    page.strip.*\n", "", NEW))
    add_experiment(workplace, "nothing", NEW[: NEW.index("    pairs")] + "    return None\n")
    done = command("shallowexp-report", "--train", *names, "nothing", "bare", "brand_new", cwd=workplace)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    for name, (_, message) in zip(names, MISTAKES.values(), strict=True):
        assert f"experiments/{name}.py" in done.stdout
        assert message in done.stdout
        assert not list((workplace / "report").glob(f"{name}.*"))
    assert "atoms(runs), line 18, returns NoneType: Atoms are needed" in done.stdout
    for name in ("bare", "brand_new"):  # the first has no numbers to show
        assert (workplace / "report" / f"{name}.png").is_file()


def test_a_sweep_that_lacks_a_cell_says_what_it_lacks(workplace):
    add_experiment(workplace)
    command("shallowexp", "-m", "+experiment=brand_new", "hidden_size=8", cwd=workplace)
    done = command("shallowexp-report", "brand_new", cwd=workplace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 6 runs are missing" in done.stdout
    assert (
        "Nothing can be said yet: no runs that differ only in hidden_size"
        in (workplace / "report" / "index.html").read_text()
    )


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
