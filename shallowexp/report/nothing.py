"""That there is nothing to report: said before anything heavy is imported where the store is a SQLite file."""

from collections.abc import Iterable, Sequence

from shallowexp.errors import UserError
from shallowexp.tracking.places import FIELD, finished_experiments, sqlite_store


class NothingToReport(UserError):
    """No experiment has runs; the message names those that do."""

    def __init__(self, uri: str, asked: Sequence[str], there: Iterable[str]):
        found = f"\nExperiments with finished runs there: {', '.join(there)}" if there else ""
        super().__init__(f"no runs of these sweeps in {uri}: launch one first, e.g. {command(asked[0])}{found}")


def command(name: str) -> str:
    """What trains an experiment's runs."""
    return f"shallowexp -m +experiment={name}"


def require_runs(asked: Sequence[str]) -> None:
    """Raises NothingToReport or TrackingError where that can be known without MLflow."""
    uri = sqlite_store()
    there = finished_experiments(uri) if uri else None
    if uri and there is not None and not {*there} & {*asked} and not finished_experiments(uri, FIELD):
        raise NothingToReport(uri, asked, there)
