"""Commands that die at one of their write events and are given again: then everything must be as if nothing had happened."""

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.brand_new import YAML, add_experiment
from tests.commands import ForkServer

SMALL = ("train.steps=20", "log.points=3", "train.engine=numpy", "log.weights=all")
SWEEP = ("shallowexp", "-m", "seed=range(4)", *SMALL)
NAMES = {signal.SIGKILL: "KILL", signal.SIGTERM: "TERM", signal.SIGINT: "INT"}
QUERIES = {
    "runs": "SELECT value, status FROM runs JOIN tags USING (run_uuid) WHERE key = 'shallowexp.fingerprint'",
    "sweeps": "SELECT value, status FROM runs JOIN tags USING (run_uuid) WHERE key = 'shallowexp.digest'",
    "histories": "SELECT t.value, m.key, step, m.value FROM metrics m JOIN tags t USING (run_uuid) "
    "WHERE t.key = 'shallowexp.fingerprint'",
    "models": "SELECT value, m.status FROM logged_models m JOIN tags ON run_uuid = source_run_id "
    "WHERE key = 'shallowexp.fingerprint'",
    "registered": "SELECT name, version, value FROM model_versions m JOIN tags ON run_uuid = run_id "
    "WHERE key = 'shallowexp.fingerprint'",
}


@dataclass(frozen=True)
class Scenario:
    """A command, and what was done in its folder before."""

    name: str
    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    store: bool = True  # there is one, if only an empty one

    def prepare(self, folder: Path, server: ForkServer, empty_store: Path) -> None:
        folder.mkdir()
        if self.store:
            shutil.copy(empty_store, folder / "mlflow.db")
        add_experiment(folder, sweep=YAML.replace("20}", "20, engine: numpy}"))
        for words in self.before:
            assert undisturbed(server, words, folder)[0] == 0


REPORT = ("shallowexp-report", "brand_new")
SCENARIOS = (
    Scenario("a fresh store", ("shallowexp", "-m", "seed=1,2", *SMALL, "log.model=none"), store=False),
    Scenario("a sweep", (*SWEEP, "log.model=none")),
    Scenario("its best model, registered", (*SWEEP, "log.register=best"), ((*SWEEP, "log.model=none"),)),
    Scenario("a single run with its model", ("shallowexp", *SMALL)),
    Scenario("a report", REPORT, (("shallowexp", "-m", "+experiment=brand_new"),)),
    Scenario("a report that trains", ("shallowexp-report", "--train", "brand_new")),
)


def undisturbed(server: ForkServer, words: tuple[str, ...], folder: Path) -> tuple[int, int]:
    """Exit status and write events of the command."""
    return disturbed(server, words, folder, 0, 0)


def disturbed(server: ForkServer, words: tuple[str, ...], folder: Path, at: int, by: int) -> tuple[int, int]:
    """The same, with the signal `by` at event number `at`."""
    with TemporaryDirectory() as place:
        events = Path(place, "events")
        where = {"AT": str(at), "BY": str(int(by)), "EVENTS": str(events)}
        done = server.command("tests.torture.dying:main", *words, cwd=folder, **where)
        return done.returncode, events.stat().st_size


def state(folder: Path) -> dict[str, Any]:
    """What a folder holds, less what may differ between two that are equal: ids, times, and how often a sweep was begun."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        found: dict[str, Any] = {name: sorted(database.execute(query).fetchall()) for name, query in QUERIES.items()}
        fingerprints = dict(database.execute("SELECT run_uuid, value FROM tags WHERE key = 'shallowexp.fingerprint'"))
        known = {name for query in ("SELECT run_uuid FROM runs", "SELECT model_id FROM logged_models")
                 for (name,) in database.execute(query)}  # fmt: skip
    kept = {path.parent.name: path for path in folder.glob("mlruns/*/*/artifacts")}
    found["orphans"] = sorted(
        {*kept, *(path.parent.name for path in folder.glob("mlruns/*/models/*/artifacts"))} - known
    )
    found["weights"] = {
        fingerprint: (kept[run_id] / "weights.npz").read_bytes() for run_id, fingerprint in fingerprints.items()
        if run_id in kept and (kept[run_id] / "weights.npz").exists()
    }  # fmt: skip
    found["figures"] = {path.name: path.read_bytes() for path in folder.glob("report/*.png")}
    found["files"] = sorted(p.name for p in folder.iterdir() if p.name not in ("multirun", "outputs"))
    found["hidden"] = sorted(p.name for p in folder.rglob(".*") if p.name != ".hydra")
    return found


def finished(folder: Path) -> set[str]:
    """Ids of the FINISHED runs."""
    if not (folder / "mlflow.db").exists():
        return set()
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return {run_id for (run_id,) in database.execute("SELECT run_uuid FROM runs WHERE status = 'FINISHED'")}


class Torture:
    """A scenario, prepared once and copied for each death."""

    def __init__(self, scenario: Scenario, server: ForkServer, empty_store: Path, place: Path):
        self.scenario, self.server = scenario, server
        self.start, self.folder = place / "start", place / "tried"  # stores hold their folder's path: it stays the same
        scenario.prepare(self.folder, server, empty_store)
        self.folder.rename(self.start)
        with self._copy() as folder:
            status, self.events = undisturbed(server, scenario.words, folder)
            assert status == 0
            self.whole = state(folder)

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        shutil.copytree(self.start, self.folder)
        yield self.folder
        shutil.rmtree(self.folder)

    def faults(self, at: int, by: int) -> list[str]:
        """What is not as it should be after a death at an event and the same command."""
        with self._copy() as folder:
            status, reached = disturbed(self.server, self.scenario.words, folder, at, by)
            if reached < at:
                return []
            before = finished(folder)
            again = self.server.command(*self.scenario.words, cwd=folder)
            if again.returncode:
                return [f"the same command ends with {again.returncode}: {again.stderr[-500:]}"]
            lost = [f"{len(before - finished(folder))} runs lost"] if before - finished(folder) else []
            now = state(folder)
            return lost + [
                f"{key}: {_difference(now[key], self.whole[key])}" for key in now if now[key] != self.whole[key]
            ]


def _difference(now: Any, whole: Any) -> str:
    if isinstance(now, dict):
        return f"{sorted(now)} for {sorted(whole)}" if now.keys() != whole.keys() else "other bytes"
    return f"{[x for x in now if now.count(x) > whole.count(x)][:3]} too much, {[x for x in whole if x not in now][:3]} missing"
