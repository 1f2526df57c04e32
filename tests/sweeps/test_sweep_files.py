"""What a sweep keeps in MLflow beside its runs: their table and the configuration that made them."""

from csv import DictReader
from pathlib import Path

from tests.brand_new import add_experiment
from tests.commands import command
from tests.tracking.test_lost_stores import finished, sweeps


def test_a_sweeps_table_says_how_each_run_ended(workplace):
    swept = ("train.learning_rate=0.1,1e6", "train.steps=100")
    for data in ("data=diabetes", "data=diabetes,wine"):
        assert command("shallowexp", "-m", data, *swept, cwd=workplace).returncode == 0
    newest, _ = sweeps(workplace)
    rows = list(DictReader((Path(newest.info.artifact_uri) / "runs.csv").read_text().splitlines()))
    ended = {(row["data"], float(row["train.learning_rate"])): row for row in rows}
    assert {key: row["outcome"] for key, row in ended.items() if key[0] == "diabetes"} == {
        ("diabetes", 0.1): "finished",
        ("diabetes", 1e6): "diverged",
    }
    by_id = {run.info.run_id: run.data.metrics for run in finished(workplace)}
    for row in rows:
        told = {name: float(value) for name, value in row.items() if "/" in name and value}
        assert told == by_id[row["run_id"]]
    assert ended["wine", 0.1]["train/accuracy"] and not ended["wine", 0.1]["train/r2"]
    tags = newest.data.tags
    n = sum(row["outcome"] == "diverged" for row in rows if row["data"] == "wine")
    assert (tags["shallowexp.finished"], tags["shallowexp.diverged"]) == (str(2 - n), str(n))


def test_a_report_that_trains_leaves_the_same_configuration_as_a_sweep(workplace, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for place, words in ((workplace, ("shallowexp", "-m", "+experiment=brand_new")),
                         (other, ("shallowexp-report", "--train", "brand_new"))):  # fmt: skip
        add_experiment(place)
        assert command(*words, cwd=place).returncode == 0
    for name in ("config.yaml", "overrides.yaml", "multirun.yaml"):
        one, two = (
            (Path(sweeps(place, "brand_new")[0].info.artifact_uri) / name).read_text().replace(str(place), "HERE")
            for place in (workplace, other)
        )
        assert one == two
