"""Hundreds of wrong invocations, as data: each is refused before anything is written, in a message that says what it must.

`make test` composes and checks most of them in this process, `make torture` gives each to the command, and any others, too.
"""

import os
import pickle
import shlex
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shallowexp.config.base import Base, Composed
from shallowexp.config.composition import compose, config_loader, united_products
from shallowexp.config.explain import explain
from shallowexp.config.runs import over_seeds, plan
from tests.commands import command

CATALOGUE = yaml.safe_load(Path(__file__).with_name("bad_input.yaml").read_text())
WHOLE = "TORTURE" in os.environ
LINES = 5  # of a message


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    """The runs of a command line in a folder with a few tables, as the command plans them; Hydra starts once."""
    folder = tmp_path_factory.mktemp("tables")
    fill(folder)
    before = Path.cwd()
    os.chdir(folder)
    with config_loader() as loader, pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "load_sweep_config", remembering(loader.load_sweep_config))
        single = loader.load_configuration("config", [], RunMode.RUN)
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)

        def composed(words: list[str], sweep: bool) -> list[Composed]:
            parsed = OverridesParser.create().parse_overrides(words)
            if not sweep and any(override.is_sweep_override() for override in parsed):
                return [Composed(words, Base(loader.load_configuration("config", words, RunMode.RUN), {}))]
            return compose(loader, master if sweep else single, united_products({}, parsed))

        yield lambda words, sweep: plan((one, job.choices) for job in composed(words, sweep) for one in over_seeds(job))
    os.chdir(before)


def remembering(load):
    """What Hydra composes for a choice of groups is the same for all tests."""
    known = {}

    def remembered(tree, overrides: list[str]):
        key = id(tree), *overrides
        if key not in known:
            known[key] = pickle.dumps(load(tree, overrides))
        return pickle.loads(known[key])

    return remembered


def fill(folder: Path) -> None:
    for name, text in CATALOGUE["files"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def entries(part: str) -> list:
    return [pytest.param(shlex.split(line), words, id=line) for line, words in CATALOGUE[part].items()]


def assert_told(message: str, words: str | list[str]) -> None:
    assert all(word in message for word in ([words] if isinstance(words, str) else words)), message
    assert len(message.splitlines()) <= LINES


@pytest.mark.parametrize(("words", "told"), entries("overrides") + entries("sweeps"))
def test_bad_input_is_refused_in_a_message_that_helps(composer, words, told):
    with pytest.raises(Exception) as refused:  # noqa: PT011  (`explain` knows which of them are bugs)
        composer([word for word in words if word != "-m"], "-m" in words)
    message, status = explain(refused.value)
    assert message is not None, refused.value
    assert_told(message, told)
    assert status == 1


ALL = [
    pytest.param(["shallowexp", *case.values[0]], case.values[1], id=f"shallowexp {case.id}")
    for case in entries("overrides") + entries("sweeps")
]


@pytest.mark.parametrize(("words", "told"), entries("commands") + ALL if WHOLE else entries("commands")[::3])
def test_a_bad_command_line_is_refused_and_nothing_written(tmp_path, words, told):
    fill(tmp_path)
    assert_refused(tmp_path, words, told)


def assert_refused(folder: Path, words: list[str], told: str | list[str]) -> None:
    before = contents(folder)
    done = command(*words, cwd=folder)
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stdout + done.stderr
    message = done.stderr[done.stderr.index("error: ") :] if done.stderr.startswith("usage:") else done.stderr
    assert_told(message, told)
    assert contents(folder) == before


def contents(folder: Path) -> dict[Path, bytes | None]:
    """All that a folder holds, less Hydra's own."""
    found = {path.relative_to(folder): path for path in folder.rglob("*")}
    own = ("outputs", "multirun")
    return {
        name: path.read_bytes() if path.is_file() else None for name, path in found.items() if name.parts[0] not in own
    }


NUMBERS = st.one_of(st.integers(), st.integers(-3, 300), st.floats(), st.floats(0, 2))
WORDS = st.sampled_from(
    ["tanh", "true", "null", "???", "''", "[1,2]", "{a:1}", "${seed}", "1,2", "ä", "range(3)", "", "none", "all"]
)
VALUES = st.one_of(NUMBERS.map(str), WORDS, st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6))
KEYS = st.sampled_from(
    ["data", "activation", "init", "output", "hidden_size", "seed", "train", "train.steps", "train.learning_rate", "train.dtype"]
    + ["train.engine", "log.points", "log.every", "log.steps", "log.weights", "log.model", "log.register", "objective.metric"]
    + ["objective.seeds", "name", "fresh", "dry_run", "data.samples", "data.seed", "data.positive_rate", "init.scale", "init.bias"]
    + ["activation._target_", "nope", "train.nope"]
)  # fmt: skip
OVERRIDES = st.builds("{}{}={}".format, st.sampled_from(["", "", "", "+", "++"]), KEYS, VALUES) | KEYS.map("~{}".format)


@settings(max_examples=3000 if WHOLE else 120, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(OVERRIDES, min_size=1, max_size=3))
def test_any_override_is_planned_or_refused_in_a_message(composer, overrides):
    message, status = refusal(composer, overrides) or ("planned", 1)
    assert message, message
    assert (len(message.splitlines()) <= LINES, status) == (True, 1)


@pytest.mark.skipif(not WHOLE, reason="only make torture gives them to the command")
@settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(OVERRIDES, min_size=1, max_size=3, unique=True))
def test_the_command_plans_and_refuses_the_same(composer, tmp_path_factory, overrides):
    folder = tmp_path_factory.mktemp("any")
    fill(folder)
    words = [*overrides, "++dry_run=true"]
    message, _ = refusal(composer, words) or ("", 0)
    if message:
        assert_refused(folder, ["shallowexp", *words], "")
    else:
        before = {*folder.rglob("*")}
        done = command("shallowexp", *words, cwd=folder)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert {path.relative_to(folder).parts[0] for path in {*folder.rglob("*")} - before} <= {"outputs", "mlflow.db"}


def refusal(composer, overrides: list[str]) -> tuple[str | None, int] | None:
    try:
        composer(overrides, False)
    except Exception as error:
        return explain(error)
