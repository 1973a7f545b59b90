"""The runs in a folder, as the studio shows them. Damaged files never raise an error: the run is shown as broken."""

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.models import shipped as shipped_module
from dcgan.run.folder import RunFolder, open_run
from dcgan.run.lock import lock_holder
from dcgan.run.log import LogEntry

Item = TypeVar("Item")
GRID_NAME = re.compile(r"\d{8,18}\.png")
"""The name of a snapshot's grid: the images seen."""
MAX_RUNS, MAX_POINTS, MAX_GRIDS, MAX_EVENTS = 500, 400, 400, 50
"""How many of each a page shows at most, so that it stays fast however long a run was."""
MAX_LOG_BYTES = 2**26
MAX_MESSAGE_CHARS, MAX_NAME_CHARS = 300, 80
"""How much of an error, and of a name that was asked for, a page shows."""
SHOWN_EVENTS = ("health", "measured", "recovery")
"""Events of the metrics log that the page of a run shows."""


class NotFoundError(UserError):
    """There is no such run, picture or model."""


@dataclass(frozen=True)
class RunStore:
    """A folder of runs."""

    path: Path

    def names(self) -> list[str]:
        """Return the names of all runs, broken ones included, the newest first."""
        if not self.path.is_dir():
            return []
        runs = [path for path in self.path.iterdir() if self._is_run(path)]
        return [path.name for path in sorted(runs, key=_modification_time, reverse=True)[:MAX_RUNS]]

    def _is_run(self, path: Path) -> bool:
        try:
            # A symbolic link may lead anywhere: only what is really in this folder is shown.
            is_inside = path.is_dir() and path.resolve().parent == self.path.resolve()
            is_hidden = path.name.startswith(".")
            return is_inside and not is_hidden and any((path / name).exists() for name in ("config.json", "samples"))
        except OSError:
            return False

    def run(self, name: str) -> RunFolder:
        """Return the folder of a run.

        Raises:
            NotFoundError: no run has this name.
        """
        if name not in self.names():
            raise NotFoundError(f"there is no run {printable(name)[:MAX_NAME_CHARS]!r}")
        return RunFolder(self.path / name)

    def shipped_names(self) -> list[str]:
        """Return the names of the models that come with the package, without those that a run has too."""
        run_names = self.names()
        return [name for name in shipped_module.SHIPPED_NAMES if name not in run_names]

    def model_folder(self, name: str) -> Path:
        """Return the folder of a run, or of a model that comes with the package.

        Raises:
            NotFoundError: neither has this name.
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
        try:
            return {"name": printable(name), **_summary(RunFolder(self.path / name))}
        except (UserError, OSError, ValueError, LookupError, TypeError) as error:
            return {"name": printable(name), **self._broken(error)}

    def details(self, name: str) -> dict[str, Any]:
        """Return all that the page of a run shows.

        Raises:
            NotFoundError: no run has this name.
        """
        folder, summary = self.run(name), self.summary(name)
        empty: dict[str, Any] = {"lines": [], "events": [], "samples": []}
        if summary["state"] == "broken":
            return summary | empty
        try:
            return summary | {"scores": folder.score_kind(), **_history(folder)}
        except (UserError, OSError) as error:
            return summary | self._broken(error) | empty

    def _broken(self, error: Exception) -> dict[str, str]:
        # The page does not show in which folder of this machine the runs are.
        problem = printable(str(error).replace(f"{self.path}/", ""))[:MAX_MESSAGE_CHARS]
        return {"state": "broken", "problem": problem}


def _modification_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _summary(folder: RunFolder) -> dict[str, Any]:
    config = open_run(folder.path).config()
    grids, measurements = _grid_names(folder), _measurements(folder)
    last, planned_images = measurements[-1] if measurements else None, _planned_images(folder)
    is_done = planned_images is not None and last is not None and last["images_seen"] >= planned_images
    state = "running" if lock_holder(folder.path) else "done" if is_done else "stopped"
    return {
        "state": state,
        "preset": Path(config.preset).stem,
        "data": printable(config.data),
        "loss": config.loss,
        "preview": grids[-1] if grids else None,
        "has_model": (folder.model / "model.safetensors").is_file(),
        "planned": planned_images,
        "last": last,
        "left": _seconds_left(planned_images, last) if state == "running" else None,
    }


def _planned_images(folder: RunFolder) -> int | None:
    """Return how many images the run trains on in all, as its checkpoint says."""
    path = folder.checkpoint / "state.json"
    planned = read_json(path).get("planned") if path.is_file() else None
    return int(planned) if isinstance(planned, int | float) and math.isfinite(planned) else None


def _seconds_left(planned_images: int | None, last: LogEntry | None) -> float | None:
    if planned_images is None or last is None or not last["images_seen"] or last.get("seconds") is None:
        return None
    seconds_left: float = (planned_images - last["images_seen"]) * last["seconds"] / last["images_seen"]
    return max(0.0, seconds_left)


def _grid_names(folder: RunFolder) -> list[str]:
    """Return the file names of a run's grids in the order of the images seen."""
    if not folder.samples.is_dir():
        return []
    names = [path.name for path in folder.samples.iterdir() if GRID_NAME.fullmatch(path.name)]
    return sorted(names, key=lambda name: int(name.removesuffix(".png")))


def _measurements(folder: RunFolder) -> list[LogEntry]:
    path = folder.log.path
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        raise UserError(f"{path.name} is larger than {MAX_LOG_BYTES >> 20} MiB")
    return list(folder.log.measurements())


def _history(folder: RunFolder) -> dict[str, Any]:
    """Return a run's measurements and grids, at most so many of each, and its latest events."""
    events = [event for event in folder.log.events() if event["event"] in SHOWN_EVENTS]
    return {
        "lines": thin_out(_measurements(folder), MAX_POINTS),
        "events": events[-MAX_EVENTS:],
        "samples": thin_out(_grid_names(folder), MAX_GRIDS),
    }


def thin_out(items: list[Item], max_count: int) -> list[Item]:
    """Return every k-th item and the last one, at most `max_count` (2 or more) in all."""
    if len(items) <= max_count:
        return items
    step = math.ceil(len(items) / (max_count - 1))
    return [*itertools.islice(items, 0, len(items) - 1, step), items[-1]]
