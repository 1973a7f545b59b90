"""Trainings in processes of their own: they go on when the page is closed or the studio ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.presets import PRESETS
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_holder

MAX_TRAININGS = 2
"""How many trainings of one studio run at the same time."""
OUTPUT_FOLDER = ".studio"
"""The folder, beside the runs, for what the trainings print."""
STOPPED_STATUSES = (0, 130, 143)
"""Exit statuses of a training that has finished, or that was stopped by Ctrl-C or SIGTERM."""
MAX_MESSAGE_CHARS = 300
MAX_NAME_CHARS = 80
MAX_DATA_CHARS = 40
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
        out = self.runs / name
        self._spawn(name, ["train", "--preset", preset, f"--data={data}", f"--minutes={minutes}", f"--out={out}"])
        return name

    def resume(self, folder: RunFolder, minutes: float) -> None:
        """Resume a run until it has trained for this many minutes, counted from its start.

        Raises:
            UserError: it is running.
            BusyError: `MAX_TRAININGS` are running.
        """
        if lock_holder(folder.path) or self._is_running(folder.path.name):
            raise UserError(f"{printable(folder.path.name)} is running already")
        self._spawn(folder.path.name, ["resume", str(folder.path), f"--minutes={minutes}"])

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
        """Return the last printed line of each training that this studio started and that failed, by run name."""
        messages = {name: self._failure_message(name) for name in list(self.processes)}
        return {name: message for name, message in messages.items() if message}

    def _failure_message(self, name: str) -> str | None:
        status = self.processes[name].poll()
        if status is None or status in STOPPED_STATUSES:
            return None
        lines = self._output_path(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return printable(lines[-1])[:MAX_MESSAGE_CHARS] if lines else f"it ended with status {status}"

    def _is_running(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def _output_path(self, name: str) -> Path:
        return self.runs / OUTPUT_FOLDER / f"{name}.log"

    def _free_name(self, preset: str, data: str) -> str:
        stem = f"{preset}-{re.sub(r'[^a-zA-Z0-9_-]+', '_', Path(data).stem)[:MAX_DATA_CHARS]}"
        names = (f"{stem}-{number}" for number in range(1, MAX_RUN_NUMBER))
        return next(name for name in names if name not in self.processes and not (self.runs / name).exists())

    def _spawn(self, name: str, arguments: list[str]) -> None:
        if sum(map(self._is_running, self.processes)) >= MAX_TRAININGS:
            raise BusyError(f"{MAX_TRAININGS} trainings are running: stop one first")
        self._output_path(name).parent.mkdir(parents=True, exist_ok=True)
        with self._output_path(name).open("wb") as output:
            # A new session: Ctrl-C in the studio's terminal, and the end of the studio, do not reach the training.
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dcgan", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
