"""Proof that stop and resume equals no stop: a run is killed at a random moment, resumed, and compared with another.

Everything that a run leaves is compared: every tensor of its checkpoint and of its model by its hash, and every entry
of its metrics log except for the seconds.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file
from torch import Tensor

from dcgan.config import NO_DURATION, Config, config_to_json
from dcgan.devices.processes import TrainingStopped
from dcgan.devices.signals import catch_stop_signals
from dcgan.errors import UserError
from dcgan.files import current_folder
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.training.checkpoint import TENSORS_NAME, read_checkpoint
from dcgan.training.worker import start_worker
from dcgan.training.worker_status import read_worker_status

DEFAULT_STEPS = 40
"""Steps of each run: few enough that the preset `dcgan` takes about a minute on two cores."""
FREQUENT_SAVES = {"log_every": 2, "save_every": 5}
"""Settings of both runs, so that a few steps contain measurements and snapshots."""
LAST_STEPS = 6
"""The process is not killed during this many steps before the end: it could finish before the kill."""
MAX_KILL_ATTEMPTS = 5
STEP_TIMEOUT_S = 600.0
"""Time after which a step that never comes is given up."""
POLL_INTERVAL_S = 0.002
SIGNAL_INTERVAL_S = 0.1
"""How long a signal that asks for a stop may wait while a training runs to its end."""


@dataclass(frozen=True)
class ResumeProof:
    """What was compared.

    Attributes:
        preset: the preset.
        steps: steps of both runs.
        killed_after: the last step in the metrics log when the process was killed.
        went_on_from: the step of the checkpoint at that moment.
        tensors: the hash of each tensor by its name; the same in both runs.
        entries: entries of the metrics log, the same in both runs except for the seconds.
        seconds: duration of the proof.
    """

    preset: str
    steps: int
    killed_after: int
    went_on_from: int
    tensors: dict[str, str]
    entries: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the proof for `--json`."""
        return {"equal": True, **asdict(self)}

    def as_text(self) -> str:
        """Return the proof for people."""
        total = hashlib.sha256("".join(self.tensors.values()).encode()).hexdigest()
        lines = [
            f"{self.preset}, {self.steps} steps: killed after step {self.killed_after}, resumed from step "
            f"{self.went_on_from}, and equal to the run that never stopped",
            f"  tensors   {len(self.tensors)} with equal SHA-256; all together {total[:16]}",
            f"  log       {self.entries} entries equal except for their seconds",
            f"  took      {self.seconds:.0f} s",
        ]
        return "\n".join(lines)


def verify_resume(config: Config, *, steps: int = DEFAULT_STEPS, seed: int | None = None) -> ResumeProof:
    """Train twice with these settings, once killed (SIGKILL) at a random moment and resumed, and compare.

    Args:
        config: the settings. Their duration and how often they log and save are replaced, so that a few steps contain
            everything.
        steps: of each run.
        seed: of the random moment; by default another one each time.

    Raises:
        UserError: the runs differ (it names the first difference), or a run failed.
    """
    start = time.perf_counter()
    config = replace(config, **NO_DURATION | FREQUENT_SAVES | {"steps": steps})
    source = random.Random(seed)
    with catch_stop_signals() as stop_signals, tempfile.TemporaryDirectory(prefix="dcgan-verify-") as folder:
        whole, resumed = (RunFolder(Path(folder) / name) for name in ("whole", "resumed"))
        settings = config_to_json(config)
        _Training("train", {**settings, "out": str(whole.path)}, stop_signals).wait()
        killed_after = _train_and_kill(settings, resumed, steps, source, stop_signals)
        went_on_from = read_checkpoint(resumed.checkpoint).step
        _Training("resume", {"path": str(resumed.path)}, stop_signals).wait()
        hashes, entry_count = compare_runs(whole, resumed)
    seconds = round(time.perf_counter() - start, 1)
    return ResumeProof(config.preset, steps, killed_after, went_on_from, hashes, entry_count, seconds)


def compare_runs(whole: RunFolder, resumed: RunFolder) -> tuple[dict[str, str], int]:
    """Compare what two runs left.

    Returns:
        The hash of every tensor, and the number of entries of the metrics log.

    Raises:
        UserError: it names the first difference.
    """
    hashes, other_hashes = _hash_tensors(whole), _hash_tensors(resumed)
    for name in sorted(hashes.keys() | other_hashes.keys()):
        if hashes.get(name) != other_hashes.get(name):
            raise UserError(f"a resumed run is NOT the same as one that never stopped: {name} differs")
    entries, other_entries = ([_without_seconds(e) for e in run.log.entries()] for run in (whole, resumed))
    for i, (entry, other_entry) in enumerate(zip(entries, other_entries, strict=False)):
        if entry != other_entry:
            raise UserError(f"a resumed run is NOT the same as one that never stopped: line {i + 1} of the log differs")
    if len(entries) != len(other_entries):
        raise UserError(
            f"a resumed run has {len(other_entries)} lines in its log, one that never stopped {len(entries)}"
        )
    return hashes, len(entries)


def _hash_tensors(run: RunFolder) -> dict[str, str]:
    files = {"state": run.checkpoint / TENSORS_NAME, "model": run.model / "model.safetensors"}
    return {f"{kind}/{name}": _hash(t) for kind, path in files.items() for name, t in sorted(load_file(path).items())}


def _hash(tensor: Tensor) -> str:
    header = f"{tensor.dtype} {tuple(tensor.shape)} "
    return hashlib.sha256(header.encode() + tensor.contiguous().numpy().tobytes()).hexdigest()


def _without_seconds(entry: LogEntry) -> LogEntry:
    return {name: value for name, value in entry.items() if name != "seconds"}


class _Training:
    """A training in a process of its own, which does not outlive this one when a signal asks this one to stop.

    Args:
        action: whether a run begins or goes on.
        arguments: of `dcgan.train` or `dcgan.resume`, with the run folder as `out` or `path`.
        stop_signals: the signals that have arrived, see `catch_stop_signals`.
    """

    def __init__(
        self, action: Literal["train", "resume"], arguments: dict[str, Any], stop_signals: Sequence[int]
    ) -> None:
        self._status_path = Path(arguments.get("out") or arguments["path"]).parent / "status.json"
        self._stop_signals = stop_signals
        # A session of its own, so that the processes of several devices can be killed together.
        self._process = start_worker(action, arguments, self._status_path, new_session=True)

    def has_ended(self) -> bool:
        """Return whether the process has ended.

        Raises:
            TrainingStopped: a signal has arrived. The process has been killed.
        """
        if self._stop_signals:
            self.kill()
            raise TrainingStopped("stopped; nothing was compared", self._stop_signals[0])
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kill the process, and those that it has started for several devices."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:  # Windows
            self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        """Wait until the process has ended.

        Raises:
            UserError: it failed; the text says why.
            TrainingStopped: as in `has_ended`.
        """
        while not self.has_ended():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SIGNAL_INTERVAL_S)
        if self._process.returncode:
            raise UserError(read_worker_status(self._status_path).detail)


def _train_and_kill(
    settings: dict[str, Any], run: RunFolder, steps: int, source: random.Random, stop_signals: Sequence[int]
) -> int:
    """Train until a random moment and kill the process; return the last step in its metrics log.

    On a busy machine, a training may end before this process is given a moment to kill it. Then it is trained again,
    with an earlier moment.

    Raises:
        UserError: the training failed, or ended before every attempt to kill it.
    """
    for attempt in range(MAX_KILL_ATTEMPTS):
        shutil.rmtree(run.path, ignore_errors=True)
        last_step = source.randrange(max(1, steps - LAST_STEPS)) // (attempt + 1)
        training = _Training("train", {**settings, "out": str(run.path)}, stop_signals)
        if (killed_after := _kill(training, run, last_step, source)) is not None:
            return killed_after
    raise UserError(f"the training ended before it could be killed: give more than {steps} --steps")


def _kill(training: _Training, run: RunFolder, last_step: int, source: random.Random) -> int | None:
    """Kill a training at a random moment in the step after `last_step`, but not before its first checkpoint.

    Without a checkpoint there is nothing to resume. The first entry of the log is written a moment before it.

    Returns:
        The last step in its metrics log; None if the training had ended already.
    """
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while not training.has_ended() and not _has_reached(run, last_step) and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)
    step, seconds = _logged(run)
    time.sleep(source.random() * seconds / max(step, 1))
    if training.has_ended():
        training.wait()
        return None
    training.kill()
    if time.monotonic() >= deadline:
        raise UserError(f"the training did not come to step {last_step} within {STEP_TIMEOUT_S:.0f} s")
    return _logged(run)[0]


def _has_reached(run: RunFolder, step: int) -> bool:
    return current_folder(run.checkpoint).is_dir() and _logged(run)[0] >= step


def _logged(run: RunFolder) -> tuple[int, float]:
    """Return the last step in the metrics log, -1 before there is any, and the training time until then."""
    entries = list(run.log.entries())
    return max((e["step"] for e in entries), default=-1), max((e.get("seconds", 0.0) for e in entries), default=0.0)
