"""What was measured: a JSON file for each whole run of `make bench`, committed, so that today can be held against earlier days."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    about: dict[str, str]  # Code, Libraries, Machine, Date, Load before, Rounds
    rows: list[dict]  # each with its `benchmark`, `what` was measured, its median and unit

    def value(self, benchmark: str, what: str, column: str = "median") -> float | None:
        """One number; None where it was not measured, as of a peer that is not installed."""
        found = (row.get(column) for row in self.rows if (row["benchmark"], row["what"]) == (benchmark, what))
        return next(found, None)

    def save(self) -> Path:
        path = FOLDER / f"{self.about['Date'].replace(' ', '-').replace(':', '')}.json"
        lines = ",\n".join(json.dumps(row) for row in self.rows)
        path.write_text(f'{json.dumps(self.about, indent=1)[:-2]},\n "rows": [\n{lines}\n]}}\n', encoding="utf-8")
        return path


def load() -> list[Result]:
    """Every committed result, the newest first."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"), reverse=True)]
    return [Result(about, rows) for about in files if (rows := about.pop("rows"))]
