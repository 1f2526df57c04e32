"""A small real sweep as a user meets it in MLflow's own pages, in headless Chromium; and what those pages are made of."""

import json

import mlflow
import pandas as pd
import pytest

from shallowexp.claims.palette import STYLES, color
from shallowexp.report import browsing
from shallowexp.sweeps import pages, view
from shallowexp.tracking import sweeps
from shallowexp.tracking.store import Store
from tests.browser import CHROMIUM, DRIVER, Browser
from tests.commands import command

in_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed")
SWEEP = ("-m", "+experiment=symmetry", "seed=100,101", "hidden_size=1,8", "train.engine=compiled")

SHARED = (["activation=tanh,relu", "seed=1,2"], ["activation=tanh,sigmoid", "seed=1,3"])  # one run is of both
RATES = ",".join(str(2**n) for n in range(-10, 11))
GRID = ("-m", "name=grid", "init.scale=0.1,1,10", f"train.learning_rate={RATES}", "seed=1,2", "train.steps=10")
BAD = "<img src=x onerror=bad=1><script>bad=2</script>"
HOSTILE = f"""A {BAD} claim.

Section: 6.2

Where x <b and <style>body {{display: none}}</style> words.
"""
TARGETS = f"{BAD}|t", "[link](javascript:bad=3) *u* _v_ a_b `c` ~~d~~ &lt; &"
TABLE = (
    "-m",
    "name=hostile",
    "data=csv",
    "data.path=points.csv",
    "data.target='{}','{}'".format(*TARGETS),
    "train.steps=10",
)


@pytest.fixture(scope="module")
def place(server):
    """The server's store, with a sweep of symmetry, its figure, and sweeps with runs that diverge and with hostile names."""
    diverging = ("shallowexp", "-m", "data=diabetes", "train.learning_rate=0.1,1e6", "train.steps=100")
    (server.folder / "experiments").mkdir()
    (server.folder / "experiments" / "hostile.py").write_text(f'"""{HOSTILE}"""')
    pd.DataFrame({target: [0, 1] * 10 for target in TARGETS}).to_csv(server.folder / "points.csv", index=False)
    shared = [("-m", "name=reused", *words, "train.steps=10") for words in SHARED]
    launched = (("shallowexp", *words) for words in (SWEEP, GRID, TABLE, *shared))
    for words in (*launched, diverging, ("shallowexp-report", "symmetry")):
        done = command(*words, cwd=server.folder)
        assert done.returncode == 0, done.stderr
    return server.folder


@pytest.fixture(scope="module")
def client(place):
    return mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")


@pytest.fixture(scope="module")
def browser(server, place, tmp_path_factory):
    browser = Browser(server.url, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def search(client, experiment, condition):
    found = client.get_experiment_by_name(experiment).experiment_id
    return found, client.search_runs([found], condition)


def sweep_of(client):
    experiment, (sweep,) = search(client, "symmetry", "tags.`shallowexp.digest` LIKE '%'")
    return experiment, sweep


@in_browser
def test_the_table_lists_runs_under_readable_names(browser, client):
    experiment, _ = sweep_of(client)
    browser.open(f"experiments/{experiment}/runs")
    browser.wait_for_text("Hidden units that start equal stay equal", "sweep · 80 runs")
    browser.open(f"experiments/{experiment}/runs?orderByKey=metrics.%60train%2Floss%60&orderByAsc=true")
    browser.wait_for_text("tanh · random ×0.01 · 8 units · positive_rate 0.3 · seed")


@in_browser
def test_the_saved_view_opens_with_its_charts_drawn(browser, client):
    experiment, _ = sweep_of(client)
    browser.open(f"experiments/{experiment}/runs?viewStateShareKey={view.OVERVIEW}&compareRunsMode=CHART")
    browser.wait_for_text("symmetry: cells", "The claim", "Group by: activation", *view.CHARTS)
    browser.wait("document.querySelectorAll('.js-plotly-plot .scatterlayer .trace path.js-line').length > 20")


@in_browser
def test_a_sweep_s_address_shows_its_charts_alone(browser, server):
    store = Store.open(server.url)
    newest, oldest = (sweep for sweep in sweeps.sweeps(store) if sweep.experiment == "reused")
    for sweep, others in ((oldest, "relu"), (newest, "sigmoid")):
        browser.open(browsing.address(store, sweep).removeprefix("#/"))
        browser.wait_for_text(f"{sweep.name}: cells", "4 matching runs", "Group: tanh", f"Group: {others}", "The claim")
        browser.wait("document.querySelectorAll('.js-plotly-plot .scatterlayer .trace path.js-line').length >= 4")


@in_browser
def test_the_view_of_a_large_grid_shows_where_its_best_runs_lie(browser, client):
    experiment, _ = search(client, "grid", "")
    browser.open(f"experiments/{experiment}/runs?viewStateShareKey={view.OVERVIEW}&compareRunsMode=CHART")
    browser.wait_for_text(
        "grid: best runs", "The best runs", "Parallel Coordinates", "train.learning_rate vs. train/loss"
    )
    browser.wait("document.querySelectorAll('.js-plotly-plot .scatterlayer .trace path.point').length > 200")


@in_browser
def test_a_sweeps_page_shows_description_and_figure(browser, client):
    experiment, sweep = sweep_of(client)
    browser.open(f"experiments/{experiment}/runs/{sweep.info.run_id}")
    browser.click("Show more")
    browser.wait_for_text("random weights gain over equal ones", "What was swept", "1, 8", "About this run")
    browser.wait("[...document.images].some(i => i.src.includes('symmetry-small.png') && i.naturalWidth == 720)")


@in_browser
def test_hostile_names_are_text(browser, client):
    experiment, (sweep,) = search(client, "hostile", "tags.`shallowexp.digest` LIKE '%'")
    browser.open(f"experiments/{experiment}/runs")
    browser.wait_for_text(f"A {BAD} claim.", "Where x <b and <style>body {display: none}</style> words.")
    browser.open(f"experiments/{experiment}/runs/{sweep.info.run_id}")
    browser.click("Show more")
    browser.wait_for_text(", ".join(TARGETS))
    assert browser.driver.execute_script("return window.bad") is None
    assert not browser.driver.find_elements("css selector", "[onerror], a[href^=javascript]")


@in_browser
def test_two_runs_are_compared(browser, client):
    experiment, runs = search(client, "symmetry", "params.hidden_size = '8' AND params.init = 'random'")
    browser.compare(experiment, [run.info.run_id for run in runs[:2]])
    browser.wait_for_text("Comparing 2 Runs", runs[0].info.run_name, runs[1].info.run_name, "Show diff only")


@in_browser
def test_a_diverged_runs_page_opens(browser, client):
    experiment, (run,) = search(client, "shallowexp", "tags.outcome = 'diverged'")
    browser.open(f"experiments/{experiment}/runs/{run.info.run_id}")
    browser.wait_for_text(run.info.run_name, "Diverged at step", "diverged/step", "diabetes")


@in_browser
def test_a_models_page_names_its_run_and_its_data_set(browser, client):
    experiment, _ = sweep_of(client)
    (model,) = client.search_logged_models([experiment])
    run = client.get_run(model.source_run_id)
    browser.open(f"experiments/{experiment}/models/{model.model_id}")
    digest = run.inputs.dataset_inputs[0].dataset.digest
    browser.wait_for_text(model.name, run.info.run_name, "Datasets used", f"flower (#{digest})", "train/loss", "Ready")


def test_a_sweep_keeps_what_made_it(client):
    _, sweep = sweep_of(client)
    files = {file.path for file in client.list_artifacts(sweep.info.run_id)}
    assert files == {"config.yaml", "multirun.yaml", "overrides.yaml", "runs.csv", "symmetry.png"} | {
        "symmetry-small.png",
        "atoms.json",
        "planned.txt",
    }
    rows = mlflow.artifacts.load_text(f"{sweep.info.artifact_uri}/runs.csv").splitlines()
    assert len(rows) == 81
    assert rows[0].startswith("run_id,name,outcome,fingerprint,activation,") and "train/loss" in rows[0]
    assert all(len(row.split(",")[0]) == 32 for row in rows[1:])
    assert len(sweep.data.tags["shallowexp.lock"]) == 64


def test_the_figure_is_logged_once_for_each_change(place, client):
    _, before = sweep_of(client)
    command("shallowexp-report", "symmetry", cwd=place)
    _, after = sweep_of(client)
    assert after.data.tags == before.data.tags
    assert after.data.tags[pages.NOTE].count("get-artifact") == 1


def test_every_run_names_its_data_set_and_has_its_activations_colour(client):
    _, runs = search(client, "symmetry", "params.activation = 'tanh'")
    assert {run.data.tags[pages.RUN_COLOR] for run in runs} == {STYLES["tanh"][0]}
    (dataset,) = (used.dataset for used in runs[0].inputs.dataset_inputs)
    assert dataset.name == "flower"
    assert [column["name"] for column in json.loads(dataset.schema)["mlflow_colspec"]] == ["x1", "x2", "y1"]
    assert json.loads(dataset.profile)["num_rows"] == 400
    digests = {run.inputs.dataset_inputs[0].dataset.digest for run in runs}
    assert len(digests) == 2 + 2  # two seeds, two balances


def test_a_new_figure_takes_the_place_of_the_old_one():
    once = pages.with_figure("What was swept", "a.png", "1", "- **holds**: a gain")
    assert pages.with_figure(once, "a.png", "1", "- **holds**: another") == once.replace("a gain", "another")
    assert once.startswith("- **holds**: a gain")


def test_a_users_own_activation_has_one_colour():
    assert color("mine") == color("mine") != color("tanh")
