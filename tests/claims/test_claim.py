"""A file of experiments/: found, read without being run, and run."""

import sys
from pathlib import Path

import pytest

from shallowexp import EXPERIMENTS
from shallowexp.claims.claim import Claim, find, first_paragraph

WHOLE = '''"""Small weights
are slow.

Section: 6.4 \n
More."""
from beside import FACTOR

def figure(runs): return FACTOR
def atoms(runs): return []
'''
LEAST = 3


def claim(folder, text: str, name: str = "mine.py") -> Claim:
    (folder / name).write_text(text)
    return Claim("mine", folder / name)


def test_sentence_and_section_are_read_without_running_the_file(tmp_path):
    found = claim(tmp_path, WHOLE + "raise SystemExit\n")
    assert (found.sentence, found.section) == ("Small weights are slow.", "6.4")
    for nothing in ("x = 1\n", "def (\n", "\0"):
        found = claim(tmp_path, nothing)
        assert (found.docstring, found.sentence, found.section) == ("", "", "")


@pytest.mark.parametrize("package", ["/", "/~"])
def test_an_experiment_may_import_what_lies_beside_it(tmp_path, monkeypatch, package):
    monkeypatch.setattr("shallowexp.claims.claim.EXPERIMENTS", Path(package))
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("FACTOR = 7\n")
    experiment = claim(tmp_path, WHOLE).load()
    assert (experiment.figure(None), [*experiment.atoms(None)]) == (7, [])
    assert experiment.__name__ == "experiments.mine"


@pytest.mark.parametrize("missing", ["figure", "atoms"])
def test_an_experiment_has_both_functions(tmp_path, missing):
    found = claim(tmp_path, WHOLE.replace("from beside import FACTOR", "").replace(missing, "other"))
    with pytest.raises(AttributeError, match=rf"mine.py has no function {missing}\(runs\)"):
        found.load()
    with pytest.raises(ImportError, match="mine.txt is no Python file"):
        claim(tmp_path, WHOLE, "mine.txt").load()


def test_experiments_are_found_in_the_chapter_s_order_and_the_package_s_own_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {path.stem for path in EXPERIMENTS.glob("*.py")}
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "a_late.py").write_text('"""x\n\nSection: 9.9"""')
    (folder / "z_early.py").write_text('"""x"""')
    (folder / "b_late.py").write_text('"""x\n\nSection: 9.9"""')
    (folder / "_helper.py").touch()
    (folder / f"{min(own)}.py").touch()
    found = find()
    assert found.keys() == own | {"a_late", "b_late", "z_early"}
    assert ([*found][0], [*found][-2:]) == ("z_early", ["a_late", "b_late"])
    assert found[min(own)].path.parent == EXPERIMENTS
    assert all(found[name] == Claim(name, found[name].path) for name in found)
    assert [one.section for one in found.values()] == sorted(one.section for one in found.values())


def test_a_function_says_its_first_paragraph_with_its_module_s_numbers():
    def told() -> None:
        """At least LEAST of
        them, OF no UNKNOWN.

        Not this.
        """

    assert first_paragraph(told) == "At least 3 of them, OF no UNKNOWN."
    assert first_paragraph(lambda: None) == ""
