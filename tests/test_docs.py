"""What the documents point at is there."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from shallowexp.claims.claim import find
from shallowexp.config.composition import Workers
from shallowexp.config.schema import FieldSchema, LogSchema, ObjectiveSchema, RunSchema, TrainSchema
from shallowexp.report.chapter import TABLE, field_table, key, read_fields, render, stability
from shallowexp.report.entries import read
from shallowexp.report.reading import digest
from shallowexp.report.registration import hypotheses
from tests.commands import command, process
from tests.test_architecture import ROOMS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links(path):
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    missing = {link for link in links if "://" not in link and not (path.parent / link).exists()}
    assert not missing


def test_the_chapter_is_what_the_command_makes_of_the_kept_report():
    entries = read(ROOT / "docs", find())
    assert set(entries) == set(find())
    assert render(list(entries.values()), stability()) == (ROOT / "docs" / "chapter.md").read_text(encoding="utf-8")


def test_the_table_of_fields_is_what_the_command_makes_of_the_kept_one():
    table = field_table(read_fields(ROOT / "docs" / TABLE))
    assert len(table) > 2 and "\n".join(["", *table, ""]) in (ROOT / "docs" / "fields.md").read_text(encoding="utf-8")


def test_each_atom_of_the_kept_report_was_perturbed():
    atoms = [atom for entry in read(ROOT / "docs", find()).values() for atom in entry.atoms]
    assert {key(atom) for atom in atoms} == stability().keys()


@pytest.mark.parametrize("name", sorted(find()))
def test_the_kept_report_has_the_hypotheses_that_are_in_the_code(name):
    entry = read(ROOT / "docs", find())[name]
    assert entry.hypotheses == digest([hypotheses(entry.claim.path.read_text(encoding="utf-8"))])


def test_the_readmes_table_has_every_key():
    table = {
        key
        for line in README.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`([\w.]+)`", line.split("|")[1])
    }
    nodes = {
        "": RunSchema,
        "train.": TrainSchema,
        "log.": LogSchema,
        "objective.": ObjectiveSchema,
        "field.": FieldSchema,
    }
    keys = {f"{node}{field.name}" for node, schema in nodes.items() for field in fields(schema)}
    keys |= {f"hydra.launcher.{name}" for name in Workers._fields}
    assert keys - {"train", "log", "objective", "field"} <= table


def test_the_readmes_session_to_the_letter(workplace):
    session = README.split("## A session")[1].split("\n## ")[0]
    commands = re.findall(r"^    (.*)", session, re.MULTILINE)
    assert [shlex.split(line)[0] for line in commands] == [
        "python",
        "shallowexp",
        "shallowexp-report",
        "shallowexp-plot",
    ]
    for line in commands:
        program, *arguments = shlex.split(line)
        done = (process if program == "python" else command)(program, *arguments, cwd=workplace)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (workplace / "accuracy.svg").exists() and list(workplace.glob("report/sweep-*/index.html"))
    (cell,) = re.findall(r"```python\n(.*?)```", session, re.DOTALL)
    assert process("python", "-c", cell, cwd=workplace).returncode == 0


def test_extending_to_the_letter(workplace):
    """Each block is a file, named before it; each indented line is a command; all of it in an empty directory."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    pieces = re.split(r"```\w+\n(.*?)```\n", text, flags=re.DOTALL)
    for before, content in zip(pieces[::2], pieces[1::2], strict=False):
        path = workplace / re.findall(r"`([\w/]+\.(?:py|yaml|csv))`", before)[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    commands = re.findall(r"^    (shallowexp.*)", text, re.MULTILINE)
    assert len(commands) == 4
    for line in commands:
        done = command(*shlex.split(line), cwd=workplace)
        assert done.returncode == 0, done.stdout + done.stderr
    page = (workplace / "report" / "index.html").read_text(encoding="utf-8")
    assert "softplus ends below ReLU on flower" in page
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
    loaded = r"<(?:script|img|iframe|source)[^>]+src=.?https?:|<link(?=[^>]+(?:stylesheet|preconnect|icon))[^>]+href=.?https?:"
    pages, styles = [*site.rglob("*.html")], [*site.rglob("*.css")]
    assert len(pages) > 10
    assert len(styles) > 0
    assert [path for path in pages if re.search(loaded, path.read_text(encoding="utf-8"))] == []
    assert [
        path for path in styles if re.search(r"(?:url\(|@import)\W*https?:", path.read_text(encoding="utf-8"))
    ] == []
