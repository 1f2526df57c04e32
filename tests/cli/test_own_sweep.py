"""An own sweep to its end: its best cell, its page, its figures; nothing is trained again."""

import re
import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from PIL import Image

from shallowexp.tracking.store import Store
from tests.commands import command

SWEEP = ("activation=tanh,relu", "init.scale=0.01,1,100", "seed=0,1", "train.steps=20", "log.points=5", "hidden_size=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, empty_store):
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture(scope="module")
def swept(folder):
    done = command("shallowexp", "-m", *SWEEP, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


def name_of(swept) -> str:
    return re.search(r"shallowexp-ui ([0-9a-f]{8})", swept.stdout)[1]


def test_a_sweep_ends_with_its_best_cell_and_the_command_that_draws_it(swept, folder):
    runs = pd.read_csv(next(folder.glob("mlruns/*/*/artifacts/runs.csv")))
    means = runs.groupby(["activation", "init.scale"])["train/loss"].mean()
    name, scale = means.idxmin()
    best = next(line for line in swept.stdout.splitlines() if line.startswith("best cell"))
    assert f"activation={name} init.scale={scale:g}" in best
    assert f"{means.min():.4g} [" in best and "over 2 runs" in best
    assert re.search(r"shallowexp-report --sweep [0-9a-f]{8}, or in MLflow: shallowexp-ui", swept.stdout)


def test_its_page_trains_nothing_and_has_a_figure_of_all_that_varied(swept, folder):
    before = (folder / "mlflow.db").read_bytes()
    made = command("shallowexp-report", "--sweep", "latest", cwd=folder)
    assert made.returncode == 0, made.stderr
    assert (folder / "mlflow.db").read_bytes() == before
    page = (folder / made.stdout.split()[1]).read_text(encoding="utf-8")
    for word in ("init.scale", "relu", "The last loss against init.scale", "shallowexp -m activation=tanh,relu"):
        assert word in page
    assert f"<code>shallowexp-report --sweep {name_of(swept)}</code>" in page  # the latest is another one tomorrow
    assert page.count("<tr><td>") == 6 + 12  # cells, runs
    kinds = {path.suffix for path in (folder / made.stdout.split()[1]).parent.glob("loss.*")}
    assert "<!-- init.scale 1 -->" in (folder / made.stdout.split()[1]).with_name("planes.svg").read_text(
        encoding="utf-8"
    )
    assert kinds == {".png", ".svg", ".pdf", ".csv"}
    links = {*re.findall(r'href="([^"#:]+)"', page)}
    files = {path.name: path.stat().st_size for path in (folder / made.stdout.split()[1]).parent.iterdir()}
    assert links == {*files} - {"index.html"} and "planes.csv" not in files  # a boundary has no numbers
    assert min(files.values()) > 20


def refusing_maps() -> None:
    """The report's command, whose curves and heat maps fail."""
    from shallowexp.claims.page import Page
    from shallowexp.cli.report import main

    def fails(*_, **__):
        raise ZeroDivisionError("no <map>")

    Page.heat = Page.curves = fails
    main()


def test_a_figure_that_fails_is_named_on_the_page_which_has_the_others(swept, folder, tmp_path):
    output = ("--sweep", "latest", "--output", str(tmp_path / "page"))
    made = command(f"{__name__}:refusing_maps", *output, cwd=folder)
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "This figure could not be drawn: ZeroDivisionError: no &lt;map&gt;" in page
    assert "loss: ZeroDivisionError" in made.stdout + made.stderr
    assert (tmp_path / "page" / "planes.png").exists() and not (tmp_path / "page" / "loss.png").exists()


def test_its_page_is_among_its_artifacts_when_asked(swept, folder):
    (folder / "talk").mkdir()
    (folder / "talk" / "planes.csv").write_text("of an earlier page")
    made = command("shallowexp-report", "--sweep=latest", "--output", "talk", "--log", cwd=folder)
    assert made.returncode == 0, made.stderr
    assert not (folder / "talk" / "planes.csv").exists()
    written = (folder / "talk" / "index.html").read_text(encoding="utf-8")
    assert f"shallowexp-report --sweep {name_of(swept)} --output talk --log" in written
    kept = next(folder.glob("mlruns/*/*/artifacts/report"))
    assert {path.name for path in kept.iterdir()} == {path.name for path in (folder / "talk").iterdir()}
    assert (kept / "index.html").read_bytes() == (folder / "talk" / "index.html").read_bytes()
    assert "add --sweep" in command("shallowexp-report", "--log", cwd=folder).stderr
    assert "name one of its sweeps" in command("shallowexp-report", "--sweep", "shallowexp", "--log", cwd=folder).stderr


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg", ".csv"])
def test_a_figure_is_one_file_that_says_where_it_comes_from(swept, folder, suffix):
    asked = ["kind=heat", "x=init.scale", "y=activation", "-o", f"map{suffix}"]  # of the training loss
    made = command("shallowexp-plot", *asked, cwd=folder)
    assert made.returncode == 0, made.stderr
    assert [path.name for path in folder.glob("map.*")] == [f"map{suffix}"]
    path = folder / f"map{suffix}"
    if suffix == ".png":
        assert f"shallowexp-plot --sweep {name_of(swept)} kind=heat" in Image.open(path).text["Command"]
    if suffix == ".csv":
        store = Store.open(f"sqlite:///{folder}/mlflow.db")
        table = store.read("shallowexp", store.finished(store.find("shallowexp"))).table
        medians = table.groupby(["activation", "init.scale"])["train/loss"].median()
        drawn = pd.read_csv(path).set_index(["activation", "init.scale"])["value"]
        pd.testing.assert_series_equal(drawn.sort_index(), medians, check_names=False)
    path.unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shallowexp-plot", "nonsense"], "nonsense: key=value is needed"),
        (["shallowexp-plot", "yy=train/loss"], "did you mean y"),
        (["shallowexp-plot", "--sweep", "lates"], "did you mean latest"),
        (["shallowexp-plot", "-o", "loss.bmp"], ".pdf, .svg, .png or .csv"),
        (["shallowexp-plot", "-o", "nowhere/loss.png"], "no folder nowhere"),
        (["shallowexp-plot", "where.init.scale=7"], "values there: 0.01, 1, 100"),
        (["shallowexp-report", "--sweep", "nothing"], "there is no sweep 'nothing'"),
        (["shallowexp-report", "--sweep", "latest", "--train"], "--sweep stands alone"),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(swept, folder, arguments, words):
    before = {*folder.rglob("*")}
    refused = command(*arguments, cwd=folder)
    assert refused.returncode != 0
    assert words in refused.stderr and "Traceback" not in refused.stderr
    assert {*folder.rglob("*")} == before


def test_hostile_names_are_text(folder, swept, tmp_path):
    store = Store.open(f"sqlite:///{folder}/mlflow.db")
    sweep = store.client.search_runs(["1"], "tags.`shallowexp.digest` LIKE '%'")[0]
    store.client.set_tag(sweep.info.run_id, "shallowexp.command", "<script>alert(1)</script>")
    made = command("shallowexp-report", "--sweep", "latest", "--output", str(tmp_path / "page"), cwd=folder)
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page


def test_names_from_a_store_lead_nowhere_and_command_no_terminal(swept, folder, tmp_path):
    """A database may be anyone's: an experiment whose name is a path, values with control characters."""
    inside, name = tmp_path / "a" / "b", "../../../evil"
    shutil.copytree(folder, inside, ignore=shutil.ignore_patterns("report", "talk"))
    with closing(sqlite3.connect(inside / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET name = ? WHERE experiment_id = 1", [name])
        database.execute("UPDATE tags SET value = '\x1b[31mred' WHERE key = 'shallowexp.command'")
        database.execute("UPDATE params SET value = value || '\x1b|\r' WHERE key IN ('activation', 'init')")
        database.execute("INSERT INTO params SELECT run_uuid, 'a/../../x', value FROM params WHERE key = 'seed'")
    made = command("shallowexp-report", "--sweep", name, cwd=inside)
    assert made.returncode == 0, made.stderr
    assert {*tmp_path.iterdir(), *(tmp_path / "a").iterdir()} == {tmp_path / "a", inside}
    page = inside / "report" / "sweep-..-..-..-evil"
    assert {path.parent for path in (inside / "report").rglob("*.*") if path.is_file()} == {page}
    assert "could not be drawn" not in (page / "index.html").read_text(encoding="utf-8")
    listed = command("shallowexp-runs", cwd=inside).stdout
    assert "\x1b" not in listed and "\ufffd[31mred" in listed


def test_a_page_of_runs_that_all_diverged_says_so(workplace):
    every = ("data=diabetes", "train.learning_rate=1e6,1e7,1e8", "seed=1,2", "train.steps=50", "train.engine=numpy")
    assert command("shallowexp", "-m", *every, cwd=workplace).returncode == 0
    made = command("shallowexp-report", "--sweep", "latest", "--output", "page", cwd=workplace)
    assert made.returncode == 0, made.stderr
    page = (workplace / "page" / "index.html").read_text(encoding="utf-8")
    assert "The last loss against train.learning_rate" in page and "could not be drawn" not in page
