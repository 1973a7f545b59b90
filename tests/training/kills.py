"""Kill trainings of one run at random moments (SIGKILL), until each has gone on to its end: `python -m tests.kills`.

The trainings are forked from this process, which has imported everything and computed nothing: a start takes
milliseconds, and no lock of a thread is copied half held.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import dcgan
import dcgan.training.start
from dcgan.run.folder import RunFolder
from dcgan.training import validate
from dcgan.training.verify import compare_runs
from tests.conftest import SMALL, make_picture_folder

STEPS = 12
SETTINGS = {**SMALL, "steps": STEPS, "seed": 3, "image_size": 28, "evaluate_every": 5}
SAMPLES = 200
"""Pictures for a measurement: enough to be cut off in, not so many that nothing else is."""


def go(out: Path, data: Path) -> None:
    """What a user does after a crash: train if there is no state yet, else resume."""
    if not ((out / "checkpoint").exists() or (out / ".checkpoint.old").exists()):
        dcgan.train("dcgan", out=out, data=str(data), **SETTINGS)
        return
    try:
        dcgan.resume(out)
    except dcgan.UserError as error:
        if "is finished" not in str(error):
            raise


def start(out: Path, data: Path) -> int:
    if child := os.fork():
        return child
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the bars; what goes wrong is written below
    try:
        go(out, data)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os._exit(0)


def killed(child: int, moment: float) -> bool:
    """Whether a child lived until the moment at which it is killed."""
    end = time.monotonic() + moment
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, status
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def digest(folder: RunFolder) -> str:
    grids = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.samples.iterdir())}
    return json.dumps(grids)


def main(kills: int, seed: int, place: Path) -> None:
    chance, data = random.Random(seed), make_picture_folder(place / "data", 50)
    validate.SAMPLES = SAMPLES
    os.environ["DCGAN_CACHE"] = str(place / "cache")
    whole = RunFolder(place / "whole")
    begin = time.monotonic()
    assert not killed(start(whole.path, data), 600)
    length, done, runs = time.monotonic() - begin, 0, 0
    while done < kills:
        out, reach = place / f"run-{runs}", 1.2 * length
        shutil.rmtree(place / "cache")  # so that the data is prepared anew, and that is cut off too
        while killed(start(out, data), chance.uniform(0, reach)):
            done += 1
            reach *= 1.1  # so that a run comes to its end though the machine has become slower since the first
        compare_runs(whole, RunFolder(out))
        assert digest(RunFolder(out)) == digest(whole)
        left = {path.name for path in whole.path.iterdir()} ^ {path.name for path in out.iterdir()}
        # Curves and report are made once all is saved: the kill may have come in between, and a finished run is not
        # touched.
        assert left <= {"curves.png", ".curves.png.new", "report.html", ".report.html.new", ".lock"}, left
        runs += 1
    print(f"{done} kills, {runs} runs, each the same as the one that was never killed", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
