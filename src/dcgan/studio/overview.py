"""What pages show of runs and trainings together: a run's files say how far it is, its process whether it works."""

from pathlib import Path
from typing import Any

from dcgan.files import printable
from dcgan.studio.runs import MAX_NAME_CHARS, NotFoundError, RunStore
from dcgan.studio.trainings import Training, Trainings


def list_runs(store: RunStore, trainings: Trainings) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the summaries of all runs, the newest first, and why trainings failed, by the name of the run.

    A training that has no folder yet, because it loads its data, comes first.
    """
    started, names = trainings.trainings(), store.names()
    loading = [_describe(training) for name, training in started.items() if training.is_alive and name not in names]
    runs = [_with_training(store.summary(name), started.get(name)) for name in names]
    failures = {printable(name): training.message for name, training in started.items() if training.message}
    return loading + runs, failures


def show_run(store: RunStore, trainings: Trainings, name: str) -> dict[str, Any]:
    """Return all that the page of a run shows; also of a training that has no folder yet or failed before it had one.

    Raises:
        NotFoundError: there is neither a run nor a training of this name.
    """
    training = trainings.training(name)
    if store.has(name):
        return _with_training(store.details(name), training)
    if training is None or training.phase == "ended":
        raise NotFoundError(f"there is no run {printable(name)[:MAX_NAME_CHARS]!r}")
    return _describe(training) | {"charts": [], "events": [], "samples": []}


def _with_training(run: dict[str, Any], training: Training | None) -> dict[str, Any]:
    """Return what is shown of a run, with what its process says: it is loading, or has failed."""
    if training is None or run["state"] == "broken":
        return run
    if training.phase == "loading" and training.is_alive:
        return run | {"state": "loading", "left": None}
    has_failed = training.phase == "failed" and run["state"] != "running"
    return run | {"failure": training.message} if has_failed else run


def _describe(training: Training) -> dict[str, Any]:
    """Return what is shown of a training without a run folder."""
    preset, data = training.request.get("preset"), str(training.request.get("data", ""))
    shown: dict[str, Any] = {
        "name": printable(training.name),
        "state": "failed" if training.phase == "failed" else "loading",
        "preset": preset,
        "data": printable(Path(data).name),
        "preview": None,
        "has_model": False,
        "planned": None,
        "last": None,
        "left": None,
    }
    return shown | ({"failure": training.message} if training.message else {})
