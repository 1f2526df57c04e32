"""What the project says about itself agrees: version, Pythons, address, make's targets."""

import re
import tomllib
from pathlib import Path

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
