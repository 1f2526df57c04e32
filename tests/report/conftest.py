"""A headless Chromium for the report's page."""

from collections.abc import Iterator
from shutil import which

import pytest

FLAGS = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync"
)
TIMEOUT = 60


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator:
    browser, driver = which("chromium"), which("chromedriver")
    if not (browser and driver):
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS.split(), f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    session.set_page_load_timeout(TIMEOUT)
    yield session
    session.quit()
