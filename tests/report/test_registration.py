"""Whether hypotheses were fixed before the runs is read from a real repository."""

import subprocess
from datetime import UTC, datetime

import pytest

from shallowexp.claims.claim import Claim
from shallowexp.report.registration import hypotheses, registered

SOURCE = '''"""A claim."""
MARGIN, SHOWN = 0.1, 3


def gap(runs):
    return runs, MARGIN


def atoms(runs):
    yield gap(runs)


def figure(runs):
    return SHOWN
'''
STARTED = datetime(2100, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def claim(tmp_path):
    path = tmp_path / "one.py"
    path.write_text(SOURCE)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "hypotheses"]):
        git(tmp_path, *arguments)
    return Claim("one", path)


def git(folder, *arguments):
    own = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", folder, *own, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("return SHOWN", "return 2 * SHOWN", True),
        ('"""A claim."""', '"""Another."""', True),
        ("return runs, MARGIN", "return runs, 2 * MARGIN", False),
        ("yield gap(runs)", "yield gap(runs)\n    yield 2", False),
        ("0.1, 3", "0.2, 3", False),
    ],
)
def test_only_what_atoms_reaches_is_a_hypothesis(old, new, same):
    assert (hypotheses(SOURCE) == hypotheses(SOURCE.replace(old, new))) == same


def test_fixed_before_the_runs_changed_since_or_unknown(claim):
    commit = git(claim.path.parent, "rev-parse", "HEAD")
    told = registered(claim, [commit], STARTED)
    assert told.startswith(f"Hypotheses fixed before the runs: unchanged since commit {commit[:12]} of ")
    assert "the first run is of 2100-01-02 03:04 UTC" in told
    claim.path.write_text(SOURCE.replace("return SHOWN", "return None"))
    assert registered(claim, [commit], STARTED) == told
    git(claim.path.parent, "commit", "-qam", "another figure")
    drawn_anew = git(claim.path.parent, "rev-parse", "HEAD")
    assert registered(claim, [drawn_anew], STARTED) == told
    claim.path.write_text(SOURCE.replace("return runs, MARGIN", "return runs, 1"))
    assert registered(claim, [commit], STARTED).startswith(
        f"Not preregistered: the hypotheses have changed since commit {commit[:12]}"
    )
    git(claim.path.parent, "commit", "-qam", "another margin")
    changed = git(claim.path.parent, "rev-parse", "HEAD")
    assert f"since commit {changed[:12]} of" in registered(claim, [changed], STARTED)
    assert registered(claim, [], STARTED).startswith("Not preregistered, as far as is known")
    assert registered(claim, ["0" * 40], STARTED).startswith("Not preregistered, as far as is known")
