"""The page in a real browser: complete in itself, readable on a phone, in the dark, on paper, by keyboard and aloud."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from shallowexp.analysis import Runs
from shallowexp.claims.claim import Claim
from shallowexp.claims.page import Page
from shallowexp.claims.statement import OUTCOMES, Atom, Judgement, Statement, atom, chapter, judge, theorem
from shallowexp.claims.statistics import Effect
from shallowexp.report import page
from tests.report.conftest import TIMEOUT

LONG = "Donaudampfschifffahrtsgesellschaft" * 4
NASTY = f"""<script>window.bad = 1</script> & "quotes" are {LONG} <img src=x onerror=alert(1)>.

Section: 6.4 & <b>

A paragraph of background </section> & more.
"""
ATOMS = {  # of the entries, by name
    "plain": [
        atom(Effect(0.1275, 0.008, 20), "above", 0.02, "accuracy", "gains <b>", "31", "stated", "tanh, <b>"),
        theorem(True, "equal & equal", "31", "stated", "everywhere", "most units: 1"),
    ],
    "odd & <name> é#?": [
        atom(Effect(-3.0, 0.1, 9, 2, 11), "above", 1.0, "nats", f"rises {LONG}", "16", "stated", LONG),
        atom(Effect(0.1, 0.01, 20), "above", 1.0, "nats", "hardly", "16", "reason", "wine"),
        atom(Effect(0.5, float("nan"), 1), "within", 1.0, "nats", "one seed", "", "extension", "iris"),
    ],
    "third": [theorem(False, f"part {i}", "22", "stated") for i in range(9)],
    "bare": [],
}
JUDGED = [
    ("31", "right", ATOMS["plain"], ["holds", "theorem, checked"], ""),
    (
        "16",
        "right under a condition",
        ATOMS["odd & <name> é#?"][:2],
        ["contradicted", "no difference"],
        f"It holds for {LONG}.",
    ),
    ("22", "wrong", ATOMS["third"], ["theorem, refuted"] * 9, ""),
    ("5", "inconclusive", [], [], ""),
    ("10", "right, for another reason", [], [], ""),
]


NAMED = "plain"  # its figure has curves
LEVELS = {"1": 0.5, 'a "b" <i>| c': 2.0}


def curves() -> Page:
    """Two panels, in each a curve of three runs for each level: at steps 0, 1 and 10 its medians are the level's number times 1, 2 and 3."""
    rows = [
        {"step": step, "loss": factor * rise * (1 + 0.1 * run), "kind": kind}
        for kind, factor in LEVELS.items() for rise, step in enumerate((0, 1, 10), 1) for run in (-1, 0, 1)
    ]  # fmt: skip
    page = Page([["left & 1", "2"]], size=(9, 4))
    for panel in page.axes:
        page.curves(panel, Runs(pd.DataFrame(), pd.DataFrame(rows), {}), "loss", by="kind")
    return page


@dataclass
class Entry:
    claim: Claim
    atoms: list[Atom]
    numbers: pd.DataFrame
    animation: Path | None = None
    missing: int = 0
    diverged: int = 0
    headline: str = ""
    caption: str = "One line rises & the other <stays>."
    lacks: str = ""
    registered: str = "Hypotheses <fixed> before the runs."
    runs: int = 1234
    digest: str = "0123456789abcdef" * 2
    command: str = "shallowexp -m +experiment=a 'seed=range(2)' " + LONG
    run_ids: list = field(default_factory=lambda: [(f"{i:032x}", f"{7 * i:032x}") for i in range(60)])
    started: datetime | None = datetime(2026, 1, 2, 3, 4)
    ended: datetime | None = None
    seconds: float | None = 83.0
    commits: tuple = ("f" * 40, "e" * 40)
    versions: tuple = ("0.1.0",)


def entries(output: Path) -> list[Entry]:
    """Experiments with their files: plain, nasty, and as little as there can be."""
    docstrings = "Units that start equal stay equal.\n\nSection: 6.4\n\nBackground.", NASTY, "Third.", ""
    words = pd.DataFrame({"init": ["zero", "<i>" + LONG] * 30, **{f"column {i}": np.arange(60) / 7 for i in range(12)}})
    numbers = words, words.assign(measure=LONG), words, pd.DataFrame()
    made = []
    for (name, atoms), docstring, table in zip(ATOMS.items(), docstrings, numbers, strict=True):
        (output / f"{name}.py").write_text(f"{docstring!r}\n")
        kinds = ("png",) if name == "bare" else ("png", "svg", "pdf")
        for kind in kinds:
            figure = Figure(figsize=(12, 6))
            figure.subplots().plot([0, 1, len(made)])
            figure.savefig(output / f"{name}.{kind}", dpi=200)
        figure.savefig(output / f"{name}-card.png", dpi=200)
        figure.savefig(output / f"{name}-plate.png", dpi=200)
        made.append(Entry(Claim(name, output / f"{name}.py"), atoms, table))
        for ending in (".csv", "-runs.csv"):
            (output / f"{name}{ending}").touch()
    drawn = curves()
    drawn.figure.savefig(output / f"{NAMED}.svg")
    drawn.numbers.to_csv(output / f"{NAMED}.csv", index=False)
    (output / "moves.png").write_bytes((output / "plain.png").read_bytes())
    made[0].headline = f"Units that start <equal> stay equal & {LONG}."
    made[0].animation = output / "moves.png"
    made[1].missing, made[1].diverged = 20, 3
    made[3].run_ids, made[3].started, made[3].seconds, made[3].lacks, made[3].caption = (
        [],
        None,
        None,
        "no runs <here>",
        "",
    )
    return made


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> list:
    """What `page.write` is given."""
    output = tmp_path_factory.mktemp("a report")
    judged = [
        Judgement(
            Statement(number, "6.2 & <b>", "t e", f"Title <{number}>", f"The text says & {LONG}."),
            atoms,
            outcomes,
            outcome,
            condition,
        )
        for number, outcome, atoms, outcomes, condition in JUDGED
    ]
    return [entries(output), judged, output, {"Command": "shallowexp-report", "Machine <b>": f"& {LONG}"}, ["absent"]]


@pytest.fixture(scope="module")
def report(told) -> Path:
    return page.write(*told)


@pytest.fixture
def browser(chromium, report):
    """The page, freshly loaded on a wide and light screen, and nothing in the logs from before."""
    show(chromium, 1280)
    chromium.get("about:blank")
    chromium.get_log("browser"), chromium.get_log("performance")
    chromium.get(report.as_uri())
    return chromium


def show(browser, width: int, scheme: str = "light", media: str = "") -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def all_of(browser, selector: str, value: str) -> list:
    return browser.execute_script(f"return [...document.querySelectorAll({selector!r})].map(e => {value})")


def open_details(browser) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")


def test_it_loads_without_complaint_and_asks_for_nothing_elsewhere(browser):
    open_details(browser)
    assert browser.get_log("browser") == []
    log = "".join(entry["message"] for entry in browser.get_log("performance"))
    asked = re.findall(r'"request":\{.*?"url":"(\w+):', log)
    assert "file" in asked
    assert set(asked) <= {"file", "data"}


def test_every_figure_is_drawn_and_said(browser):
    open_details(browser)
    drawn = (
        "const [done, ...images] = [arguments[0], ...document.images]; images.forEach(e => e.loading = 'eager');"
        "Promise.all(images.map(e => e.decode().catch(() => 0))).then(() => done(images.map(e => e.naturalWidth)))"
    )
    browser.set_script_timeout(TIMEOUT)
    widths = browser.execute_async_script(drawn)
    assert sorted(widths) == [page.CARD] * 4 + [page.SCREEN] * 4  # one finding; curves are drawn
    assert all(all_of(browser, "img", "e.alt"))
    said = all_of(browser, "figure img", "e.alt")[1], all_of(browser, "[role=img]:has(.drawn)", "e.ariaLabel")[0]
    assert all(words.startswith("One line rises & the other <stays>.") for words in said)


def test_the_page_opens_with_the_findings_and_what_speaks_against_the_chapter(browser):
    assert all_of(browser, ".headline", "e.textContent")[0].startswith("Units that start <equal> stay equal & Donau")
    told = all_of(browser, ".told li", "e.textContent.replace(/\\s+/g, ' ')")
    assert told[0].startswith(
        f"Title <16> (right under a condition): The text says & {LONG}. Against it: rises {LONG}? No, \u22123.00 ["
    )
    assert len(told) == 1  # the only extension holds nothing


def test_every_link_leads_somewhere(browser, report):
    ids = all_of(browser, "[id]", "e.id")
    assert len(ids) == len(set(ids))
    links = [urlsplit(link) for link in all_of(browser, "a", "e.href")]
    assert {link.scheme for link in links} == {"file"}
    files = {Path(unquote(link.path)) for link in links}
    assert {file for file in files if not file.is_file()} == set()
    assert {unquote(link.fragment) for link in links if unquote(link.path) == str(report)} <= set(ids)
    assert {file.parent for file in files} == {report.parent}
    names = {"plain.svg", "plain.pdf", "plain.csv", "plain-runs.csv", "odd & <name> é#?.svg", "bare.png"}
    assert names <= {file.name for file in files}


def test_a_claim_is_reached_from_its_card(browser):
    for target in all_of(browser, ".card a", "(e.click(), document.querySelector(':target').tagName)"):
        assert target == "H2"


@pytest.mark.parametrize("width", [320, 380, 768, 1280])
def test_nothing_overflows(browser, width):
    show(browser, width)
    open_details(browser)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
    own = "e.closest('.scroll *, .plate *, .contents *, pre *, .bar, .heard, .skip') || /auto/.test(getComputedStyle(e).overflowX)"
    cut = "getComputedStyle(e).display != 'inline' && e.scrollWidth > e.clientWidth + 1"
    beyond = f"!({own}) && (e.getBoundingClientRect().right > {width} || {cut})"
    assert [html for html in all_of(browser, "body *", f"{beyond} && e.outerHTML.slice(0, 80)") if html] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser, scheme):
    show(browser, 1280, scheme)
    open_details(browser)
    behind = "f => !f ? 'none' : /, 0\\)/.test(getComputedStyle(f).backgroundColor) ? behind(f.parentElement) : "
    browser.execute_script(f"window.behind = {behind}getComputedStyle(f).backgroundColor")
    ink = "e.ownerSVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color"
    text = "[...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())"
    found = all_of(browser, "body *", f"{text} ? [e.outerHTML.slice(0, 80), {ink}, behind(e)] : null")
    found = [row for row in found if row]
    assert len(found) > 100
    assert [row for row in found if contrast(*row[1:]) < 4.5] == []
    assert (luminance(found[0][2]) < 0.1) == (scheme == "dark")
    assert set(all_of(browser, ".plate, .card img", "getComputedStyle(e).backgroundColor")) == {"rgb(255, 255, 255)"}


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_outcomes_differ_by_word_and_by_shape(browser):
    cell = "[e.textContent.trim(), e.querySelector('use').getAttribute('href')]"
    shown = all_of(browser, ".statements .sign", cell)
    assert [words for words, _ in shown] == [outcome for _, outcome, *_ in JUDGED]
    assert len({sign for _, sign in shown}) == len(OUTCOMES)
    assert len(set(all_of(browser, "symbol", "e.innerHTML"))) == len(all_of(browser, "symbol", "e.id"))
    assert all(all_of(browser, ".sign svg", "e.getBoundingClientRect().width > 10"))


def test_the_first_screen_has_the_score_in_the_chapters_order(browser):
    strip = all_of(browser, ".strip a", "[e.hash, e.textContent.replace(/\\s+/g, ' ').trim()]")
    assert strip == [[f"#statement-{n}", f"{n} Title <{n}>: {outcome}"] for n, outcome, *_ in JUDGED]
    counts = all_of(browser, ".counts li", "e.innerText.replace(/\\s+/g, ' ').trim()")
    assert counts == [f"1 {outcome}" for outcome in OUTCOMES]
    assert browser.execute_script("return document.querySelector('.strip').getBoundingClientRect().bottom < 800")


def test_a_section_has_each_atom_with_its_corrected_outcome_and_its_effect(browser):
    rows = "[...e.querySelectorAll('.atoms tbody tr')].map(r => [...r.cells].slice(0, 4).map(c => c.innerText.replace(/\\s+/g, ' ').trim()))"
    odd, third, plain, bare = all_of(browser, ".claim", rows)  # in the chapter's order
    assert plain[0] == ["31 stated", "gains <b>", "holds", "+0.128 [+0.111, +0.144] accuracy"]
    assert plain[1] == ["31 stated", "equal & equal most units: 1", "theorem, checked", ""]
    assert odd[0][2:] == ["contradicted", "−3.00 [−3.23, −2.77] nats, 2 of 11 pairs lost"]
    assert odd[2] == ["extension", "one seed", "inconclusive", "+0.5 nats, no interval"]
    assert (len(third), len(bare)) == (9, 0)
    assert "Nothing can be said yet: no runs <here>." in all_of(browser, ".claim", "e.innerText")[3]
    assert all_of(browser, ".atoms .bar", "e.querySelector('.reach') !== null") == [True] * 3


def test_headings_landmarks_and_names_make_an_outline(browser):
    levels = [int(tag[1]) for tag in all_of(browser, "h1, h2, h3, h4, h5, h6", "e.tagName")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(level - before <= 1 for before, level in zip(levels, levels[1:], strict=False))
    assert all_of(browser, "body > header, body > main, body > footer", "e.tagName") == ["HEADER", "MAIN", "FOOTER"]
    assert all_of(browser, "html", "e.lang") == ["en"]
    named = "(e.getAttribute('aria-labelledby') || '').split(' ').every(id => document.getElementById(id)?.textContent)"
    assert all(all_of(browser, "section, [role=region]", f"e.ariaLabel || {named}"))
    assert all(
        all_of(browser, ".scroll, .plate, pre", "e.tabIndex == 0 || e.querySelector('a') !== null")
    )  # what scrolls can be scrolled by keyboard
    assert all(all_of(browser, "table", "e.tHead.querySelectorAll('th[scope=col]').length == e.rows[1].cells.length"))


def test_it_is_walked_by_keyboard(browser):
    from selenium.webdriver import ActionChains, Keys

    here = "const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();"
    here += "const c = e.closest('.card'); const o = c ? getComputedStyle(c) : s;"
    here += "return [e.href, parseInt(o.outlineWidth) > 1 && o.outlineStyle != 'none', r.left >= 0, r.top + scrollY]"
    stops = []
    for _ in range(8):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        stops.append(browser.execute_script(here))
    links = [href for href, *_ in stops if href]  # a region that scrolls is a stop too
    assert len(links) >= 6
    assert links == all_of(browser, "a", "e.href")[: len(links)]
    assert stops[0][0].endswith("#statements")
    assert all(outlined and inside for _, outlined, inside, _ in stops)
    heights = [top for *_, top in stops[1:]]
    assert heights == sorted(heights)


def test_enter_on_a_figure_opens_it_at_full_size(browser):
    from selenium.webdriver import Keys

    browser.find_elements("css selector", ".plate a")[0].send_keys(Keys.ENTER)
    assert unquote(browser.current_url).endswith("odd & <name> é#?.svg")
    assert browser.execute_script("return document.documentElement.tagName") == "svg"


def test_words_stay_words(browser):
    assert browser.execute_script("return window.bad") is None
    assert all_of(browser, "script:not([type='application/json'], [type=module]), b, i, [onerror]", "e.outerHTML") == []
    text = all_of(browser, "main", "e.textContent")[0]
    for words in (
        '<script>window.bad = 1</script> & "quotes"',
        "background </section> & more",
        "gains <b>",
    ):
        assert words in text


def test_what_is_missing_is_owned_up_to(browser):
    assert all_of(browser, ".note", "e.innerText") == [
        "20 of 4,956 runs are missing: figures and outcomes are on those that are there, and each section has the "
        "command that adds the rest. No runs at all of absent. shallowexp-report --train adds all.",
        "1,234 of 1,254 runs are there: what follows is of those, the command below adds the rest. "
        "3 diverged; the history of such a run ends where it did.",
        "Nothing can be said yet: no runs <here>.",
    ]
    assert "1,234 of 1,254 runs" in all_of(browser, ".card", "e.innerText")[0]


def test_paper_is_white_and_nothing_on_it_scrolls(browser):
    show(browser, 700, "dark", "print")
    assert all_of(browser, "body", "getComputedStyle(e).backgroundColor") == ["rgb(255, 255, 255)"]
    assert set(all_of(browser, ".scroll, .plate", "getComputedStyle(e).overflowX")) == {"visible"}
    assert set(all_of(browser, "details, .skip", "getComputedStyle(e).display")) == {"none"}
    assert set(all_of(browser, "h2, h3", "getComputedStyle(e).breakAfter")) == {"avoid"}


def test_the_same_entries_give_the_same_bytes(told, report):
    first = report.read_bytes()
    assert page.write(*told) == report
    assert report.read_bytes() == first


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (Effect(-1234.5, 400.0, 20), "−1234 [−2072, −397] nats"),
        (Effect(0.5, 0.0, 20), "+0.5 [+0.5, +0.5] nats"),
        (Effect(0.5, float("nan"), 1), "+0.5 nats, no interval"),
        (Effect(float("nan"), float("nan"), 0, 4, 4), ""),
        (Effect(0.5, 1e-13, 20), "+0.500000 [+0.500000, +0.500000] nats"),
    ],
)
def test_an_effect_has_the_digits_that_its_interval_warrants(effect, words):
    assert page.interval(atom(effect, "above", 0.1, "nats", "x")) == words


@pytest.mark.parametrize(
    ("moved", "words"),
    [(0.0, "+0.50 [+0.41, +0.59] nats"), (0.004, "+0.50 [+0.41, +0.59] nats"), (0.006, "+0.5 [+0.4, +0.6] nats"),
     (0.05, "+0.50 [+0.41, +0.59] nats, which rounding moves by 0.05")],
)  # fmt: skip
def test_digits_that_moved_are_not_shown_unless_the_move_matters(moved, words):
    assert page.interval(atom(Effect(0.5, 0.0435, 20), "above", 0.1, "nats", "x"), moved) == words


def test_an_effect_never_has_fewer_digits_than_its_margin():
    measured = atom(Effect(-0.0651, 0.0185, 20), "below", 0.02, "of steps", "x")
    assert page.interval(measured, 0.009) == "−0.065 [−0.104, −0.026] of steps, which rounding moves by 0.009"
    assert page.interval(measured, 0.004) == "−0.07 [−0.10, −0.03] of steps"


def test_a_bar_shows_margin_zero_and_interval_in_proportion():
    found = page.bar(Atom("", "stated", "", "", "above", "above", 0.0, 2.0, 1.0, 3.0, 1.0, "nats"))
    assert found == page.Bar(left=3.0, width=47.0, zero=26.5, value=73.5, low=50.0, high=97.0)
    assert page.bar(theorem(True, "x")) is None


def test_a_summary_is_the_end_of_each_curve():
    frame = pd.DataFrame({"step": [0, 9, 0, 9, 3], "init": list("aabbb"), "measure": [*"mmmm", None], "x": np.nan})
    assert page.summary(frame) == (["init", "measure", "step"], {"step"}, [["a", "m", "9"], ["b", "m", "9"]], 5)


def test_a_long_table_without_words_is_told_from_end_to_end():
    shown = page.summary(pd.DataFrame({"step": range(1000), "loss": np.linspace(-0.12345678, 1, 1000)}))
    assert len(shown.rows) == page.ROWS
    assert (shown.rows[0], shown.rows[-1], shown.total) == (["0", "−0.1235"], ["999", "1"], 1000)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.25, "0.2 s"), (59.6, "1 min 0 s"), (83, "1 min 23 s"), (7500, "2 h 5 min")]
)
def test_a_duration_is_told_by_its_two_largest_units(seconds, words):
    assert page.duration(seconds) == words


def test_a_picture_is_made_to_fit_the_screen(tmp_path):
    Figure(figsize=(40, 10)).savefig(tmp_path / "wide.png", dpi=100, transparent=True)
    shown = page.picture(tmp_path / "wide.png", page.SCREEN)
    assert (shown.width, shown.height) == (1920, 480)
    assert len(shown.source) < 10_000


def statement_10(*effects: tuple[float, str, str]) -> Judgement:
    """Of statement 10, an atom for each effect (in nats; expected below 0 by more than 0.1), role and scope."""
    number = chapter()["10"]
    atoms = [
        atom(Effect(value, 0.01, 20), "below", 0.1, "nats", scope, "10", role, scope) for value, role, scope in effects
    ]
    return judge(number, atoms)


def test_a_statement_names_the_strongest_for_it_and_against_it():
    flower, wine, against = (-0.9, "stated", "flower"), (-0.5, "stated", "wine"), (0.3, "stated", "iris")
    said = page.sentence(statement_10(flower, wine))
    assert said == "Strongest: flower −0.900 [−0.921, −0.879] nats; weakest: wine −0.500 [−0.521, −0.479] nats."
    said = page.sentence(statement_10(flower, wine, against))
    assert said.startswith("It holds for flower and wine; not for iris. Strongest: flower")
    assert said.endswith("; against it: iris +0.300 [+0.279, +0.321] nats.")
    said = page.sentence(statement_10(flower, wine, (0.0, "reason", "steps")))
    assert said.endswith("; against it: steps (its reason) +0.000 [−0.021, +0.021] nats.")
    assert page.sentence(statement_10()) == "No runs yet."


def test_what_stands_against_the_chapter_begins_with_what_is_wrong():
    wrong, partly = (
        statement_10((0.2, "stated", "iris")),
        statement_10((-0.9, "stated", "flower"), (0.9, "stated", "wine")),
    )
    reason = statement_10((-0.9, "stated", "flower"), (0.0, "reason", "steps"))
    found = page.against([partly, reason, statement_10((-0.9, "stated", "flower")), wrong])
    assert [(one.outcome, one_atom.scope) for one, one_atom in found] == [
        ("wrong", "iris"), ("right under a condition", "wine"), ("right, for another reason", "steps")
    ]  # fmt: skip


def pointed(browser, curve: str, point: int) -> list[str]:
    """What is told with the pointer on this vertex of a curve."""
    from selenium.webdriver import ActionChains

    svg, x, y = browser.execute_script(
        """const line = document.getElementById(arguments[0]), svg = line.ownerSVGElement;
           svg.scrollIntoView({block: "center", behavior: "instant"});
           const numbers = line.querySelector("path").getAttribute("d").match(/-?[\\d.]+/g).map(Number), i = 2 * arguments[1];
           const at = new DOMPoint(numbers[i], numbers[i + 1]).matrixTransform(svg.getScreenCTM()), box = svg.getBoundingClientRect();
           return [svg, at.x - box.x - box.width / 2, at.y - box.y - box.height / 2]""",
        curve,
        point,
    )
    ActionChains(browser).move_to_element_with_offset(svg, round(x), round(y)).perform()
    return all_of(browser, ".tip:not([hidden])", "e.textContent")


def test_a_curve_under_the_pointer_tells_its_numbers_and_a_button_hides_it_in_all_panels(browser):
    browser.set_window_size(1280, 900)
    found = browser.execute_script("return JSON.parse(document.querySelector('.curves').textContent)")
    hostile = list(LEVELS)[1]
    assert [(one["label"], len(one["points"])) for one in found] == [("1", 3), ("1", 3), (hostile, 3), (hostile, 3)]
    assert found[0]["points"] == [[0, 0.5, 0.46, 0.54], [1, 1.0, 0.92, 1.08], [10, 1.5, 1.38, 1.62]]
    assert pointed(browser, found[0]["id"], 1) == ["1, step 1: 1 (8 of 10 runs: 0.92 to 1.08)"]
    assert pointed(browser, found[3]["id"], 2) == [f"{hostile}, step 10: 6 (8 of 10 runs: 5.52 to 6.48)"]
    assert all_of(browser, ".drawn .near", "e.id") == [found[3]["id"]]

    assert all_of(browser, ".cells button", "e.textContent") == list(LEVELS)
    browser.execute_script("document.querySelectorAll('.cells button')[1].click()")
    assert all_of(browser, ".cells button", "e.ariaPressed") == ["true", "false"]
    hidden = all_of(browser, ".drawn .off", "e.id")
    assert set(hidden) == {id_ for one in found[2:] for id_ in (one["id"], one["id"].replace("-curve|", "-band|"))}
    assert pointed(browser, found[0]["id"], 1)
    assert not pointed(browser, found[3]["id"], 2)
    browser.execute_script("document.querySelectorAll('.cells button')[1].click()")
    assert not all_of(browser, ".drawn .off", "e.id")


def test_ids_are_of_one_figure(browser):
    ids = all_of(browser, "[id]", "e.id")
    assert len(ids) == len(set(ids))
