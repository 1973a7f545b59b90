"""How long one waits: for `dcgan --help`, and from torch being imported to the first step of `dcgan train`.

    python -m benchmarks.startup [--repeats 5]

Each in a process of its own; prints JSON with medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

TRAIN = """
import sys, time
from dcgan import cli
from dcgan.data import mnist
mnist.unpack_in_background("mnist")  # as the command does, before anything of torch's
import torch
begin = time.perf_counter()
from dcgan import training

def update(state):
    print(time.perf_counter() - begin)
    raise KeyboardInterrupt

training.update = update
cli.run(["train", "--device", "cpu", "--steps", "1", "--out", sys.argv[1]])
"""


def help_seconds() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dcgan", "--help"], check=True, capture_output=True)
    return time.perf_counter() - begin


def first_step_seconds() -> float:
    with tempfile.TemporaryDirectory() as place:
        words = [sys.executable, "-c", TRAIN, f"{place}/run"]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    pages = [help_seconds() for _ in range(repeats)]
    steps = [first_step_seconds() for _ in range(repeats)]
    found = {"help_s": pages, "first_step_s": steps}
    medians = {f"median_{name}": statistics.median(values) for name, values in found.items()}
    print(json.dumps(found | medians, indent=2))


if __name__ == "__main__":
    main()
