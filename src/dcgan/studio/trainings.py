"""Trainings in processes of their own: they live on when the page is closed or the studio ends."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.presets import PRESETS
from dcgan.run import lock
from dcgan.run.folder import RunFolder

MOST_AT_ONCE = 2
LOGS = ".studio"


class BusyError(UserError):
    """As much is going on as this machine should do at once."""


@dataclass
class Trainings:
    """Starts and stops trainings in a folder of runs.

    Attributes:
        runs: the folder.
        children: those that this studio started; others are known by their runs' locks.
    """

    runs: Path
    children: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, preset: str, data: str, minutes: float) -> str:
        """Start a training and return the run's name.

        Raises:
            UserError: there is no such preset.
            Busy: enough are running.
        """
        if preset not in PRESETS:
            raise UserError(f"there is no preset {printable(preset)[:80]!r}")
        name = self._free_name(preset, data)
        words = ["train", "--preset", preset, f"--data={data}", f"--minutes={minutes}", f"--out={self.runs / name}"]
        self._spawn(name, words)
        return name

    def resume(self, folder: RunFolder, minutes: float) -> None:
        """Go on with a run for so many minutes of training, counted from its start.

        Raises:
            UserError: it is running.
            Busy: enough are running.
        """
        if lock.lock_holder(folder.path) or self._lives(folder.path.name):
            raise UserError(f"{printable(folder.path.name)} is running already")
        self._spawn(folder.path.name, ["resume", str(folder.path), f"--minutes={minutes}"])

    def stop(self, folder: RunFolder) -> None:
        """Ask a training to stop where it is whole: it saves, so that it can go on.

        Raises:
            UserError: it is not running.
        """
        number = lock.lock_holder(folder.path)
        if number is None:
            raise UserError(f"{printable(folder.path.name)} is not running")
        os.kill(number.process_id, signal.SIGTERM)

    def failure(self, name: str) -> str | None:
        """What a training that this studio started said last, if it ended badly."""
        child = self.children.get(name)
        if child is None or child.poll() in (None, 0, 130, 143):
            return None
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return printable(lines[-1])[:300] if lines else f"it ended with status {child.returncode}"

    def _lives(self, name: str) -> bool:
        return name in self.children and self.children[name].poll() is None

    def _log(self, name: str) -> Path:
        return self.runs / LOGS / f"{name}.log"

    def _free_name(self, preset: str, data: str) -> str:
        stem = f"{preset}-{re.sub(r'[^a-zA-Z0-9_-]+', '_', Path(data).stem)[:40]}"
        numbers = range(1, 1_000_000)
        return next(f"{stem}-{i}" for i in numbers if not self._is_taken(f"{stem}-{i}"))

    def _is_taken(self, name: str) -> bool:
        return name in self.children or (self.runs / name).exists()

    def _spawn(self, name: str, words: list[str]) -> None:
        if sum(map(self._lives, self.children)) >= MOST_AT_ONCE:
            raise BusyError(f"{MOST_AT_ONCE} trainings are running: stop one first")
        (self.runs / LOGS).mkdir(parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            # A session of its own: Ctrl-C in the studio's terminal, and its end, are no business of the training.
            self.children[name] = subprocess.Popen(
                [sys.executable, "-m", "dcgan", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
