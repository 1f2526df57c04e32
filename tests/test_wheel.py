"""The wheel, in an environment that has no checkout: conf and experiments travel inside it."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.commands import environment

ROOT = Path(__file__).parent.parent
UNCOMPILED = (  # runs of symmetry_clock for which no kernel is compiled, half a minute for this environment alone
    "train.engine=chapter", "activation=tanh", "train.dtype=float64", "init.noise=1e-6", "train.steps=600", "log.every=20",
    "seed=200,201",
)  # fmt: skip


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> Path:
    """Folder of the commands of an environment that holds the wheel, and sees the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    # a path in a .pth is not searched for .pth files in its turn, so this environment's editable install stays behind
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "env" / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--ignore-installed", str(wheel)], check=True)
    return folder / "env" / "bin"


def run(commands, *arguments, cwd):
    process = [str(commands / arguments[0]), *arguments[1:]]
    done = subprocess.run(process, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_comes_from_the_wheel(commands, tmp_path):
    code = "import shallowexp, hydra_plugins.batched_launcher as l; print(shallowexp.CONF, shallowexp.EXPERIMENTS, l.__file__)"
    paths = run(commands, "python", "-c", code, cwd=tmp_path).split()
    assert all(path.startswith(str(commands.parent)) for path in paths)


def test_the_wheel_says_that_it_has_types(commands, tmp_path):
    code = "from importlib.resources import files; print((files('shallowexp') / 'py.typed').is_file())"
    assert run(commands, "python", "-c", code, cwd=tmp_path) == "True\n"


def test_the_wheel_offers_its_plugins_in_both_of_hydras_ways(commands, tmp_path):
    code = (
        "from importlib.metadata import entry_points\nfrom hydra.core.plugins import Plugins\n"
        "offered = {point.load().__name__ for point in entry_points(group='hydra.plugins')}\n"
        "print(sorted(offered & {plugin.__name__ for plugin in Plugins.instance().discover()}))"
    )
    found = run(commands, "python", "-c", code, cwd=tmp_path)
    assert found == "['BatchedLauncher', 'OwnConf', 'UnionSweeper', 'WorkingDirectory']\n"


def test_the_commands_work_from_an_empty_directory(commands, workplace):
    assert "symmetry" in run(commands, "shallowexp", "--help", cwd=workplace)
    assert "symmetry" in run(commands, "shallowexp-report", "--list", cwd=workplace)
    out = run(commands, "shallowexp", "-m", "+experiment=symmetry_clock", *UNCOMPILED, cwd=workplace)
    assert "2 runs: 0 already there, 2 trained" in out
    run(commands, "shallowexp-report", "symmetry_clock", cwd=workplace)
    assert (workplace / "report" / "symmetry_clock.png").stat().st_size > 10_000
