"""Results of a benchmark that consists of many runs, in one JSON file: a stored run is not done again."""

import json
from pathlib import Path
from typing import Any

Runs = dict[str, dict[str, Any]]
"""What was measured in each run, by the name of the run."""


def read_runs(path: Path) -> Runs:
    """Return the stored runs."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def store_run(path: Path, name: str, run: dict[str, Any]) -> None:
    """Store one more run. The file is read again first, since another process may have stored runs meanwhile."""
    path.write_text(json.dumps(read_runs(path) | {name: run}, indent=1) + "\n", encoding="utf-8")
