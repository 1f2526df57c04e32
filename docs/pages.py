"""The pages of the site, for `make docs`: docs/ as it is, README and the like, and a page for each room of the package.

    python docs/pages.py build/docs

Links are written for a reader of the repository. Here each becomes what it is on the site: a page, an entry of the API pages (a wrong name
fails the build), or a file on GitHub.
"""

import re
import shutil
import sys
import tomllib
from pathlib import Path
from posixpath import dirname, normpath, relpath

ROOT = Path(__file__).parent.parent
GITHUB = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
MOVED = {
    f"{name}.md": f"{page}.md"
    for name, page in (("README", "index"), ("CONTRIBUTING", "contributing"), ("CHANGELOG", "changelog"))
}
NO_REPORT = (
    "<!doctype html><title>No report</title><p>Made by <code>make report</code>, then <code>make docs</code>.</p>\n"
)
LINK = re.compile(r"\[([^]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def write(target: Path) -> None:
    """Empty `target`, then fill it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "images", target / "images")
    for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in MOVED)]:
        source = path.relative_to(ROOT).as_posix()
        text = LINK.sub(lambda link, source=source: on_site(link, source), path.read_text(encoding="utf-8"))
        (target / page(source)).write_text(text, encoding="utf-8")
    (target / "report").mkdir()
    made = ROOT / "report" / "index.html"
    (target / "report" / "index.html").write_text(
        made.read_text(encoding="utf-8") if made.exists() else NO_REPORT, encoding="utf-8"
    )
    (target / "api").mkdir()
    for room, modules in rooms().items():
        entries = [f"# {room}", *(f"::: {module}" for module in modules)]
        (target / "api" / f"{room}.md").write_text("\n\n".join(entries), encoding="utf-8")


def page(source: str) -> str:
    """Where a file of the repository is on the site."""
    return MOVED.get(source, source.removeprefix("docs/"))


def on_site(link: re.Match, source: str) -> str:
    """A link in the file `source` of the repository, as it is on the site."""
    text, target, anchor = link[1], link[2], link[3] or ""
    path = normpath(f"{dirname(source)}/{target}".lstrip("/"))
    if "://" in target or not (ROOT / path).exists():
        return link[0]
    if path.startswith("shallowexp/") and text.startswith("`"):
        return f"[{text}][shallowexp.{text.strip('`')}]"
    if path.startswith("docs/") or path in MOVED:
        return f"[{text}]({relpath(page(path), dirname(page(source)) or '.')}{anchor})"
    return f"[{text}]({GITHUB}/blob/main/{path}{anchor})"


def rooms() -> dict[str, list[str]]:
    """Room -> the names of its modules, the package itself first."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "shallowexp").glob("*/**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[2:] if parts[1] == "plugin" else parts).removesuffix(".__init__")
        found.setdefault(parts[1], []).append(name)
    return found


if __name__ == "__main__":
    write(Path(sys.argv[1]))
