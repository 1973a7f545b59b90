"""How much more is trained if several runs share the cores, each with its own threads (`dcgan compare --jobs N`).

    python -m benchmarks.jobs [--preset fast] [--jobs 2] [--seconds 20] [--rounds 5]

Three arrangements take turns: one run with all threads, one run with the threads of one job, and N such runs at once.
Prints JSON: the images per second of each arrangement in each round, of all its runs together, and the medians of the
ratios within the rounds.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import torch

from dcgan.presets import configure
from dcgan.training.set_up import set_up
from dcgan.training.step import train_step

SET_UP_S = 25.0
"""Time in which every process of an arrangement is ready to train; then all start at the same moment."""
WARM_UP_STEPS = 5


def measure_rate(preset: str, start_time: float, seconds: float) -> float:
    """Return the images per second of one run that trains from a moment on."""
    state = set_up(configure(preset, device="cpu"))
    for _ in range(WARM_UP_STEPS):
        train_step(state)
    if time.time() > start_time:
        raise SystemExit("not ready in time: the machine is busy")
    time.sleep(start_time - time.time())
    before, start = state.progress.images_seen, time.perf_counter()
    while time.perf_counter() - start < seconds:
        train_step(state)
    return (state.progress.images_seen - before) / (time.perf_counter() - start)


def measure_at_once(preset: str, run_count: int, threads: int, seconds: float) -> float:
    """Return the images per second of several runs together."""
    words = [sys.executable, "-m", "benchmarks.jobs", "--preset", preset, "--seconds", str(seconds)]
    words += ["--start-time", str(time.time() + SET_UP_S)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    processes = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) for _ in range(run_count)]
    outputs = [process.communicate()[0] for process in processes]
    return sum(float(output) for output in outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--start-time", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.start_time:
        print(measure_rate(args.preset, args.start_time, args.seconds))
        return
    all_threads = torch.get_num_threads()
    threads = max(1, all_threads // args.jobs)
    arrangements = {
        "one run, all threads": (1, all_threads),
        "one run, threads of a job": (1, threads),
        "all jobs at once": (args.jobs, threads),
    }
    rates: dict[str, list[float]] = {name: [] for name in arrangements}
    for _ in range(args.rounds):
        for name, (run_count, thread_count) in arrangements.items():
            rates[name].append(measure_at_once(args.preset, run_count, thread_count, args.seconds))
        print({name: round(values[-1]) for name, values in rates.items()}, file=sys.stderr)
    together = rates["all jobs at once"]
    results = {
        "preset": args.preset,
        "jobs": args.jobs,
        "threads": all_threads,
        "images_per_second": {name: [round(value) for value in values] for name, values in rates.items()},
        "median_ratio_to": {
            name: round(statistics.median(a / b for a, b in zip(together, values, strict=True)), 2)
            for name, values in rates.items()
            if values is not together
        },
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
