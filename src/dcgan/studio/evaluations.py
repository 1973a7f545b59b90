"""What `dcgan evaluate` found of a run, as the pages Compare and Watch show it."""

import math
from typing import Any, TypeGuard

from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.metrics.results import METRIC_TITLES
from dcgan.reporting.series import KERNEL_DISTANCE, Measurements
from dcgan.run.folder import RunFolder

CONTEXT_NAMES = ("features", "split", "n", "reference")
"""What figures must have in common to be compared."""


def read_evaluation(folder: RunFolder) -> dict[str, Any]:
    """Return the metrics of a run with their 95% intervals and floors; without any, if it was not evaluated.

    Returns:
        `context`: features, split, numbers of samples and of real pictures; `metrics`: a list of {key, title, mean,
        low, high, floor}. What is no finite number is left out.
    """
    try:
        content = read_json(folder.evaluation / "figures.json")
    except UserError:
        return {"context": {}, "metrics": []}
    metrics = content.get("metrics")
    entries = metrics.items() if isinstance(metrics, dict) else ()
    rows = [row for key, value in entries if (row := _row(str(key), value)) is not None]
    context = {name: content[name] for name in CONTEXT_NAMES if isinstance(content.get(name), str | int)}
    return {"context": context, "metrics": rows}


def read_floor(folder: RunFolder, measured: Measurements) -> float | None:
    """Return the distance of real pictures from other real ones that the distances of a training can be compared with.

    `dcgan evaluate` has measured it, with the same features. The Fréchet distance depends on the number of pictures
    too, so the part of the data and the number of samples must be those of the training. Returns None if there is no
    such distance.
    """
    evaluation, last = read_evaluation(folder), measured.entries[-1]
    names = ("features",) if measured.metric == KERNEL_DISTANCE else ("features", "split", "n")
    if any(last.get(name) is None or evaluation["context"].get(name) != last[name] for name in names):
        return None
    return next((row["floor"] for row in evaluation["metrics"] if row["key"] == measured.metric), None)


def _row(key: str, value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict) or not all(_is_number(value.get(name)) for name in ("mean", "low", "high")):
        return None
    floor = value.get("real_against_real")
    return {
        "key": printable(key),
        "title": METRIC_TITLES.get(key, printable(key)),
        **{name: float(value[name]) for name in ("mean", "low", "high")},
        "floor": float(floor) if _is_number(floor) else None,
    }


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
