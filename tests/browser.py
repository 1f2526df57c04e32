"""A headless Chromium that looks at MLflow's pages: for tests/sweeps/test_pages.py and docs/screenshots.py."""

import json
import time
from pathlib import Path
from shutil import which

from tests.commands import PATIENCE

CHROMIUM, DRIVER = which("chromium"), which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1500,1100 "
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2"  # as with a mouse: a chart's buttons wait for it
)
CLOSED = {"mlflow.assistant.panelOpen_v1": "false", "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"}


class Browser:
    """Chromium with a fresh profile, at MLflow's pages: never waits for a quiet network, which never comes."""

    def __init__(self, url: str, profile: Path):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        self.url, self.driver = url, webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self.open("settings")
        for key, value in CLOSED.items():
            self.driver.execute_script("localStorage.setItem(arguments[0], arguments[1])", key, value)

    def open(self, page: str) -> None:
        """A page of the app, such as `experiments/1/runs?...`; loaded anew even where only its hash differs."""
        join = "&" if "?" in page else "?"
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/#/{page}{join}workflowType=machine_learning")

    def compare(self, experiment_id: str, run_ids: list[str]) -> None:
        self.open(f"compare-runs?runs={json.dumps(run_ids)}&experiments={json.dumps([experiment_id])}")

    def wait(self, script: str):
        """What a JavaScript expression gives as soon as that is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.driver.execute_script(f"return {script}")):
            text = self.driver.execute_script("return document.body.innerText")
            assert time.monotonic() < deadline, f"{script} is still false; the page says:\n{text}"
            time.sleep(0.2)
        return found

    def wait_for_text(self, *parts: str) -> None:
        for part in parts:
            self.wait(f"document.body.innerText.includes({json.dumps(part)})")

    def click(self, text: str) -> None:
        """The first button or link with this text, as soon as there is one."""
        words = f"[...document.querySelectorAll('button, a')].find(e => e.innerText.trim() == {json.dumps(text)})"
        self.wait(words).click()

    def close(self) -> None:
        self.driver.quit()
