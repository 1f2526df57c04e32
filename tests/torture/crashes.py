"""Commands that are disturbed and given again: then everything must be as if nothing had happened.

Each `Torture` has points at which it disturbs: here the write events of a command, and the seeds of random moments.
"""

import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any

from tests.brand_new import YAML, add_experiment
from tests.commands import Forked, ForkServer, environment

SMALL = ("train.steps=20", "log.points=3", "train.engine=numpy", "log.weights=all")
SWEEP = ("shallowexp", "-m", "seed=range(4)", *SMALL)
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
LOST, TWICE = "lost", "twice"
HYDRA = ("multirun", "outputs")


@dataclass(frozen=True)
class Scenario:
    """A command, and what was done in its folder before."""

    name: str
    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[str, ...] = ()  # a command whose files are compared, too
    store: bool = True  # there is one, if only an empty one

    def prepare(self, folder: Path, server: ForkServer, empty_store: Path) -> None:
        folder.mkdir()
        if self.store:
            shutil.copy(empty_store, folder / "mlflow.db")
        add_experiment(folder, sweep=YAML.replace("20}", "20, engine: numpy}"))
        for words in self.before:
            assert server.command(*words, cwd=folder).returncode == 0


FRESH = Scenario("a fresh store", ("shallowexp", "-m", "seed=1,2", *SMALL, "log.model=none"), store=False)
SMALL_SWEEP = Scenario("a sweep", (*SWEEP, "log.model=none"))
BEST = Scenario("its best model, registered", (*SWEEP, "log.register=best"), (SMALL_SWEEP.words,))
SINGLE = Scenario("a single run with its model", ("shallowexp", *SMALL))
REPORT = Scenario("a report", ("shallowexp-report", "brand_new"), (("shallowexp", "-m", "+experiment=brand_new"),))
TRAINING = Scenario("a report that trains", ("shallowexp-report", "--train", "brand_new"))
FIELD = Scenario(
    "a field of three tiles",
    ("shallowexp", "+field=trainability", "field.width=7", "field.height=6", "train.steps=20", "train.engine=numpy"),
)
LARGE = Scenario(
    "a sweep of 300 runs",
    ("shallowexp", "-m", "+experiment=brand_new", "seed=range(150)"),
    after=("shallowexp-report", "brand_new"),
)
OVERLAPPING = Scenario(
    "two sweeps that share half of their runs",
    SMALL_SWEEP.words,
    after=("shallowexp", "-m", "seed=range(2,6)", *SMALL, "log.model=none"),
)
SCENARIOS = (FRESH, SMALL_SWEEP, BEST, SINGLE, REPORT, TRAINING, FIELD)


def state(folder: Path) -> dict[str, Any]:
    """What a folder holds, less what may differ between two that are equal: ids, times, and how often a sweep was begun."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        found: dict[str, Any] = {name: sorted(database.execute(query).fetchall()) for name, query in QUERIES.items()}
        fingerprints = database.execute(
            "SELECT run_uuid, value FROM tags WHERE key = 'shallowexp.fingerprint' OR key = 'shallowexp.digest'"
        ).fetchall()
        known = {name for query in ("SELECT run_uuid FROM runs", "SELECT model_id FROM logged_models")
                 for (name,) in database.execute(query)}  # fmt: skip
    kept = {path.parent.name: path for path in folder.glob("mlruns/*/*/artifacts")}
    found["orphans"] = sorted(
        {*kept, *(path.parent.name for path in folder.glob("mlruns/*/models/*/artifacts"))} - known
    )
    found["arrays"] = {
        (fingerprint, path.name): path.read_bytes() for run_id, fingerprint in fingerprints if run_id in kept
        for path in kept[run_id].rglob("*.npz")
    }  # fmt: skip
    found["figures"] = {path.name: path.read_bytes() for path in folder.glob("report/*.png")}
    found["files"] = sorted(p.name for p in folder.iterdir() if p.name not in HYDRA)
    found["hidden"] = sorted(p.name for p in folder.rglob(".*") if p.name != ".hydra")
    return found


def files(folder: Path) -> dict[Path, bytes]:
    """All that a folder holds, less Hydra's own."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = ((path.relative_to(folder), path) for path in found)
    return {name: path.read_bytes() for name, path in names if name.parts[0] not in HYDRA}


def finished(folder: Path) -> set[str]:
    """Ids of the FINISHED runs."""
    if not (folder / "mlflow.db").exists():
        return set()
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return {run_id for (run_id,) in database.execute("SELECT run_uuid FROM runs WHERE status = 'FINISHED'")}


class Torture:
    """A scenario, prepared once and copied for each of its `points`."""

    points: Sequence[int] = ()

    def __init__(self, scenario: Scenario, server: ForkServer, empty_store: Path, place: Path):
        self.scenario, self.server = scenario, server
        self.start, self.folder = place / "start", place / "tried"  # stores hold their folder's path: it stays the same
        scenario.prepare(self.folder, server, empty_store)
        self.folder.rename(self.start)
        with self.copied():
            done, self.events = self.dying(0, "")
            assert done.returncode == 0, done.stderr
            self.whole = self.state()

    def state(self) -> dict[str, Any]:
        """That of the folder, with what the command afterwards makes."""
        if self.scenario.after:
            done = self.server.command(*self.scenario.after, cwd=self.folder)
            assert done.returncode == 0, done.stderr
        return state(self.folder)

    @contextmanager
    def copied(self) -> Iterator[Path]:
        shutil.copytree(self.start, self.folder)
        try:
            yield self.folder
        finally:
            shutil.rmtree(self.folder)

    def dying(self, at: int, by: str) -> tuple[CompletedProcess, int]:
        """The command, disturbed at event number `at`, and how many events it came to."""
        with self.begun(self.scenario.words, at, by) as (child, events):
            out, err = child.communicate()
            return CompletedProcess(child.args, child.returncode, out, err), events.stat().st_size

    @contextmanager
    def begun(self, words: Sequence[str], at: int = 0, by: str = "") -> Iterator[tuple[Forked, Path]]:
        """A command that is to be disturbed, and the file that counts its events."""
        with TemporaryDirectory() as place:
            events = Path(place, "events")
            where = environment(AT=str(at), BY=by, EVENTS=str(events))
            with Forked(self.server, ("tests.torture.dying:main", *words), self.folder, where) as child:
                yield child, events

    def disturb(self, point: int) -> CompletedProcess:
        """The command, disturbed."""
        raise NotImplementedError

    def faults(self, point: int) -> list[str]:
        """What is not as it should be after the command was disturbed and given again."""
        with self.copied() as folder:
            done = self.disturb(point)
            faults = [f"{done.stderr}"] if "Traceback" in done.stderr or done.stderr.count("\n") > 12 else []
            if files(folder) == files(self.start):
                return faults  # nothing is left of it
            before = finished(folder)
            again = self.dying(0, "")[0]
            if again.returncode:
                return [*faults, f"the same command ends with {again.returncode}: {again.stderr[-500:]}"]
            now = self.state()
            faults += [f"{LOST}: {run}" for run in sorted(before - finished(folder))]
            faults += [f"{TWICE}: {run}" for run in sorted({run for run in now["runs"] if now["runs"].count(run) > 1})]
            return faults + [
                f"{key}: {_difference(now[key], self.whole[key])}" for key in now if now[key] != self.whole[key]
            ]


class Deaths(Torture):
    """A signal, the clock jumps, or the terminal is closed, at each write event; the last two end no command."""

    def __init__(self, by: str, *context: Any):
        super().__init__(*context)
        self.by, self.points = by, range(1, self.events + 1)

    def disturb(self, point: int) -> CompletedProcess:
        done = self.dying(point, self.by)[0]
        assert self.by not in ("clock", "terminal") or not done.returncode, done.stderr
        return done


class AtOnce(Torture):
    """The command twice or four times at once, or beside the one that follows it: all end well."""

    points = range(12)

    def disturb(self, point: int) -> CompletedProcess:
        rng = random.Random(point)
        pair = [self.scenario.words, self.scenario.after or self.scenario.words]
        with ExitStack() as stack:
            begun = []
            for words in pair * (1 + point % 2):
                begun.append(stack.enter_context(self.begun(words))[0])
                time.sleep(rng.choice((0, rng.uniform(0, 1))))
            errors = [child.communicate()[1] for child in begun]
        assert not any(child.returncode for child in begun), errors
        return CompletedProcess(self.scenario.words, 0, "", max(errors, key=len))


class RandomDeaths(Torture):
    """Three signals at random moments of a sweep and of those that go on with it."""

    points = range(50)

    def disturb(self, point: int) -> CompletedProcess:
        rng = random.Random(point)
        for _ in range(3):
            with Forked(self.server, self.scenario.words, self.folder, environment()) as child:
                time.sleep(rng.uniform(0, self.seconds))
                child.send_signal(rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
                err = child.communicate()[1]
        return CompletedProcess(self.scenario.words, child.returncode, "", err)

    def __init__(self, *context: Any):
        begun = time.monotonic()
        super().__init__(*context)
        self.seconds = time.monotonic() - begun


def _difference(now: Any, whole: Any) -> str:
    if isinstance(now, dict):
        return f"{sorted(now)} for {sorted(whole)}" if now.keys() != whole.keys() else "other bytes"
    return f"{[x for x in now if now.count(x) > whole.count(x)][:3]} too much, {[x for x in whole if x not in now][:3]} missing"
