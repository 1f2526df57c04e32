"""Whether an experiment's hypotheses were fixed before its runs: the code of `atoms`, as it stood at the commit that made them.

What is not known is whether earlier runs, of other hypotheses, were looked at before: the history of the file says when they changed.
"""

import ast
import subprocess
from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile

from shallowexp.claims.claim import Claim


def registered(claim: Claim, commits: Sequence[str], started: datetime) -> str:
    """A sentence with both dates and the commit that fixed them, or why it is not preregistered."""
    runs = f"the first run is of {started:%Y-%m-%d %H:%M} UTC"
    now = hypotheses(claim.path.read_text(encoding="utf-8"))
    then = {commit: _at(claim, commit) for commit in commits}
    if not commits or None in then.values():
        return f"Not preregistered, as far as is known: the code that made the runs is in no commit here; {runs}."
    changed = [commit for commit, source in then.items() if source is None or hypotheses(source) != now]
    if changed:
        return (
            f"Not preregistered: the hypotheses have changed since commit {changed[0][:12]}, which made runs; {runs}."
        )
    history = (_git(claim, "log", "--format=%H", "--", claim.path.name) or "").split()
    *_, first = *commits, *takewhile(lambda commit: hypotheses(_at(claim, commit) or "") == now, history)
    fixed = datetime.fromisoformat((_git(claim, "show", "-s", "--format=%cI", first) or "").strip())
    return f"Hypotheses fixed before the runs: unchanged since commit {first[:12]} of {fixed:%Y-%m-%d %H:%M}; {runs}."


def hypotheses(source: str) -> str:
    """The code of `atoms` and of all in the module that it reaches by name, without comments and figures."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    defined: dict[str, ast.stmt] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        defined |= {name: node for target in targets for name in _names_of(target)}
    reached, waiting = {}, ["atoms"]
    while waiting:
        name = waiting.pop()
        if name in defined and name not in reached:
            reached[name] = ast.dump(defined[name])
            waiting += [node.id for node in ast.walk(defined[name]) if isinstance(node, ast.Name)]
    return "\n".join(reached[name] for name in sorted(reached))


def _names_of(target: ast.AST) -> list[str]:
    if isinstance(target, ast.FunctionDef):
        return [target.name]
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)] if isinstance(target, ast.expr) else []


def _at(claim: Claim, commit: str) -> str | None:
    return _git(claim, "show", f"{commit}:./{claim.path.name}")


def _git(claim: Claim, *arguments: str) -> str | None:
    command = ["git", "-C", str(claim.path.parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
