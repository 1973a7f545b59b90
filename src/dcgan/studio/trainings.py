"""Trainings in processes of their own: they go on when the page is closed or the studio ends."""

import os
import re
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.presets import PRESETS
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_holder
from dcgan.studio.runs import MAX_MESSAGE_CHARS, MAX_NAME_CHARS
from dcgan.training.worker import read_worker_status, start_worker

MAX_TRAININGS = 2
"""How many trainings of one studio run at the same time."""
OUTPUT_FOLDER = ".studio"
"""The folder, beside the runs, for what the trainings print and report."""
STOPPED_STATUSES = (0, 130, 143)
"""Exit statuses of a training that has finished, or that was stopped by Ctrl-C or SIGTERM."""
MAX_DATA_CHARS = 40
"""How much of the name of the data a run's name contains."""
MAX_RUN_NUMBER = 1_000_000


class BusyError(UserError):
    """As much is already running or waiting as this machine should do at the same time."""


@dataclass
class Trainings:
    """Starts and stops trainings in a folder of runs.

    Attributes:
        runs: the folder.
        processes: the trainings that this studio started, by the name of the run. Others are known by their lock.
    """

    runs: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, preset: str, data: str, minutes: float) -> str:
        """Start a training and return the name of its run.

        Raises:
            UserError: there is no such preset.
            BusyError: `MAX_TRAININGS` are running.
        """
        if preset not in PRESETS:
            raise UserError(f"there is no preset {printable(preset)[:MAX_NAME_CHARS]!r}")
        name = self._free_name(preset, data)
        arguments = {"preset": preset, "data": data, "minutes": minutes, "out": str(self.runs / name)}
        self._spawn(name, "train", arguments)
        return name

    def resume(self, folder: RunFolder, minutes: float) -> None:
        """Resume a run until it has trained for this many minutes, counted from its start.

        Raises:
            UserError: it is running.
            BusyError: `MAX_TRAININGS` are running.
        """
        if lock_holder(folder.path) or self._is_running(folder.path.name):
            raise UserError(f"{printable(folder.path.name)} is running already")
        self._spawn(folder.path.name, "resume", {"path": str(folder.path), "minutes": minutes})

    def stop(self, folder: RunFolder) -> None:
        """Ask a training to save its state and stop, so that it can be resumed.

        Raises:
            UserError: it is not running, or it runs on another computer.
        """
        name, holder = printable(folder.path.name), lock_holder(folder.path)
        if holder is None:
            raise UserError(f"{name} is not running")
        if holder.host != socket.gethostname():
            raise UserError(f"{holder} trains {name}: stop it on that computer")
        os.kill(holder.process_id, signal.SIGTERM)

    def failure_messages(self) -> dict[str, str]:
        """Return the error of each training that this studio started and that failed, by the name of its run."""
        messages = {name: self._failure_message(name) for name in list(self.processes)}
        return {name: message for name, message in messages.items() if message}

    def _failure_message(self, name: str) -> str | None:
        status = self.processes[name].poll()
        if status is None or status in STOPPED_STATUSES:
            return None
        try:
            report = read_worker_status(self._status_path(name))
        except UserError:
            report = None
        if report is None or report.phase != "failed":  # the process was killed before it could report
            return f"it ended with status {status}"
        return printable(" ".join(report.detail.split()))[:MAX_MESSAGE_CHARS]

    def _is_running(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def _output_path(self, name: str) -> Path:
        return self.runs / OUTPUT_FOLDER / f"{name}.log"

    def _status_path(self, name: str) -> Path:
        return self.runs / OUTPUT_FOLDER / f"{name}.json"

    def _free_name(self, preset: str, data: str) -> str:
        stem = f"{preset}-{re.sub(r'[^a-zA-Z0-9_-]+', '_', Path(data).stem)[:MAX_DATA_CHARS]}"
        names = (f"{stem}-{number}" for number in range(1, MAX_RUN_NUMBER))
        return next(name for name in names if name not in self.processes and not (self.runs / name).exists())

    def _spawn(self, name: str, action: Literal["train", "resume"], arguments: dict[str, Any]) -> None:
        if sum(map(self._is_running, self.processes)) >= MAX_TRAININGS:
            raise BusyError(f"{MAX_TRAININGS} trainings are running: stop one first")
        self._output_path(name).parent.mkdir(parents=True, exist_ok=True)
        with self._output_path(name).open("wb") as output:
            # A new session: Ctrl-C in the studio's terminal, and the end of the studio, do not reach the training.
            self.processes[name] = start_worker(
                action, arguments, self._status_path(name), output=output, new_session=True
            )
