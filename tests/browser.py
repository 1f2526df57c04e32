"""A real `mlflow server` on loopback and a headless Chromium that looks at it: for tests/test_browsing.py and docs/screenshots.py."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from urllib.request import urlopen

CHROMIUM, DRIVER = which("chromium"), which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1500,1100 "
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2"  # as with a mouse: a chart's buttons wait for it
)
CLOSED = {"mlflow.assistant.panelOpen_v1": "false", "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"}


@contextmanager
def serving(database: Path) -> Iterator[str]:
    """The URL of an `mlflow server` on the store in this SQLite file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}"]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(database.parent / "server.log", "w") as log:
        server = subprocess.Popen(command, cwd=database.parent, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait(url: str, server: subprocess.Popen) -> None:
    for _ in range(300):
        try:
            return urlopen(url, timeout=5).close()
        except OSError:
            assert server.poll() is None, "the server ended"
            time.sleep(0.2)
    raise AssertionError("the server did not start")


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

    def wait(self, script: str, seconds: float = 40):
        """What a JavaScript expression gives as soon as that is true."""
        deadline = time.monotonic() + seconds
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
