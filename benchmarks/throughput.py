"""Images a second: the study's own loop and ours, in turn, each in a process of its own, on the same network.

    python -m benchmarks.throughput [--pairs 7] [--steps 60]

Prints JSON: the rate of each run, the ratio of each pair and their median.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable


def study(steps: int) -> float:
    """Images a second of the study's loop: its DataLoader, its two generator forwards."""
    from benchmarks import study

    loop = study.steps()
    return _rate(lambda: next(loop), steps)


def ours(steps: int, **settings: bool) -> float:
    """Images a second of the engine, preset `dcgan`."""
    from dcgan.presets import configure
    from dcgan.training.state import set_up
    from dcgan.training.step import train_step

    state = set_up(configure("dcgan", device="cpu", **settings))

    def step() -> int:
        before = state.images_seen
        train_step(state)
        return state.images_seen - before

    return _rate(step, steps)


def ours_shared_z(steps: int) -> float:
    """The same with one batch of fakes for both updates: one generator forward a step instead of two."""
    return ours(steps, share_z=True)


SUBJECTS = {"study": study, "ours": ours, "ours_shared_z": ours_shared_z}


def _rate(step: Callable[[], int], steps: int) -> float:
    for _ in range(5):  # the first steps pay for memory and for choosing kernels
        step()
    begin = time.perf_counter()
    images = sum(step() for _ in range(steps))
    return images / (time.perf_counter() - begin)


def _in_its_own_process(name: str, steps: int) -> float:
    command = [sys.executable, "-m", "benchmarks.throughput", "--only", name, "--steps", str(steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--only", choices=list(SUBJECTS))
    args = parser.parse_args()
    if args.only:
        print(SUBJECTS[args.only](args.steps))
        return
    rates: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for pair in range(args.pairs):
        for name in SUBJECTS:
            rates[name].append(_in_its_own_process(name, args.steps))
        print(
            f"pair {pair + 1} of {args.pairs}: {', '.join(f'{n} {r[-1]:.0f}' for n, r in rates.items())}",
            file=sys.stderr,
        )
    ratios = {
        name: [ours / study for ours, study in zip(rates[name], rates["study"], strict=True)]
        for name in ("ours", "ours_shared_z")
    }
    found = {
        "images_per_second": rates,
        "ratio_to_study": ratios,
        "median_images_per_second": {name: statistics.median(r) for name, r in rates.items()},
        "median_ratio": {name: statistics.median(r) for name, r in ratios.items()},
        "batch_size": 128,
        "steps": args.steps,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
