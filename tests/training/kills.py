"""Kill trainings of one run at random moments (SIGKILL), until each has reached its end.

    python -m tests.training.kills KILL_COUNT SEED FOLDER

The trainings are forked from this process, which has imported everything and computed nothing: a start takes
milliseconds, and no lock of a thread is copied while it is held.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import dcgan
import dcgan.training.start
from dcgan.run.folder import RunFolder
from dcgan.training import validate
from dcgan.training.verify import compare_runs
from tests.conftest import SMALL, make_picture_folder

STEPS = 12
SETTINGS = {**SMALL, "steps": STEPS, "seed": 3, "image_size": 28, "evaluate_every": 5}
SAMPLE_COUNT = 200
"""Samples of an evaluation: enough that kills hit it, few enough that they hit everything else too."""
FILES_AFTER_THE_END = {
    *("curves.png", ".curves.png.new", "report.html", ".report.html.new"),
    *(".lock", ".lock-holder.json"),
}
"""Curves and report are written after everything was saved. A kill may come before them, and a finished run is not
changed any more."""


def train_or_resume(out: Path, data: Path) -> None:
    """Do what a user does after a crash: train if there is no checkpoint yet, else resume."""
    if not ((out / "checkpoint").exists() or (out / ".checkpoint.old").exists()):
        dcgan.train("dcgan", out=out, data=str(data), **SETTINGS)
        return
    try:
        dcgan.resume(out)
    except dcgan.UserError as error:
        if "is finished" not in str(error):
            raise


def start_child(out: Path, data: Path) -> int:
    if child := os.fork():
        return child
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the progress bars; an error is written below
    try:
        train_or_resume(out, data)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os._exit(0)


def kill_after(child: int, seconds: float) -> bool:
    """Kill a child after so many seconds; return whether it was killed and had not ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, status
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def hash_grids(folder: RunFolder) -> str:
    grids = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.samples.iterdir())}
    return json.dumps(grids)


def main(kill_count: int, seed: int, folder: Path) -> None:
    source, data = random.Random(seed), make_picture_folder(folder / "data", 50)
    validate.FRECHET = replace(validate.FRECHET, sample_count=SAMPLE_COUNT)
    os.environ["DCGAN_CACHE"] = str(folder / "cache")
    whole = RunFolder(folder / "whole")
    begin = time.monotonic()
    assert not kill_after(start_child(whole.path, data), 600)
    duration, kills, runs = time.monotonic() - begin, 0, 0
    while kills < kill_count:
        out, max_seconds = folder / f"run-{runs}", 1.2 * duration
        shutil.rmtree(folder / "cache")  # so that the data is prepared again, and kills hit that too
        while kill_after(start_child(out, data), source.uniform(0, max_seconds)):
            kills += 1
            max_seconds *= 1.1  # so that a run reaches its end even if the machine has become slower
        compare_runs(whole, RunFolder(out))
        assert hash_grids(RunFolder(out)) == hash_grids(whole)
        different_files = {path.name for path in whole.path.iterdir()} ^ {path.name for path in out.iterdir()}
        assert different_files <= FILES_AFTER_THE_END, different_files
        runs += 1
    print(f"{kills} kills, {runs} runs, each the same as the one that was never killed", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
