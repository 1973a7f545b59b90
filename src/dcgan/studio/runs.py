"""The runs in a folder, as the studio shows them. Damaged files never raise an error: the run is shown as broken.

Pages ask again and again. What was read of a run is kept until one of its files has changed. Nothing is written.
"""

import itertools
import math
import os
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.models import shipped as shipped_module
from dcgan.reporting.series import (
    ChartData,
    Reference,
    comparable_measurements,
    loss_chart,
    quality_chart,
    score_chart,
)
from dcgan.run.folder import GRID_NAME, RunFolder, open_run
from dcgan.run.lock import HOLDER_NAME, LockHolder, lock_holder
from dcgan.run.log import LogEntry
from dcgan.studio.allowed_paths import check_run_files, hide_paths
from dcgan.studio.evaluations import read_floor
from dcgan.studio.metrics_cache import LogContent, MetricsCache

Item = TypeVar("Item")
MAX_RUNS, MAX_GRIDS = 500, 400
"""How many of each a page shows at most, so that it stays fast however long a run was."""
MAX_MESSAGE_CHARS, MAX_NAME_CHARS = 300, 80
"""How much of an error, and of a name that was asked for, a page shows."""
SIGNIFICANT_DIGITS = 6
"""Digits of a value of a chart."""
NOTE_NAME, MAX_NOTE_CHARS = "note.txt", 2_000
"""The file of a run with what somebody has noted about it, and how much of it is shown."""
FLOOR_NAME = "floor: real against real"
"""The name of the line below which no generator gets."""
WATCHED_FILES = (
    *("", "config.json", "metrics.jsonl", NOTE_NAME, "samples", "model", "checkpoint", "checkpoint/state.json"),
    *("model/config.json", "model/model.safetensors", "evaluation/figures.json"),
)
"""Files and folders of a run that tell by their times and sizes whether what is shown of it has changed."""


class NotFoundError(UserError):
    """There is no such run, picture or model."""


@dataclass(frozen=True)
class _Reading:
    """What was read of a run, and the version of its files."""

    version: tuple[Any, ...]
    summary: dict[str, Any]
    details: dict[str, Any]


class RunStore:
    """A folder of runs.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._logs = MetricsCache()
        self._readings: OrderedDict[str, _Reading] = OrderedDict()
        self._readings_lock, self._probe_lock = threading.Lock(), threading.Lock()

    def names(self) -> list[str]:
        """Return the names of all runs, broken ones included, the newest first."""
        if not self.path.is_dir():
            return []
        runs = [path for path in self.path.iterdir() if self._is_run(path)]
        return [path.name for path in sorted(runs, key=_modification_time, reverse=True)[:MAX_RUNS]]

    def has(self, name: str) -> bool:
        """Return whether a run has this name."""
        try:
            # The name is compared with those in the folder: `..` or a path never gets to the file system.
            return name in os.listdir(self.path) and self._is_run(self.path / name)
        except OSError:
            return False

    def _is_run(self, path: Path) -> bool:
        try:
            # A symbolic link may lead anywhere: only what is really in this folder is shown.
            is_inside = path.is_dir() and not path.is_symlink()
            is_hidden = path.name.startswith(".")
            return is_inside and not is_hidden and any((path / name).exists() for name in ("config.json", "samples"))
        except OSError:
            return False

    def run(self, name: str) -> RunFolder:
        """Return the folder of a run, whose files may be read.

        Raises:
            NotFoundError: no run has this name.
            UserError: its files lead out of the folder of runs.
        """
        if not self.has(name):
            raise NotFoundError(f"there is no run {printable(name)[:MAX_NAME_CHARS]!r}")
        check_run_files(self.path, self.path / name)
        return RunFolder(self.path / name)

    def shipped_names(self) -> list[str]:
        """Return the names of the models that come with the package, without those that a run has too."""
        return [name for name in shipped_module.SHIPPED_NAMES if not self.has(name)]

    def model_folder(self, name: str) -> Path:
        """Return the folder of a run, or of a model that comes with the package.

        Raises:
            NotFoundError: neither has this name.
            UserError: the run's files lead out of the folder of runs.
        """
        return shipped_module.shipped_folder(name) if name in self.shipped_names() else self.run(name).path

    def grid_path(self, name: str, file_name: str) -> Path:
        """Return the path of one grid of a run.

        Raises:
            NotFoundError: there is no grid of this name.
        """
        path = self.run(name).samples / file_name
        if not GRID_NAME.fullmatch(file_name) or path.is_symlink() or not path.is_file():
            raise NotFoundError(f"there is no picture {printable(file_name)[:MAX_NAME_CHARS]!r}")
        return path

    def summary(self, name: str) -> dict[str, Any]:
        """Return what the list of runs shows of a run."""
        return dict(self._read(name).summary)

    def details(self, name: str) -> dict[str, Any]:
        """Return all that the page of a run shows.

        Raises:
            NotFoundError: no run has this name.
        """
        if not self.has(name):
            raise NotFoundError(f"there is no run {printable(name)[:MAX_NAME_CHARS]!r}")
        return dict(self._read(name).details)

    def lock_holder(self, name: str) -> LockHolder | None:
        """Return the process that trains a run, or None if none does.

        The lock is only tried where a process has left its name: two readers who try it at the same time take each
        other for a training, and a training that starts would wait for a reader.
        """
        folder = self.path / name
        if not os.path.lexists(folder / HOLDER_NAME):
            return None
        with self._probe_lock:
            return lock_holder(folder)

    def _read(self, name: str) -> _Reading:
        folder = RunFolder(self.path / name)
        is_locked = self.lock_holder(name) is not None
        version = (is_locked, *(_file_version(f"{folder.path}{os.sep}{file}") for file in WATCHED_FILES))
        with self._readings_lock:
            reading = self._readings.get(name)
        if reading is None or reading.version != version:
            reading = self._read_anew(folder, is_locked, version)
            with self._readings_lock:
                self._readings[name] = reading
                self._readings.move_to_end(name)
                while len(self._readings) > MAX_RUNS:
                    self._readings.popitem(last=False)
        return reading

    def _read_anew(self, folder: RunFolder, is_locked: bool, version: tuple[Any, ...]) -> _Reading:
        name = {"name": printable(folder.path.name)}
        empty: dict[str, Any] = {"charts": [], "events": [], "samples": []}
        try:
            check_run_files(self.path, folder.path)
            log, grids = self._logs.read(folder.log.path), _grid_names(folder)
            summary = name | _summary(folder, is_locked, log, grids)
            summary["data"] = hide_paths(summary["data"], self.path)
            details = {"charts": _charts(folder, log), "events": log.events, "samples": thin_out(grids, MAX_GRIDS)}
        except (UserError, OSError, ValueError, LookupError, TypeError) as error:
            problem = printable(hide_paths(str(error), self.path))[:MAX_MESSAGE_CHARS]
            summary, details = name | {"state": "broken", "problem": problem}, empty
        return _Reading(version, summary, summary | details)


def _file_version(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _modification_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _summary(folder: RunFolder, is_locked: bool, log: LogContent, grids: list[str]) -> dict[str, Any]:
    config = open_run(folder.path).config()
    saved = _saved_progress(folder)
    planned_images, last = saved.get("planned"), _latest(log, saved)
    is_done = planned_images is not None and last is not None and last["images_seen"] >= planned_images
    state = "running" if is_locked else "done" if is_done else "stopped"
    return {
        "state": state,
        "preset": Path(config.preset).stem,
        "data": printable(config.data),
        "loss": config.loss,
        "preview": grids[-1] if grids else None,
        "grid_version": str((folder.path / "config.json").stat().st_mtime_ns),  # another run of this name has another
        "has_model": (folder.model / "model.safetensors").is_file(),
        "planned": planned_images,
        "last": last,
        "left": _seconds_left(planned_images, config.minutes, last) if state == "running" else None,
        "note": _read_note(folder),
    }


def _read_note(folder: RunFolder) -> str:
    try:
        with (folder.path / NOTE_NAME).open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_NOTE_CHARS).strip()
    except FileNotFoundError:
        return ""


def _saved_progress(folder: RunFolder) -> dict[str, int | float]:
    """Return how far the checkpoint is, and how many images are planned: the numbers that it has."""
    path = folder.checkpoint / "state.json"
    content = read_json(path) if path.is_file() else {}
    names = ("step", "images_seen", "seconds", "planned")
    numbers = {name: content.get(name) for name in names}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) and math.isfinite(value)}


def _latest(log: LogContent, saved: dict[str, int | float]) -> LogEntry | None:
    """Return the last measurement. A checkpoint that was saved later says how far the run is since then."""
    last = log.measurements[-1] if log.measurements else None
    position: LogEntry = {name: saved[name] for name in ("step", "images_seen", "seconds") if name in saved}
    if len(position) < 3 or not position["step"] or (last is not None and last["step"] >= position["step"]):
        return last
    return {**(last or {}), **position}


def _seconds_left(planned_images: int | float | None, minutes: float | None, last: LogEntry | None) -> float | None:
    """Return how long a run will still train. The checkpoints know a plan in images late if it was made in minutes."""
    if last is None or not last["images_seen"] or last.get("seconds") is None:
        return None
    seconds, images_seen = float(last["seconds"]), float(last["images_seen"])
    if planned_images is not None:
        return max(0.0, (planned_images - images_seen) * seconds / images_seen)
    return None if minutes is None else max(0.0, 60 * minutes - seconds)


def _grid_names(folder: RunFolder) -> list[str]:
    """Return the file names of a run's grids in the order of the images seen."""
    if not folder.samples.is_dir():
        return []
    names = [name for name in os.listdir(folder.samples) if GRID_NAME.fullmatch(name)]
    return sorted(names, key=lambda name: int(name.removesuffix(".png")))


def _charts(folder: RunFolder, log: LogContent) -> list[dict[str, Any]]:
    """Return the charts that a page draws, as `reporting.series` describes them."""
    kind = folder.score_kind()
    charts = {
        "losses": loss_chart(log.measurements, kind),
        "scores": score_chart(log.measurements, kind),
        "quality": _quality_chart(folder, log),
    }
    return [{"key": key, **_chart_as_json(chart)} for key, chart in charts.items() if chart.curves]


def _quality_chart(folder: RunFolder, log: LogContent) -> ChartData:
    chart, measured = quality_chart(log.events), comparable_measurements(log.events)
    floor = None if measured is None else read_floor(folder, measured)
    return chart if floor is None else replace(chart, reference=Reference(floor, FLOOR_NAME))


def _chart_as_json(chart: ChartData) -> dict[str, Any]:
    return {
        "title": chart.title,
        "curves": [
            {"name": name, "points": [[x, float(f"{y:.{SIGNIFICANT_DIGITS}g}")] for x, y in points]}
            for name, points in chart.curves.items()
        ],
        "reference": asdict(chart.reference) if chart.reference else None,
        "y_limits": chart.y_limits,
    }


def thin_out(items: list[Item], max_count: int) -> list[Item]:
    """Return every k-th item and the last one, at most `max_count` (2 or more) in all."""
    if len(items) <= max_count:
        return items
    step = math.ceil(len(items) / (max_count - 1))
    return [*itertools.islice(items, 0, len(items) - 1, step), items[-1]]
