"""What the project says about itself agrees: version, Pythons, address, make's targets."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from shallowexp import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]
    assert citation["license"] == PROJECT["license"]


def test_the_workflow_tests_every_python_that_is_promised():
    promised = [name.split(" :: ")[-1] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    assert yaml.safe_load(WORKFLOW)["jobs"]["test"]["strategy"]["matrix"]["python"] == promised


def test_targets_that_are_named_are_there():
    """In the workflow and in the documents: `make a b` in code or at the start of an indented line."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [WORKFLOW, *(path.read_text() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])]
    named = {
        name
        for text in texts
        for names in re.findall(r"(?:`|run: |^    )make ([a-z -]+)", text, re.M)
        for name in names.split()
    }
    assert named <= targets


def make(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={sys.executable}", *words], cwd=cwd, capture_output=True, text=True
    )


def test_make_help_has_a_line_for_each_target():
    targets = {*re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()}
    lines = [re.fullmatch(r"make ([\w-]+) {2,}\w.+", line) for line in make("help").stdout.splitlines()]
    assert {line[1] for line in lines} == targets


def test_a_report_of_some_experiments():
    asked = make("--dry-run", "--silent", "report", "ONLY=symmetry,saturation").stdout.splitlines()[-1]
    assert asked.endswith("bin/shallowexp-report --train symmetry,saturation")


OLD = "import sys; sys.version_info = (3, 10, 14); exec(sys.argv[2])"


@pytest.mark.parametrize("python", [f"#!/bin/sh\nexec {sys.executable} -c '{OLD}' \"$@\"", "#!/nowhere/python3", None])
@pytest.mark.parametrize("target", ["report", "test-latest"])
def test_a_python_that_is_too_old_is_named_in_one_line(tmp_path, python, target):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    given = tmp_path / "python3"
    if python:
        given.write_text(python)
        given.chmod(0o755)
    before = {*tmp_path.iterdir()}
    refused = make(target, f"PYTHON={given}", cwd=tmp_path)
    (line,) = refused.stderr.splitlines()
    assert "Python 3.11 or later is needed" in line and str(given) in line
    assert refused.returncode != 0 and {*tmp_path.iterdir()} == before
