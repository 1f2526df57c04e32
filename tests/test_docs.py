"""What the documents point at is there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest
import yaml

from shallowexp import CONF
from shallowexp.claims.claim import find
from shallowexp.network.diagnostics import METRICS, metric_names
from tests.commands import command
from tests.test_architecture import ROOMS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
CHAPTER = (ROOT / "docs" / "chapter.md").read_text(encoding="utf-8")


KEYS = {f"{file.parent.name}.{key}" for file in CONF.glob("*/*.yaml") for key in yaml.safe_load(file.read_text())}
KEYS |= {
    f"{node}.{key}"
    for node, values in yaml.safe_load((CONF / "config.yaml").read_text()).items()
    if isinstance(values, dict)
    for key in values
}


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


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name != "CHANGELOG.md"], ids=lambda path: path.name
)
def test_what_is_named_is_there(path):
    """Modules, metrics and keys of the configuration between backticks; the changelog names former ones too."""
    text = path.read_text(encoding="utf-8")
    tracked = {*ROOT.glob("[a-z]*/**/*.py"), *(ROOT / file for file in ("mine.py", "experiments/softplus_or_relu.py"))}
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert any(file.as_posix().endswith(f"/{name}") for file in tracked), name
    metrics = {*metric_names("binary"), *metric_names("regression"), "diverged/step"}
    assert set(re.findall(r"`((?:train|test|symmetry|saturation|gradient|diverged)/\w+)`", text)) <= metrics
    assert set(re.findall(r"`((?:data|init|train|log)\.[a-z_]+)[=`]", text)) <= KEYS


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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that `make docs` builds; strict, so that a broken link or a name that is not there has failed."""
    pytest.importorskip("zensical")
    folder = tmp_path_factory.mktemp("docs")
    (folder / "shallowexp").symlink_to(ROOT / "shallowexp")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    subprocess.run([sys.executable, ROOT / "docs" / "pages.py", folder / "build" / "docs"], check=True)
    build = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    return folder / "site"


def test_every_page_and_every_room_is_in_the_navigation(site):
    listed = set(re.findall(r"^ +- [\w ]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = site.parent / "build" / "docs"
    assert listed == {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    assert {f"api/{room}.md" for room in ROOMS} <= listed


def test_the_site_loads_nothing_from_other_hosts(site):
    """The theme's scripts can load more, but only for features these pages do not use: a browser at every page asked no other host."""
    loaded = r"<(?:script|img|iframe|source)[^>]+src=.?https?:|<link[^>]+(?:stylesheet|preconnect|icon)[^>]+https?:"
    pages, styles = [*site.rglob("*.html")], [*site.rglob("*.css")]
    assert len(pages) > 10
    assert len(styles) > 0
    assert [path for path in pages if re.search(loaded, path.read_text(encoding="utf-8"))] == []
    assert [
        path for path in styles if re.search(r"(?:url\(|@import)\W*https?:", path.read_text(encoding="utf-8"))
    ] == []
