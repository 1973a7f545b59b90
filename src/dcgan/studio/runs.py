"""The runs in a folder, as the studio shows them. Whatever lies there, reading it never fails: it is broken then."""

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.models import shipped as shipped_module
from dcgan.run import lock
from dcgan.run.folder import RunFolder, open_run
from dcgan.run.log import LogEntry

GRID = re.compile(r"\d{8,18}\.png")
MOST_RUNS, MOST_POINTS, MOST_GRIDS = 500, 400, 400
"""Of what is shown: a page must stay quick, however long a run was."""
LARGEST_LOG = 2**26


class NotFoundError(UserError):
    """There is no such run, picture or model."""


@dataclass(frozen=True)
class RunStore:
    """A folder of runs."""

    path: Path

    def names(self) -> list[str]:
        """Of every run, broken or not, the newest first."""
        if not self.path.is_dir():
            return []
        found = [p for p in self.path.iterdir() if self._is_run(p)]
        return [p.name for p in sorted(found, key=_changed, reverse=True)[:MOST_RUNS]]

    def _is_run(self, path: Path) -> bool:
        # a link may lead anywhere: only what lies in this folder is shown
        try:
            is_ours = path.is_dir() and path.resolve().parent == self.path.resolve()
            return (
                is_ours
                and not path.name.startswith(".")
                and any((path / n).exists() for n in ("config.json", "samples"))
            )
        except OSError:
            return False

    def run(self, name: str) -> RunFolder:
        """A run by its name.

        Raises:
            NotThere: the name is that of no folder in here.
        """
        if name not in self.names():
            raise NotFoundError(f"there is no run {printable(name)[:80]!r}")
        return RunFolder(self.path / name)

    def shipped(self) -> list[str]:
        """The models that come with the package; a run of the same name goes first."""
        return [name for name in shipped_module.SHIPPED_NAMES if name not in self.names()]

    def model(self, name: str) -> Path:
        """The folder of a run, or of a model that comes with the package.

        Raises:
            NotThere: the name is that of neither.
        """
        return shipped_module.folder_of_shipped(name) if name in self.shipped() else self.run(name).path

    def summary(self, name: str) -> dict[str, Any]:
        """What the list of runs shows of one."""
        folder = RunFolder(self.path / name)
        try:
            return {"name": printable(name), **_summary(folder)}
        except (UserError, OSError, ValueError, LookupError, TypeError) as error:
            return {"name": printable(name), "state": "broken", "problem": self._said(error)}

    def detail(self, name: str) -> dict[str, Any]:
        """All that the page of one run shows."""
        folder = self.run(name)
        about = self.summary(name)
        if about["state"] == "broken":
            return {**about, "lines": [], "events": [], "samples": []}
        try:
            return about | {"scores": scores_of(folder.config()), **history(folder)}
        except (UserError, OSError) as error:
            nothing: dict[str, Any] = {"lines": [], "events": [], "samples": []}
            return {**about, "state": "broken", "problem": self._said(error), **nothing}

    def _said(self, error: Exception) -> str:
        """An error's text without where the folder lies."""
        return printable(str(error).replace(f"{self.path}/", ""))[:300]

    def grid(self, name: str, file: str) -> Path:
        """The path of one grid of samples.

        Raises:
            NotThere: there is none of that name.
        """
        path = self.run(name).samples / file
        if not GRID.fullmatch(file) or path.is_symlink() or not path.is_file():
            raise NotFoundError(f"there is no picture {printable(file)[:80]!r}")
        return path


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _summary(folder: RunFolder) -> dict[str, Any]:
    config = open_run(folder.path).config()
    grids = grid_names(folder)
    last = next(iter(reversed(_entries(folder))), None)
    planned = _planned(folder)
    is_done = planned is not None and last is not None and last["images_seen"] >= planned
    state = "running" if lock.lock_holder(folder.path) else "done" if is_done else "stopped"
    return {
        "state": state,
        "preset": Path(config.preset).stem,
        "data": printable(config.data),
        "loss": config.loss,
        "preview": grids[-1] if grids else None,
        "has_model": (folder.model / "model.safetensors").is_file(),
        "planned": planned,
        "last": last,
        "left": _seconds_left(planned, last) if state == "running" else None,
    }


def _planned(folder: RunFolder) -> int | None:
    """How many images the run goes on to, as its last state says."""
    if not (folder.checkpoint / "state.json").is_file():
        return None
    planned = read_json(folder.checkpoint / "state.json").get("planned")
    return int(planned) if isinstance(planned, int | float) and math.isfinite(planned) else None


def _seconds_left(planned: int | None, last: LogEntry | None) -> float | None:
    if planned is None or last is None or not last["images_seen"] or last.get("seconds") is None:
        return None
    left: float = max(0.0, (planned - last["images_seen"]) * last["seconds"] / last["images_seen"])
    return left


def grid_names(folder: RunFolder) -> list[str]:
    """The grids of samples in order of time."""
    if not folder.samples.is_dir():
        return []
    return sorted((p.name for p in folder.samples.iterdir() if GRID.fullmatch(p.name)), key=lambda n: int(n[:-4]))


def _entries(folder: RunFolder) -> list[LogEntry]:
    if folder.log.path.exists() and folder.log.path.stat().st_size > LARGEST_LOG:
        raise UserError(f"{folder.log.path.name} is larger than {LARGEST_LOG >> 20} MiB")
    return [line for line in folder.log.entries() if "event" not in line]


def history(folder: RunFolder) -> dict[str, Any]:
    """Lines of the log, thinned; what happened; and the grids, thinned."""
    lines, grids = _entries(folder), grid_names(folder)
    said = [event for event in folder.log.events() if event["event"] in ("health", "measured", "recovery")]
    return {"lines": thinned(lines, MOST_POINTS), "events": said[-50:], "samples": thinned(grids, MOST_GRIDS)}


def thinned(values: list[Any], most: int) -> list[Any]:
    """Every k-th value and the last one, at most `most`."""
    if len(values) <= most:
        return values
    kept = itertools.islice(values, 0, len(values) - 1, math.ceil(len(values) / (most - 1)))
    return [*kept, values[-1]]


def scores_of(config: Config) -> str:
    """What d_real and d_fake of the log are: `probability`, `relative` or `raw`."""
    if config.loss in ("minimax", "non-saturating"):
        return "probability"
    return "relative" if config.loss == "relativistic" else "raw"
