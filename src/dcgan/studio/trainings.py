"""Trainings in processes of their own: they go on when the page is closed or the studio ends.

A training has a folder `RUNS/.studio/NAME`, from its start on: the status that its process reports, what it prints, and
a lock that the process holds as long as it lives. By these, any studio over the same runs knows every training, also
while it loads its data and has no run folder yet.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from dcgan.config import Config, short_name
from dcgan.data.location import is_named_set
from dcgan.errors import UserError
from dcgan.files import printable, read_json, write_json
from dcgan.presets import DEFAULT_PRESET, PRESETS
from dcgan.run.folder import MAX_RUN_NUMBER, RunFolder
from dcgan.run.lock import LockHolder, lock_holder
from dcgan.studio.allowed_paths import DataRoots, hide_paths
from dcgan.studio.runs import MAX_MESSAGE_CHARS, MAX_NAME_CHARS, NotFoundError, RunStore
from dcgan.system.resources import usable_core_count
from dcgan.training.worker import start_worker
from dcgan.training.worker_status import read_worker_status

MAX_TRAININGS = 2
"""How many trainings run at the same time over the runs of a studio, whoever started them."""
RECORDS_FOLDER = ".studio"
"""The folder, beside the runs, with a folder for each training that a studio started."""
STATUS_NAME, OUTPUT_NAME, REQUEST_NAME = "status.json", "output.log", "request.json"
STOPPED_STATUSES = (0, 130, 143, -signal.SIGINT, -signal.SIGTERM)
"""Exit statuses of a training that has finished, or that was stopped by Ctrl-C or SIGTERM, also before it began."""
STARTUP_S = 30.0
"""How long a process may take to start. Until then, one that has no lock yet counts as running."""
MAX_DATA_CHARS = 40
"""How much of the name of the data a run's name contains."""

Phase = Literal["loading", "training", "ended", "failed"]


class BusyError(UserError):
    """As much is already running or waiting as this machine should do at the same time."""


@dataclass(frozen=True)
class Training:
    """What is known of a training that a studio started.

    Attributes:
        name: the name of its run.
        phase: `loading` and `training` while its process lives, `ended` or `failed` afterwards.
        message: the reason why it failed.
        request: what was asked for: preset and data of a new run, minutes, other settings.
    """

    name: str
    phase: Phase
    message: str
    request: dict[str, Any]

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.phase in ("loading", "training")


class Trainings:
    """Starts and stops the trainings of a folder of runs.

    Attributes:
        processes: the trainings that this studio started, by the name of the run.
    """

    def __init__(self, store: RunStore, data_roots: DataRoots) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._store, self._data_roots = store, data_roots
        self._records = store.path / RECORDS_FOLDER
        self._start_lock, self._probe_lock = threading.Lock(), threading.Lock()

    def start(self, preset: str | None, data: str, minutes: float, settings: Mapping[str, Any] | None = None) -> str:
        """Start a training and return the name of its run. Without a preset the data decide on it.

        Args:
            preset: its name.
            data: as for `--data`.
            minutes: how long it trains.
            settings: other fields of `Config`, instead of those of the preset.

        Raises:
            UserError: there is no such preset, a setting cannot work, or the data may not be read.
            BusyError: `MAX_TRAININGS` are running.
        """
        if preset is not None and preset not in PRESETS:
            raise UserError(f"there is no preset {printable(preset)[:MAX_NAME_CHARS]!r}")
        settings = settings or {}
        Config(**settings)  # refuses what no training can have
        self._data_roots.check(data)
        with self.only_start():
            name = self._reserve_name(preset, data)
            arguments = {"preset": preset, "data": data, "minutes": minutes, **settings}
            self._spawn(name, "train", {**arguments, "out": str(self._store.path / name)})
        return name

    def resume(self, name: str, minutes: float) -> None:
        """Resume a run until it has trained for this many minutes, counted from its start.

        Raises:
            NotFoundError: there is no such run.
            UserError: it is running, has trained for as long already, or its data may not be read.
            BusyError: `MAX_TRAININGS` are running.
        """
        run, shown = self._store.run(name), printable(name)
        for place in filter(None, (run.data_record().path, run.config().data)):  # the training looks in both
            self._data_roots.check(place)
        trained_minutes = _trained_minutes(run)
        if minutes <= trained_minutes:
            raise UserError(
                f"{shown} has trained for {trained_minutes:.1f} minutes already: give more than that, "
                "the minutes count from the run's start"
            )
        with self.only_start():
            if self.is_running(name):
                raise UserError(f"{shown} is running already")
            self._check_not_busy()
            (self._records / name).mkdir(parents=True, exist_ok=True)
            self._spawn(name, "resume", {"path": str(run.path), "minutes": minutes})

    def stop(self, name: str) -> None:
        """Ask a training to save its state and stop. One that still loads ends at once.

        Raises:
            NotFoundError: there is neither a run nor a training of this name.
            UserError: it is not running, or runs on another computer or for another user.
        """
        process = self.processes.get(name)
        if process is not None and process.poll() is None:
            process.terminate()
            return
        training = self.training(name)
        if training is None or self._store.has(name):
            self._store.run(name)
        holder = self._store.lock_holder(name) or self._record_lock_holder(name)
        shown = printable(name)
        if holder is None:
            raise UserError(f"{shown} is not running")
        _signal(holder, shown)

    def dismiss(self, name: str) -> None:
        """Forget a training that failed, so that pages no longer show why.

        Raises:
            NotFoundError: no studio started a training of this name.
            UserError: it is running.
        """
        with self.only_start():
            training = self.training(name)
            if training is None:
                raise NotFoundError(f"no training of the name {printable(name)[:MAX_NAME_CHARS]!r} was started here")
            if training.is_alive:
                raise UserError(f"{printable(name)} is running: stop it first")
            self.forget(name)

    def forget(self, name: str) -> None:
        """Remove what is known of a training that has ended."""
        self.processes.pop(name, None)
        shutil.rmtree(self._records / name, ignore_errors=True)

    def trainings(self) -> dict[str, Training]:
        """Return every training that a studio over these runs started and that was not dismissed, by its name."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._records) if entry.is_dir(follow_symlinks=False))
        except OSError:
            return {}
        trainings = {name: self.training(name) for name in names}
        return {name: training for name, training in trainings.items() if training is not None}

    def training(self, name: str) -> Training | None:
        """Return what is known of a training, or None if no studio over these runs started it."""
        record = self._records / name
        if Path(name).name != name or not (record / STATUS_NAME).is_file():
            return None
        request = _read_or_empty(record / REQUEST_NAME)
        try:
            status = read_worker_status(record / STATUS_NAME)
        except UserError:
            status = None
        phase: Phase = status.phase if status else "failed"
        detail = status.detail if status else "its status cannot be read"
        if phase in ("loading", "training") and not self._is_process_alive(name):
            phase, detail = self._how_it_ended(name)
        message = printable(hide_paths(" ".join(detail.split()), self._store.path))[:MAX_MESSAGE_CHARS]
        return Training(name, phase, message if phase == "failed" else "", request)

    def _how_it_ended(self, name: str) -> tuple[Phase, str]:
        """Return the phase of a process that has ended without a report, and a message."""
        process = self.processes.get(name)
        status = process.poll() if process else None
        if status in STOPPED_STATUSES:
            return "ended", ""
        with_status = "" if status is None else f" with status {status}"
        output = f"{RECORDS_FOLDER}/{name}/{OUTPUT_NAME}"
        return "failed", f"its process ended{with_status} before it could say why: {output} has what it printed"

    def _is_process_alive(self, name: str) -> bool:
        process = self.processes.get(name)
        if process is not None:
            return process.poll() is None
        if self._record_lock_holder(name) is not None:
            return True
        with suppress(OSError):
            status_path = self._records / name / STATUS_NAME
            return time.time() - status_path.stat().st_mtime < STARTUP_S and _is_loading(status_path)
        return False

    def _record_lock_holder(self, name: str) -> LockHolder | None:
        with self._probe_lock:
            return lock_holder(self._records / name)

    def is_running(self, name: str) -> bool:
        """Return whether a run trains, whoever started it."""
        training = self.training(name)
        return (training is not None and training.is_alive) or self._store.lock_holder(name) is not None

    def _running_names(self) -> set[str]:
        """Return the names of what trains on this computer, whoever started it."""
        names = {name for name, training in self.trainings().items() if training.is_alive}
        for name in self._store.names():
            holder = self._store.lock_holder(name)
            if holder is not None and holder.host in ("", socket.gethostname()):
                names.add(name)
        return names

    def _check_not_busy(self) -> None:
        names = self._running_names()
        if len(names) >= MAX_TRAININGS:
            raise BusyError(f"{len(names)} trainings are running: stop one first")

    @contextmanager
    def only_start(self) -> Iterator[None]:
        """Let nobody else count, name or start trainings meanwhile, in this studio or in another one."""
        self._records.mkdir(parents=True, exist_ok=True)
        with self._start_lock, FileLock(self._records / ".lock"):
            yield

    def _reserve_name(self, preset: str | None, data: str) -> str:
        """Return a name that no run has and no training had, and make the folder of its training."""
        self._check_not_busy()
        # The data of a folder decide only when they are read, which takes longer than an answer may.
        prefix = preset or (DEFAULT_PRESET if is_named_set(data) else "train")
        stem = f"{prefix}-{re.sub(r'[^a-zA-Z0-9_-]+', '_', short_name(data))[:MAX_DATA_CHARS]}"
        for number in range(1, MAX_RUN_NUMBER):
            name = f"{stem}-{number}"
            if not os.path.lexists(self._store.path / name):
                with suppress(FileExistsError):
                    (self._records / name).mkdir()
                    return name
        raise UserError("the folder of runs is full")

    def _spawn(self, name: str, action: Literal["train", "resume"], arguments: dict[str, Any]) -> None:
        record = self._records / name
        shown = {key: value for key, value in arguments.items() if key not in ("out", "path")}
        write_json(record / REQUEST_NAME, {"action": action, **shown})
        with (record / OUTPUT_NAME).open("wb") as output:
            # A new session: Ctrl-C in the studio's terminal, and the end of the studio, do not reach the training.
            self.processes[name] = start_worker(
                action,
                arguments,
                record / STATUS_NAME,
                output=output,
                new_session=True,
                holds_lock=True,
                thread_count=self._shared_thread_count(),
            )

    def _shared_thread_count(self) -> int | None:
        """Return the threads of a training beside those that run: its share of the cores. The first one has them all.

        With all of them twice, both trainings would be many times slower: see `dcgan.training.load_watch`.
        """
        running_count = len(self._running_names())
        if running_count == 0 or "OMP_NUM_THREADS" in os.environ:
            return None
        return max(1, usable_core_count() // (running_count + 1))


def _signal(holder: LockHolder, shown: str) -> None:
    """Send SIGTERM to the process of a training.

    Raises:
        UserError: it has ended, is not known yet, or may not be stopped from here.
    """
    if not holder.host:
        raise UserError(f"it is not known yet which process trains {shown}: try again in a moment")
    if holder.host != socket.gethostname():
        raise UserError(f"{holder} trains {shown}: stop it on that computer")
    try:
        os.kill(holder.process_id, signal.SIGTERM)
    except ProcessLookupError:
        raise UserError(f"{shown} is not running") from None
    except PermissionError:
        raise UserError(f"{holder} trains {shown} for another user, who can stop it") from None


def _trained_minutes(run: RunFolder) -> float:
    seconds = _read_or_empty(run.checkpoint / "state.json").get("seconds")
    return seconds / 60 if isinstance(seconds, int | float) else 0.0


def _read_or_empty(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except UserError:
        return {}


def _is_loading(status_path: Path) -> bool:
    try:
        return read_worker_status(status_path).phase == "loading"
    except UserError:
        return False
