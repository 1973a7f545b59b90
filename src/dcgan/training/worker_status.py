"""The status file of a training in a process of its own, see `worker`: how far the training is, or why it ended."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from dcgan.files import read_json, write_json
from dcgan.training.callbacks import EndEvent, StartEvent

Phase = Literal["loading", "training", "ended", "failed"]


@dataclass(frozen=True)
class WorkerStatus:
    """What a training process last reported.

    Attributes:
        phase: `loading` until the data and the networks are ready, then `training`, then `ended` or `failed`.
        detail: the reason why it ended (see `EndEvent`), or the error with which it failed.
    """

    phase: Phase
    detail: str = ""


def read_worker_status(path: Path) -> WorkerStatus:
    """Return what a training process last reported.

    Raises:
        UserError: the file is missing or damaged.
    """
    content = read_json(path)
    return WorkerStatus(content.get("phase", "failed"), str(content.get("detail", "")))


class StatusFile:
    """A callback that writes the phase of a training into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, status: WorkerStatus) -> None:
        """Replace the file."""
        write_json(self._path, asdict(status))

    def on_start(self, event: StartEvent) -> None:
        """Report that training begins."""
        self.write(WorkerStatus("training"))

    def on_end(self, event: EndEvent) -> None:
        """Report why training has ended. An error is reported where it is caught."""
        if event.reason != "failed":
            self.write(WorkerStatus("ended", event.reason))
