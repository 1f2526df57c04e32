"""Commands where the place is against them: a folder with files that look like ours, lost streams, a folder that is gone or full."""

import os
import pwd
import subprocess
import sys

import pytest

from shallowexp import training
from shallowexp.cli.app import main
from shallowexp.tracking import records
from tests.commands import FOLDER, command, environment, process
from tests.tracking.test_lost_stores import finished

SWEEP = ("-m", "seed=1,2", "train.steps=20", "log.points=3", "train.engine=numpy", "log.model=none")


def test_what_lies_in_the_folder_neither_runs_nor_stands_for_ours_unasked(workplace):
    """Hydra looks for plugins and MLflow for optional libraries wherever modules are looked for."""
    for name in ("hydra_plugins/evil", "torch", "ujson", "orjson", "mlflow"):
        file = workplace / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"open('ran', 'a').write('{name} ')\n")
    for name, text in (
        ("schema", "hidden_size: 99"),
        ("config", "seed: 7"),
        ("hydra/launcher/batched", "_target_: x.Y"),
    ):
        file = workplace / "conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    done = process("shallowexp", *SWEEP, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert not (workplace / "ran").exists()
    assert {run.data.params["hidden_size"] for run in finished(workplace)} == {"4"}


def with_lost_streams() -> None:
    """$STDOUT and $STDERR: `closed`, as `>&-` leaves it, or a file that takes nothing."""
    streams = sys.stdout, sys.stderr
    for name in {"STDOUT", "STDERR"} & {*os.environ}:
        path = os.environ[name]
        setattr(sys, name.lower(), None if path == "closed" else open(path, "w", buffering=1))  # noqa: SIM115
    try:
        main()
    finally:
        sys.stdout, sys.stderr = streams


@pytest.mark.parametrize("streams", [{"STDERR": "closed", "STDOUT": "closed"}, {"STDERR": "/dev/full"}], ids=repr)
def test_a_sweep_ends_well_without_its_streams(workplace, streams):
    done = command(f"{__name__}:with_lost_streams", *SWEEP, cwd=workplace, **streams)
    assert (done.returncode, done.stderr, len(finished(workplace))) == (0, "", 2)


@pytest.mark.parametrize("program", ["shallowexp seed=1", "shallowexp-report"])
def test_a_folder_that_is_gone(tmp_path, program):
    words = ["bash", "-c", f"mkdir gone; cd gone; rmdir ../gone; {FOLDER}/{program}"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the working directory is gone" in done.stderr


def test_output_that_cannot_be_written(workplace):
    done = command(f"{__name__}:with_lost_streams", *SWEEP, cwd=workplace, STDOUT="/dev/full")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1, "shallowexp: the output cannot be written: No space left on device",
    )  # fmt: skip
    assert len(finished(workplace)) == 2
    (workplace / "outputs").touch()
    done = command("shallowexp", "train.steps=20", cwd=workplace)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "outputs" in done.stderr


def test_a_store_of_its_own_for_each_run_is_refused(workplace):
    done = command("shallowexp", "hydra.job.chdir=true", "train.steps=20", cwd=workplace)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "hydra.job.chdir" in done.stderr
    assert not list(workplace.glob("outputs/**/mlflow.db"))


def test_a_user_without_a_name_goes_by_the_id(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    ids = {entry.pw_uid for entry in pwd.getpwall()}
    free = next(uid for uid in range(54321, 64321) if uid not in ids)
    monkeypatch.setattr(os, "getuid", lambda: free)
    assert records.user() == str(free)


@pytest.mark.parametrize("already", [None, 0o700, 0o777], ids=["none", "private", "open to others"])
def test_compiled_code_has_a_private_place_where_package_and_home_are_read_only(tmp_path, monkeypatch, already):
    """What lies in the place is run, so one that others may write into is not taken."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(training.CACHE, raising=False)
    monkeypatch.setattr(training, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(training, "mkdtemp", lambda: "another")
    folder = tmp_path / f"shallowexp-{os.getuid()}"
    if already is not None:
        folder.mkdir()
        folder.chmod(already)
    monkeypatch.setenv("HOME", str(tmp_path))
    training._cache_compiled_code()
    assert training.CACHE not in os.environ
    monkeypatch.setenv("HOME", "/dev/null")
    training._cache_compiled_code()
    assert training.CACHE not in os.environ  # the package can be written to
    monkeypatch.setattr(training, "__file__", "/dev/null/shallowexp/training/__init__.py")
    training._cache_compiled_code()
    assert os.environ[training.CACHE] == ("another" if already == 0o777 else str(folder))
    assert already == 0o777 or folder.stat().st_mode & 0o077 == 0
