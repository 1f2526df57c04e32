"""A folder may have any name: database, artifacts and report land in it, and nowhere else."""

import mlflow

from tests.brand_new import add_experiment
from tests.commands import command


def test_a_folder_of_any_name(tmp_path, monkeypatch):
    here = tmp_path / "my project? #1 100%20%"
    here.mkdir()
    add_experiment(here)
    done = command("shallowexp-report", "--train", "brand_new", cwd=here)
    assert done.returncode == 0, done.stdout + done.stderr
    again = command("shallowexp", "-m", "+experiment=brand_new", cwd=here)
    assert "6 already there, 0 trained" in again.stdout
    assert list(tmp_path.iterdir()) == [here]
    assert {path.name for path in here.iterdir()} == {
        "conf", "experiments", "mlflow.db", "mlruns", "multirun", "report",
    }  # fmt: skip
    monkeypatch.chdir(here)
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("brand_new").experiment_id
    (sweep,) = client.search_runs([experiment], "tags.`shallowexp.digest` LIKE '%'")
    files = {file.path for file in client.list_artifacts(sweep.info.run_id)}
    assert {"overrides.yaml", "runs.csv", "brand_new.png"} <= files
    child = client.search_runs([experiment], "params.seed = '0'")[0].info.run_id
    with open(client.download_artifacts(child, "weights.npz"), "rb") as weights:
        assert weights.read(2) == b"PK"
