"""Take the pictures of docs/browsing.md and docs/models.md from a real sweep: `python docs/screenshots.py` (chromium and chromedriver needed)."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from shallowexp.sweeps.view import OVERVIEW  # noqa: E402
from tests.browser import Browser  # noqa: E402
from tests.servers import serving  # noqa: E402

SWEEPS = (
    ["shallowexp", "-m", "+experiment=symmetry", "seed=100,101"],
    ["shallowexp", "-m", "data=diabetes", "train.learning_rate=0.1,1e6", "train.steps=100"],
    ["shallowexp-report", "symmetry"],
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for words in SWEEPS:
            subprocess.run(words, cwd=folder, check=True)
        with serving(Path(folder)) as server:
            browser = Browser(server.url, Path(folder) / "profile")
            take(browser, mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db"))
            browser.close()


def take(browser: Browser, client: mlflow.MlflowClient) -> None:
    symmetry, (sweep,) = search(client, "symmetry", "tags.`shallowexp.digest` LIKE '%'")
    other, (diverged,) = search(client, "shallowexp", "tags.outcome = 'diverged'")
    _, pair = search(
        client, "symmetry", "params.activation = 'tanh' AND params.hidden_size = '8' AND params.seed = '10'"
    )
    runs = f"experiments/{symmetry}/runs"
    browser.open(f"{runs}?orderByKey=metrics.%60train%2Floss%60&orderByAsc=true")
    shoot(browser, "runs", "tanh · random ×0.01")
    browser.open(f"{runs}?viewStateShareKey={OVERVIEW}&compareRunsMode=CHART")
    shoot(browser, "view", "The claim", "saturation/fraction")
    browser.open(f"{runs}/{sweep.info.run_id}")
    browser.click("Show more")
    shoot(browser, "sweep", "What was swept")
    browser.compare(symmetry, [run.info.run_id for run in pair if run.data.params["init"] != "zero"])
    shoot(browser, "compare", "Run details")
    browser.open(f"experiments/{other}/runs/{diverged.info.run_id}")
    shoot(browser, "diverged", "Diverged at step")
    (model,) = client.search_logged_models([symmetry])
    browser.open(f"experiments/{symmetry}/models/{model.model_id}")
    shoot(browser, "model", "Datasets used", "train/loss")


def search(client: mlflow.MlflowClient, experiment: str, condition: str) -> tuple[str, list]:
    found = client.get_experiment_by_name(experiment).experiment_id
    return found, client.search_runs([found], condition)


def shoot(browser: Browser, name: str, *parts: str) -> None:
    browser.wait_for_text(*parts)
    time.sleep(4)  # charts move into place
    path = ROOT / "docs" / "images" / f"mlflow-{name}.png"
    browser.driver.save_screenshot(str(path))
    with Image.open(path) as image:  # 256 colours keep it below 200 KB
        image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(path, optimize=True)


if __name__ == "__main__":
    main()
