"""The report's fields in a real browser: the pixel under the pointer, or under the arrow keys, has its field's numbers and command;
what fields say over seeds stands with them.
"""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

import shallowexp
from shallowexp import CONF
from shallowexp.report import fields, page
from shallowexp.tracking.store import Store
from tests.commands import command

EDGE = ("+field=edge", "field.width=24", "field.height=20", "field.zoom=1", "train.steps=60")
SMALL = ("+field=symmetry", "field.width=21", "field.height=9", "train.steps=20")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store of a field with one zoom and of a later one."""
    folder = tmp_path_factory.mktemp("fields")
    for words in (EDGE, SMALL):
        assert command("shallowexp", *words, cwd=folder).returncode == 0
    return folder


@pytest.fixture
def opened(trained, chromium, monkeypatch, tmp_path):
    """The page of at most 8 pixels a side, and its fields as Python has them."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(fields, "SIDE", 8)
    groups = fields.groups(Store.open(create=False), nullcontext)
    chromium.set_window_size(1300, 1200)  # a whole panel
    chromium.get(page.write([], [], tmp_path, {}, fields=groups).as_uri())
    return chromium, [shallowexp.field(one.run_id) for group in groups for one in group.shown]


def said(browser, number: int) -> tuple[str, str]:
    figure = browser.find_elements("css selector", "#fields figure")[number]
    return tuple(figure.find_element("css selector", selector).text for selector in (".pixel", "pre code"))


def expected(field, column: int, row: int) -> tuple[str, str]:
    at = {axis.key: axis.values[i] for axis, i in ((field.x, column), (field.y, row))}
    values = at | {name: array[row, column] for name, array in field.arrays.items() if not np.isnan(array[row, column])}
    return " · ".join(values), field.command(column, row)


def same(found: tuple[str, str], wanted: tuple[str, str]) -> bool:
    """The same numbers are named, and the same overrides given."""
    names = " · ".join(part.rpartition(" ")[0] for part in found[0].split(" · "))
    return names == wanted[0] and sorted(found[1].split()) == sorted(wanted[1].split())


def test_the_whole_field_is_shown_rather_than_its_zooms_the_newest_first(opened):
    _, found = opened
    assert [field.x.key for field in found] == ["init.noise", "init.scale"]
    assert found[1].x.high == 10


@pytest.mark.parametrize("number", [0, 1])
def test_the_pixel_under_the_pointer_says_its_numbers_and_its_command(opened, number):
    browser, found = opened
    field, panel = found[number], browser.find_elements("css selector", "#fields .panel")[number]
    stride = -(-max(field.x.count, field.y.count) // 8)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", panel)
    for across, up in ((0.02, 0.02), (0.97, 0.97), (0.52, 0.3)):
        column, row = (int(part * axis.count) // stride * stride for part, axis in ((across, field.x), (up, field.y)))
        x, y = (part * size for part, size in ((across - 0.5, panel.size["width"]), (0.5 - up, panel.size["height"])))
        ActionChains(browser).move_to_element_with_offset(panel, x, y).perform()
        assert same(said(browser, number), expected(field, column, row)), (across, up)
        shown = {
            name: text for name, _, text in (part.rpartition(" ") for part in said(browser, number)[0].split(" · "))
        }
        loss = field.arrays["train/loss"][row, column]
        finite = loss < np.finfo(np.float32).max
        assert float(shown["train/loss"]) == pytest.approx(loss, 1e-3) if finite else shown["train/loss"] == ">3e38"


def test_a_click_keeps_a_pixel_and_the_arrow_keys_choose_its_neighbours(opened):
    browser, (field, _) = opened
    panel = browser.find_elements("css selector", "#fields .panel")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", panel)
    ActionChains(browser).move_to_element(panel).click().move_by_offset(60, 40).perform()
    assert same(said(browser, 0), expected(field, 9, 3))
    panel.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_UP)
    assert same(said(browser, 0), expected(field, 12, 6))
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("content", [None, b"", b"not what it was"])
@pytest.mark.parametrize("name", ["field.npz", "field.png"])
def test_a_field_with_a_damaged_file_is_named_and_the_others_are_shown(name, content, trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    store = Store.open(create=False)
    symmetry, edge = fields.groups(store, nullcontext)
    (file,) = trained.rglob(f"{symmetry.shown[0].run_id}/artifacts/{name}")
    moved = file.rename(file.with_suffix(".moved"))
    if content is not None:
        file.write_bytes(content)
    assert [group.shown for group in fields.groups(store, nullcontext) if group.shown] == [edge.shown]
    assert symmetry.shown[0].name in capsys.readouterr().out
    moved.replace(file)


def test_what_fields_say_over_seeds_is_in_the_page_and_in_the_table(workplace):
    small = ("-m", "+field=symmetry", "field.width=9", "field.height=9", "train.steps=60", "seed=1,2,3")
    assert command("shallowexp", *small, cwd=workplace).returncode == 0
    report = command("shallowexp-report", cwd=workplace)
    assert report.returncode == 0 and "fields/symmetry: " in report.stdout, report.stderr
    (group,) = fields.groups(Store.open(create=False), nullcontext)
    assert {atom.n for atom in group.atoms} == {3} and len(group.shown) == 1
    table = pd.read_csv("report/claims.csv")
    assert [*table["text"]] == [atom.text for atom in group.atoms] and {*table["experiment"]} == {"fields/symmetry"}
    assert group.claim.sentence in Path("report/index.html").read_text()
    named = command("shallowexp-report", "symmetry", cwd=workplace)
    assert named.returncode == 1 and "no runs of these sweeps" in named.stderr


OWN = '''"""Mine."""

def atoms(fields, zooms):
    yield len(fields)
'''


def test_a_file_of_fields_with_a_mistake_in_it_is_named_and_the_pictures_are_shown(workplace):
    for path, text in (
        ("conf/field/mine.yaml", (CONF / "field" / "symmetry.yaml").read_text()),
        ("experiments/fields/mine.py", OWN),
    ):
        (workplace / path).parent.mkdir(parents=True)
        (workplace / path).write_text(text)
    small = ("+field=mine", "field.width=9", "field.height=9", "train.steps=20")
    assert command("shallowexp", *small, cwd=workplace).returncode == 0
    report = command("shallowexp-report", cwd=workplace)
    assert (
        report.returncode == 1
        and "mine.py" in report.stdout
        and "atoms(fields, zooms), line 3, yields int" in report.stdout
    )
    assert "9 × 9 pixels" in Path("report/index.html").read_text()
