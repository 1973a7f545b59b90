"""Measure how long a user waits: for `dcgan --help`, and for the first step of `dcgan train` after torch is imported.

    python -m benchmarks.startup [--repeats 5]

Each time is measured in a process of its own. Prints JSON with medians.
"""

import argparse
import json
import statistics
import tempfile

from benchmarks.timing import command_seconds, run_python

TRAIN_UNTIL_FIRST_STEP = """
import sys, time
from dcgan.cli.main import run
from dcgan.data import mnist
mnist.unpack_in_background("mnist")  # as the command does, before torch is imported
import torch
start = time.perf_counter()
from dcgan.training import loop

def stop_at_first_step(state):
    print(time.perf_counter() - start)
    raise KeyboardInterrupt

loop.train_step = stop_at_first_step
run(["train", "--device", "cpu", "--steps", "1", "--out", sys.argv[1]])
"""


def first_step_seconds() -> float:
    """Return the seconds from the moment when torch is imported to the first step."""
    with tempfile.TemporaryDirectory() as folder:
        return float(run_python("-c", TRAIN_UNTIL_FIRST_STEP, f"{folder}/run"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    seconds = {
        "help_s": [command_seconds("-m", "dcgan", "--help") for _ in range(repeats)],
        "first_step_s": [first_step_seconds() for _ in range(repeats)],
    }
    medians = {f"median_{name}": statistics.median(values) for name, values in seconds.items()}
    print(json.dumps(seconds | medians, indent=2))


if __name__ == "__main__":
    main()
