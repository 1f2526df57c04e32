"""The live network in a real browser: it trains as network/passes.py does, and is worked by mouse, keyboard and address."""

import time
from itertools import product

import numpy as np
import pytest

from shallowexp.claims.live import DATA, SEEDS, UNITS, ingredients
from shallowexp.network import activations, initializers
from shallowexp.network.data import Dataset
from shallowexp.network.diagnostics import effective_units, measure
from shallowexp.network.initializers import Parameters
from shallowexp.network.outputs import Sigmoid
from shallowexp.network.passes import gradient_descent
from shallowexp.report import page
from tests.commands import PATIENCE

ACTIVATIONS = {
    "sigmoid": activations.Sigmoid(),
    "tanh": activations.Tanh(),
    "relu": activations.ReLU(),
    "leaky_relu": activations.LeakyReLU(),
}
INITS = ("zero", "constant", "duplicate", "random")
STEPS = (0, 1, 100, 1000)
TRAJECTORY = """
const [live, name, init, units, scale, noise, seed, activation, rate, steps] = arguments;
const network = new Network(live.data[name], initial(init, units, scale, noise * scale, live.draws[seed]), ACTIVATIONS[activation]);
return steps.map(step => {
  while (network.step < step) network.descend(rate);
  return [[...network.parameters], network.measure()];
});
"""


def initializer(init: str, scale: float, noise: float) -> initializers.Initializer:
    match init:
        case "zero":
            return initializers.Zero()
        case "constant":
            return initializers.Constant(scale)
        case "duplicate":
            return initializers.Duplicate(scale, noise=noise * scale)
    return initializers.Random(scale)


def flat(parameters: Parameters) -> np.ndarray:
    """As the page has them: W1 row by row, W2, b1, b2."""
    W1, b1, W2, b2 = parameters
    return np.concatenate([W1.ravel(), W2.ravel(), b1.ravel(), b2.ravel()])


@pytest.fixture(scope="module")
def trained(chromium):
    """What the page's arithmetic makes of a choice: parameters and measures at each of the steps."""
    chromium.get("about:blank")
    script, live = (page.TEMPLATES / "network.js").read_text(encoding="utf-8") + TRAJECTORY, ingredients()

    def train(*choice) -> list:
        return [(np.array(p), found) for p, found in chromium.execute_script(script, live, *choice)]

    return train


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("init", INITS)
def test_it_trains_as_the_definition_does(activation, init, trained):
    """At a rate at which the last bits of a trajectory are not amplified."""
    g, output, data, rate = ACTIVATIONS[activation], Sigmoid(), DATA["unbalanced"].load(), 0.3
    descent = gradient_descent(data.X, data.Y, initializer(init, 0.1, 0.01)(2, 7, 1, seed=2), g, output, rate)
    golden = {step: found for step, found in zip(range(STEPS[-1] + 1), descent, strict=False) if step in STEPS}
    page_s = trained("unbalanced", init, 7, 0.1, 0.01, 2, activation, rate, STEPS)
    for (parameters, cache, gradients), (p, found) in zip(golden.values(), page_s, strict=True):
        assert np.abs(p - flat(parameters)).max() <= 1e-9 * np.abs(flat(parameters)).max()
        expected = measure(parameters, cache, gradients, cache, Dataset(*data[:2], *data[:2], "binary"), g, output)
        assert found["loss"] == pytest.approx(expected.train_loss, rel=1e-9)
        assert found["accuracy"] == expected.train_accuracy
        assert found["units"] == expected.symmetry_effective_units
        assert found["saturated"] == pytest.approx(expected.saturation_fraction, abs=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("init", INITS[:3])
def test_equal_units_stay_equal_to_the_bit(activation, init, trained):
    *_, (p, found) = trained("unbalanced", init, 7, 0.01, 0, 0, activation, 1.2, STEPS)
    assert found["units"] == 1
    for unit in np.c_[p[:14].reshape(7, 2), p[14:21], p[21:28]]:
        assert unit.tobytes() == np.r_[p[:2], p[14], p[21]].tobytes()


def test_units_are_counted_as_the_definition_does(chromium, trained):
    rows = np.array([[1, 2, 3], [-1, -2, -3], [2, 4, 6], [-3, -6, -9], [0, 0, 0], [1, 2, 3 + 1e-7], [1, 2, 3.001]])
    p = [*rows[:, :2].ravel(), *np.ones(7), *rows[:, 2], 0.0]
    script = (page.TEMPLATES / "network.js").read_text(encoding="utf-8")
    script += "return Object.values(ACTIVATIONS).map(g => new Set(classes(arguments[0], 7, g.invariance)).size)"
    expected = [effective_units(rows, g.invariance) for g in ACTIVATIONS.values()]
    assert chromium.execute_script(script, p) == expected == [5, 5, 4, 4]


@pytest.mark.parametrize("init", INITS)
def test_the_initial_weights_are_those_of_the_package(init, trained):
    for units, scale, noise, seed in product((1, 7, UNITS), (0.01, 10.0), (1e-15, 0.1), range(SEEDS)):
        [(p, _)] = trained("moons", init, units, scale, noise, seed, "tanh", 1.2, [0])
        assert p.tolist() == flat(initializer(init, scale, noise)(2, units, 1, seed)).tolist()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return page.write([], [], tmp_path_factory.mktemp("report"), {})


@pytest.fixture
def open_page(chromium, path):
    """Opens the page anew, at an address."""

    def open_page(address: str = ""):
        chromium.get("about:blank")
        chromium.get_log("browser")
        chromium.get(path.as_uri() + address)
        return chromium

    return open_page


def text(browser, name: str) -> str:
    return browser.execute_script("return document.getElementById('live-' + arguments[0]).textContent", name)


def press(browser, name: str, *keys: str) -> None:
    from selenium.webdriver import Keys

    element = browser.find_element("css selector", name)
    element.send_keys(*(keys or [Keys.ENTER]))


def wait_for(browser, name: str, words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while words not in text(browser, name):
        assert time.monotonic() < deadline, f"{text(browser, name)} is still without {words}"
        time.sleep(0.05)


def choices(browser) -> dict[str, str]:
    script = "return Object.fromEntries(new FormData(document.getElementById('live-choices')))"
    return browser.execute_script(script)


def test_nothing_plays_unless_asked(open_page):
    browser = open_page()
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert text(browser, "status").startswith("Step 0: loss 0.693 nats")
    assert text(browser, "play") == "Play"
    assert browser.get_log("browser") == []
    aloud = "return [...document.querySelectorAll('output, [role=status], [aria-live]')].map(e => e.id)"
    assert browser.execute_script(aloud) == ["live-hint", "live-status"]  # what moves while it plays is not read out


def test_it_is_worked_by_keyboard(open_page):
    from selenium.webdriver import Keys

    browser = open_page()
    press(browser, "[data-preset='init=random&scale=1']")
    start = text(browser, "status")
    press(browser, "#live-speed", "1")  # a step a frame: it does not come to its end meanwhile
    press(browser, "#live-play")
    wait_for(browser, "status", "Step 10: ")  # it announces 10, 100, 1000 steps
    press(browser, "#live-play")
    assert text(browser, "play") == "Play"
    last = text(browser, "status")
    assert last.startswith("Step ") and last != start
    press(browser, "#live-slider", Keys.HOME)
    assert text(browser, "status") == start
    press(browser, "#live-slider", Keys.END)
    assert text(browser, "status") == last
    press(browser, "#live-rewind")
    assert text(browser, "status") == start
    press(browser, "#live-once")
    g, output, data = ACTIVATIONS["tanh"], Sigmoid(), DATA["unbalanced"].load()
    descent = gradient_descent(data.X, data.Y, initializers.Random(1)(2, 7, 1, seed=0), g, output, 1.2)
    _, (parameters, cache, gradients) = next(descent), next(descent)
    found = measure(parameters, cache, gradients, cache, Dataset(*data[:2], *data[:2], "binary"), g, output)
    assert text(browser, "status") == (
        f"Step 1: loss {found.train_loss:.3f} nats, accuracy {found.train_accuracy:.0%}; 7 of 7 hidden units differ; "
        f"{found.saturation_fraction:.0%} of slopes are flat."
    )


def test_pictures_change_with_what_is_chosen(open_page):
    browser = open_page()
    picture = "return document.getElementById('live-plane').toDataURL()"
    seen = {browser.execute_script(picture)}
    presets = browser.execute_script(
        "return [...document.querySelectorAll('[data-preset]')].map(e => [e.dataset.preset, e.dataset.hint])"
    )
    for preset, hint in presets:
        press(browser, f"[data-preset='{preset}']")
        assert text(browser, "hint") == hint
        press(browser, "#live-once")
        seen.add(browser.execute_script(picture))
    assert len(seen) == 1 + len(presets)
    assert browser.execute_script("return document.querySelectorAll('.live-chart .before[points*=\",\"]').length") == 3


def test_the_address_keeps_the_choice(open_page):
    browser = open_page("#live&activation=relu&init=duplicate&noise=0.1&units=3&seed=4&data=moons")
    asked = {"activation": "relu", "init": "duplicate", "noise": "0.1", "units": "3", "seed": "4", "data": "moons"}
    assert choices(browser) == asked | {"scale": "0.01", "rate": "1.2"}
    assert "of 3 hidden units differ" in text(browser, "status")
    press(browser, "[name=activation]", "s")
    press(browser, "[name=units]", "1", "2")
    address = browser.current_url
    open_page()
    browser.get(address)
    assert choices(browser) == asked | {"scale": "0.01", "rate": "1.2", "activation": "sigmoid", "units": "12"}


def test_who_comes_back_finds_what_was_trained(open_page):
    browser = open_page("#live&init=constant")
    press(browser, "#live-once")
    browser.execute_script("location.hash = 'primer'")
    browser.back()
    assert browser.current_url.endswith("#live&init=constant")
    assert text(browser, "status").startswith("Step 1: ")


def test_what_an_address_asks_for_and_is_not_there_is_named(open_page):
    browser = open_page("#live&units=99&init=zero&color=%3Cb%3E")
    assert text(browser, "hint") == "The address asks for units=99, color=<b>, which is not offered here."
    assert choices(browser)["init"] == "zero"
    assert choices(browser)["units"] == "7"


def test_no_other_script_runs(open_page):
    browser = open_page()
    plant = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.bad = 1'}))"
    assert browser.execute_script(f"{plant}; return window.bad") is None
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]


def test_without_scripts_a_sentence_says_what_is_missing(open_page, chromium):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser = open_page()
        shown = {name: browser.find_element("id", f"live-{name}").is_displayed() for name in ("needs", "network")}
        assert shown == {"needs": True, "network": False}
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert open_page().find_element("id", "live-network").is_displayed()
