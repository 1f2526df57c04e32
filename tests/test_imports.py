"""Who may import whom: downwards only, and each foreign framework in one place. Whatever is found is held to it."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (
    "activations initializers outputs data arithmetic",
    "network jobs",
    "diagnostics",
    "kernel kernel_descent kernel_diagnostics",
    "training",
    "config",
    "batches",
    "sweep",
    "app",
)
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules.split()}
READABLE = {"claims", "figures", "replay", "statistics", "network", "diagnostics", *LAYERS[0].split()}
TOOLS = {"numpy", "pandas", "matplotlib", "scipy"} | sys.stdlib_module_names
HYDRA, MLFLOW = {"hydra", "omegaconf"}, {"mlflow"}
FORBIDDEN = dict.fromkeys(["training", "kernel", "kernel_descent", "network", "diagnostics", "data"], HYDRA | MLFLOW)
FORBIDDEN["predictor"] = HYDRA  # not imported: MLflow runs it, in a process that loads a model


def imported(path):
    """Dotted names of everything that a file imports, wherever in it: `from a import b` is a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def split(path):
    """The modules of shallowexp and the foreign packages that a file imports."""
    names = [name.split(".") for name in imported(path)]
    return {n[1] for n in names if n[0] == "shallowexp" and n[1:]}, {n[0] for n in names if n[0] != "shallowexp"}


@pytest.mark.parametrize("path", sorted((ROOT / "shallowexp").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downwards_and_only_tracking_knows_mlflow(path):
    module = path.relative_to(ROOT / "shallowexp").parts[0].removesuffix(".py")
    ours, foreign = split(path)
    assert not {other for other in ours if LEVEL.get(other, 0) > LEVEL.get(module, len(LAYERS))}
    assert not foreign & FORBIDDEN.get(module, set() if module.startswith("tracking") else MLFLOW)


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda p: p.stem)
def test_experiments_see_frames_and_the_pure_modules(path):
    ours, foreign = split(path)
    assert ours <= READABLE
    assert foreign <= TOOLS
