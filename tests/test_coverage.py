"""The table of intervals: each kind does what its name says on populations that a textbook knows."""

import numpy as np
import pytest
from scipy import stats

from benchmarks import coverage

NORMAL = stats.norm.ppf((np.arange(600) + 0.5) / 600)
SAMPLES = np.random.default_rng(1).choice(NORMAL, size=(50, 12))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(coverage, "DRAWS", 400)


def test_t_is_the_textbook_s():
    low, high = coverage.student(SAMPLES)
    half = 2.200985160082949 * SAMPLES.std(axis=1, ddof=1) / np.sqrt(12)  # t of 11 degrees, 97.5%
    np.testing.assert_allclose(low, SAMPLES.mean(axis=1) - half)
    np.testing.assert_allclose(high, SAMPLES.mean(axis=1) + half)


def test_bootstrap_t_leans_to_the_side_of_the_long_tail():
    low, high = coverage.bootstrap_t(np.exp(SAMPLES))
    mean = np.exp(SAMPLES).mean(axis=1)
    assert np.mean((high - mean) > (mean - low)) > 0.9
    low, high = coverage.bootstrap_t(-np.exp(SAMPLES))
    assert np.mean((high + mean) < (-mean - low)) > 0.9


@pytest.mark.parametrize("name", coverage.METHODS)
def test_coverage_is_near_what_is_promised_where_the_population_is_normal(name):
    assert 0.88 < coverage.coverage(NORMAL, coverage.METHODS[name], 20) < 0.99


@pytest.mark.parametrize("name", coverage.METHODS)
def test_samples_without_a_failure_hold_nothing(name):
    fails = np.repeat([0.0, 1.0], [570, 30])
    equal = np.ptp(np.random.default_rng(20).choice(fails, size=(400, 20)), axis=1) == 0
    assert coverage.coverage(fails, coverage.METHODS[name], 20) <= 1 - equal.mean()


def test_exact_interval_by_hand():
    """Of one run: 0 and 1 failures have the intervals [0, 0.975] and [0.025, 1]."""
    assert coverage.binomial_coverage(0.5, 1) == pytest.approx(1)
    assert coverage.binomial_coverage(0.01, 1) == pytest.approx(0.99)


def test_only_the_part_between_the_markers_is_written(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    monkeypatch.setattr(coverage, "PAGE", page)
    page.write_text("# Mine\n\n<!-- python -m benchmarks.coverage -->\nold\n<!-- end -->\n\nmine too\n")
    coverage.write("| new |")
    expected = "# Mine\n\n<!-- python -m benchmarks.coverage -->\n\n| new |\n\n<!-- end -->\n\nmine too\n"
    assert page.read_text() == expected
    coverage.write("| new |")
    assert page.read_text() == expected
    page.write_text("no markers")
    with pytest.raises(ValueError, match="0 generated parts"):
        coverage.write("| new |")


def test_the_page_says_what_the_command_would_measure():
    """Its rows are the populations and its columns the methods; the numbers take two minutes."""
    (generated,) = coverage.GENERATED.findall(coverage.PAGE.read_text(encoding="utf-8"))
    head, _, *rows = [line.split(" | ") for line in generated.splitlines() if line[:2] == "| "]
    assert [name.split(",")[0] for name in head[2:6]] == list(coverage.METHODS)
    assert len(rows) == len(coverage.CELLS) + 2
    for row, name in zip(rows[1:-1], coverage.CELLS, strict=True):
        assert row[0].startswith(f"| {name}, ")
