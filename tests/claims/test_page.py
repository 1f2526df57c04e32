"""Panels of a figure laid out anew: for a card, for the columns of a paper."""

import pytest

from shallowexp.claims.page import COLUMN, COLUMNS, Page

TITLE = "a title too long for one panel of a paper's column"


@pytest.fixture
def page() -> Page:
    made = Page([["a", "b", "c"]], size=(12, 4))
    made["b"].set_title(TITLE, loc="left")
    return made


def extents(page: Page, *panels: str) -> list[tuple[float, float, float, float]]:
    page.figure.draw_without_rendering()
    return [page[panel].get_window_extent().bounds for panel in panels]


def test_one_panel_fills_a_column_and_its_title_is_in_lines(page):
    figure = page.part(["b"], COLUMN)
    assert [figure.get_figwidth(), figure.axes] == [COLUMN, [page["b"]]]
    ((_, _, width, _),) = extents(page, "b")
    assert width > 0.75 * COLUMN * figure.dpi
    assert "\n" in (title := page["b"].get_title("left")) and title.split() == TITLE.split()


def test_what_was_left_out_comes_back_and_three_panels_take_two_columns_and_rows(page):
    page.part(["b"], COLUMN)
    assert page.part(["a", "b", "c"], COLUMNS).axes == [page[panel] for panel in "abc"]
    a, b, c = extents(page, "a", "b", "c")
    assert a[0] == c[0] < b[0] and c[1] < a[1] == b[1]  # left edges, lower edges


def test_a_panel_that_is_not_there_is_named(page):
    with pytest.raises(ValueError, match="panel d is not in the figure: choose among a, b, c"):
        page.part(["a", "d"], COLUMNS)
