"""Proof that stop and resume equals no stop: a run is killed at a random moment, goes on, and is held against another.

What is compared is everything that a run leaves: every tensor of its state and of its model by its hash, every line of
its log less the clock.
"""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from dcgan.config import NO_DURATION, Config
from dcgan.errors import UserError
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.training import checkpoint
from dcgan.training.state import COUNTERS

STEPS = 40
"""So few that the preset `dcgan` is done in about a minute on two cores."""
BEAT = {"log_every": 2, "save_every": 5}
MARGIN = 6
"""Steps before the end after which no kill is begun: it would come too late."""
PATIENCE = 600.0
"""Seconds after which a step that never comes is given up."""


@dataclass(frozen=True)
class ResumeProof:
    """What was compared.

    Attributes:
        preset: the recipe.
        steps: of both runs.
        killed_after: the last step in the log when the process was killed.
        went_on_from: the step of the state that was found then.
        tensors: the hash of each, by its name; the same in both runs.
        entries: lines and events of the log, the same in both but for the clock.
        seconds: what the proof took.
    """

    preset: str
    steps: int
    killed_after: int
    went_on_from: int
    tensors: dict[str, str]
    entries: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"equal": True, **asdict(self)}

    def as_text(self) -> str:
        """For people."""
        total = hashlib.sha256("".join(self.tensors.values()).encode()).hexdigest()
        return "\n".join(
            [
                f"{self.preset}, {self.steps} steps: killed after step {self.killed_after}, went on from step "
                f"{self.went_on_from}, and equals the run that never stopped",
                f"  tensors   {len(self.tensors)} with equal SHA-256; all together {total[:16]}",
                f"  log       {self.entries} lines equal but for their seconds",
                f"  took      {self.seconds:.0f} s",
            ]
        )


def verify_resume(config: Config, *, steps: int = STEPS, seed: int | None = None) -> ResumeProof:
    """Train twice with these settings, once killed (SIGKILL) at a random moment and resumed, and compare.

    Args:
        config: the settings; its length and how often it logs and saves are replaced, so that a few steps hold it all.
        steps: of each run.
        seed: of the random moment; by default another each time.

    Raises:
        UserError: the runs differ, which is named, or a run cannot be.
    """
    begin = time.perf_counter()
    config = replace(config, **NO_DURATION | BEAT | {"steps": steps})
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="dcgan-verify-") as place:
        given, whole, part = Path(place) / "given", RunFolder(Path(place) / "whole"), RunFolder(Path(place) / "part")
        given.mkdir()
        RunFolder(given).write_config(config, "raw")
        words = ["train", "--preset", str(given / "config.json"), "--steps", str(steps), "--out"]
        _finish(_dcgan(*words, str(whole.path)))
        killed_after = _killed(_dcgan(*words, str(part.path)), part, chance.randrange(max(1, steps - MARGIN)), chance)
        went_on_from = int(checkpoint.read_checkpoint(part.checkpoint, COUNTERS)["step"])
        _finish(_dcgan("resume", str(part.path)))
        hashes, entries = compare_runs(whole, part)
    seconds = round(time.perf_counter() - begin, 1)
    return ResumeProof(config.preset, steps, killed_after, went_on_from, hashes, entries, seconds)


def compare_runs(whole: RunFolder, part: RunFolder) -> tuple[dict[str, str], int]:
    """Hold what two runs left against each other.

    Returns:
        The hash of every tensor, and the number of lines of the log.

    Raises:
        UserError: the first difference.
    """
    hashes, others = _hashes(whole), _hashes(part)
    for name in sorted(hashes.keys() | others.keys()):
        if hashes.get(name) != others.get(name):
            raise UserError(f"a resumed run is NOT the same as one that never stopped: {name} differs")
    logs = [[_timeless(entry) for entry in folder.log.entries()] for folder in (whole, part)]
    for i, (one, other) in enumerate(zip(*logs, strict=False)):
        if one != other:
            raise UserError(f"a resumed run is NOT the same as one that never stopped: line {i + 1} of the log differs")
    if len(logs[0]) != len(logs[1]):
        raise UserError(f"a resumed run has {len(logs[1])} lines in its log, one that never stopped {len(logs[0])}")
    return hashes, len(logs[0])


def _hashes(folder: RunFolder) -> dict[str, str]:
    files = {"state": folder.checkpoint / "state.safetensors", "model": folder.model / "model.safetensors"}
    return {f"{kind}/{name}": _hash(t) for kind, path in files.items() for name, t in sorted(load_file(path).items())}


def _hash(tensor: Tensor) -> str:
    about = f"{tensor.dtype} {tuple(tensor.shape)} "
    return hashlib.sha256(about.encode() + tensor.contiguous().numpy().tobytes()).hexdigest()


def _timeless(entry: LogEntry) -> LogEntry:
    return {name: value for name, value in entry.items() if name != "seconds"}


def _dcgan(*words: str) -> "subprocess.Popen[str]":
    """The command in a process of its own, with the package that this one runs."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "dcgan", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def _finish(process: "subprocess.Popen[str]") -> None:
    _, err = process.communicate()
    if process.returncode:
        raise UserError(err.strip().rpartition("\n")[2].removeprefix("dcgan: "))


def _killed(process: "subprocess.Popen[str]", folder: RunFolder, last: int, chance: random.Random) -> int:
    """Kill a training at a random moment in the step after `last`, and say which step it had logged by then."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and _logged(folder)[0] < last and time.monotonic() < deadline:
        time.sleep(0.002)
    step, seconds = _logged(folder)
    time.sleep(chance.random() * seconds / max(step, 1))
    is_over = process.poll() is not None
    process.kill()
    if is_over or time.monotonic() >= deadline:
        _finish(process)
        raise UserError(f"the training was over before it could be killed: give more than {last + MARGIN} --steps")
    process.communicate()
    return _logged(folder)[0]


def _logged(folder: RunFolder) -> tuple[int, float]:
    """The last step in the log, and how long training took until then; -1 before there is any."""
    entries = list(folder.log.entries())
    return max((e["step"] for e in entries), default=-1), max((e.get("seconds", 0.0) for e in entries), default=0.0)
