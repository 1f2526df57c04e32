"""The page of benchmarks says what the committed results say. How fast anything is, no test asserts."""

import pytest

from benchmarks import page, results
from benchmarks.goals import GOALS, Goal
from benchmarks.results import Result


def test_the_page_is_made_from_the_results():
    assert page.PAGE.read_text(encoding="utf-8") == page.render(), "stale: python -m benchmarks.page"


def test_every_goal_was_measured():
    """A goal whose names do not fit the results would read as a peer that is not installed."""
    newest = results.load()[0]
    assert [goal.what for goal in GOALS if goal.met(newest) == "not measured"] == []


def test_a_goal_is_met_from_its_own_side():
    result = Result({}, [{"benchmark": "b", "what": "w", "median": 2.0}])
    goals = [
        Goal("", lambda r: r.value("b", "w"), goal, at_most=at_most) for at_most in (False, True) for goal in (1, 2, 3)
    ]
    assert [goal.met(result) for goal in goals] == ["yes", "yes", "no", "no", "yes", "yes"]
    assert Goal("", lambda r: r.value("b", "other"), 1).met(result) == "not measured"


def test_a_result_is_read_as_it_was_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    days = [
        Result({"Date": f"2026-01-0{day} 10:00"}, [{"benchmark": "b", "what": "w", "median": day}]) for day in (1, 2)
    ]
    for day in days:
        day.save()
    assert results.load() == days[::-1]


def test_the_benchmarks_can_be_imported():
    """They use inner functions of the package, and run too seldom to notice that one has moved."""
    import benchmarks.__main__
    import benchmarks.fluent
    import benchmarks.server
    import benchmarks.vectorisation

    pytest.importorskip("distributed")
    import benchmarks.scale  # noqa: F401


def test_the_simulation_of_many_workers_ends_at_what_limits():
    pytest.importorskip("distributed")
    from benchmarks.scale import simulate

    for workers, busiest, rate in (
        (1, 0, 0.1),
        (5, 0, 0.5),
        (50, 1, 1.0),
    ):  # ten seconds each, then one of a single server
        seconds, busy = simulate([(workers, 10.0), (1, 1.0)], 2 * workers, 40 * workers)
        assert busy.index(max(busy)) == busiest
        assert 40 * workers / seconds == pytest.approx(rate, rel=0.1)
