"""What the documents point at is there."""

import re
import shlex
from pathlib import Path
from pkgutil import resolve_name

import pytest

from shallowexp import CONF
from shallowexp.claims.claim import find
from shallowexp.network.diagnostics import METRICS
from tests.conftest import command

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
CHAPTER = (ROOT / "docs" / "chapter.md").read_text(encoding="utf-8")


def column(index):
    """What is between backticks in one column of the chapter's tables."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in CHAPTER.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {4}
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row[index])}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links(path):
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    missing = {link for link in links if "://" not in link and not (path.parent / link).exists()}
    assert not missing


@pytest.mark.parametrize("name", sorted(column(1)))
def test_code_of_the_chapter(name):
    if "/" in name:
        assert name in METRICS
        return
    resolve_name(name if name.startswith("experiments.") else f"shallowexp.{name}")


@pytest.mark.parametrize("name", sorted(column(2)))
def test_config_of_the_chapter(name):
    for key, value in re.findall(r"(\w+)=(\w+)", re.sub(r"\S+\.\S+=\S+", "", name)):
        assert not (CONF / key).is_dir() or (CONF / key / f"{value}.yaml").is_file()


def test_experiments_of_the_chapter():
    assert set(re.findall(r"\]\(\.\./experiments/(\w+)\.py\)", CHAPTER)) == set(find())
    assert set(re.findall(r"`\+experiment=(\w+)`", CHAPTER)) == set(find())
    assert {int(number) for number in re.findall(r"^\| Claim (\d+)", CHAPTER, re.MULTILINE)} == set(range(1, 16))


def test_extending_to_the_letter(workplace):
    """Each block is a file, named before it; each indented line is a command; all of it in an empty directory."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    pieces = re.split(r"```\w+\n(.*?)```\n", text, flags=re.DOTALL)
    for before, content in zip(pieces[::2], pieces[1::2], strict=False):
        path = workplace / re.findall(r"`([\w/]+\.(?:py|yaml))`", before)[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    commands = re.findall(r"^    (shallowexp.*)", text, re.MULTILINE)
    assert len(commands) == 2
    for line in commands:
        done = command(*shlex.split(line), cwd=workplace)
        assert done.returncode == 0, done.stdout + done.stderr
    page = (workplace / "report" / "index.html").read_text(encoding="utf-8")
    assert "softplus minus ReLU on flower: " in page
    assert "40 runs" in page


def test_a_dry_run_leaves_what_the_design_says(tmp_path):
    done = command("shallowexp", "-m", "hidden_size=2,4", "dry_run=true", cwd=tmp_path)
    assert "2 to train" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "multirun"}
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"mlflow.db", "multirun.yaml"}
