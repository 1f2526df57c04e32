"""Where MLflow's default store and its artifacts are, found without MLflow, whose import takes a second."""

from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4


def default_uri() -> str:
    """MLflow's default, ./mlflow.db; by its whole path where that needs no quoting.

    MLflow quotes the path and then makes a folder of the quoted name beside the real one (and SQLAlchemy before 2.1 puts the
    database there), so a folder such as `my project` is left out of the URI.
    """
    path = str(Path("mlflow.db").absolute())
    return f"sqlite:///{path if quote(path) == path else 'mlflow.db'}"


def artifact_location() -> str | None:
    """The URI of a folder for a new experiment's artifacts, where MLflow would take a part of the real path for quoted.

    None where MLflow finds ./mlruns itself.
    """
    here = Path("mlruns").absolute()
    return f"{here.as_uri()}/{uuid4().hex}" if unquote(str(here)) != str(here) else None
