"""Compare the images per second of the study's own loop and of ours, in turn, on the same network.

    python -m benchmarks.throughput [--pairs 7] [--steps 60]

Each run has a process of its own. Prints JSON: the rate of each run, the ratio of each pair, and their median.
"""

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable

from benchmarks.timing import run_python, seconds_per_call

BATCH_SIZE = 128
"""The batch size of the study, and of the preset `dcgan`."""
WARM_UP_STEPS = 5
"""The first steps allocate memory and choose kernels, so they are not timed."""


def study_rate(steps: int) -> float:
    """Return the images per second of the study's loop, with its DataLoader and its two generator forwards."""
    from benchmarks import study

    loop = study.steps()
    return _images_per_second(lambda: next(loop), steps)


def our_rate(steps: int, **settings: bool) -> float:
    """Return the images per second of the engine with the preset `dcgan`, with freed memory kept, as in a training."""
    from dcgan.presets import configure
    from dcgan.system.allocator import keep_freed_memory
    from dcgan.training.set_up import set_up
    from dcgan.training.step import train_step

    with keep_freed_memory():
        state = set_up(configure("dcgan", device="cpu", **settings))

        def step() -> int:
            images_before = state.progress.images_seen
            train_step(state)
            return state.progress.images_seen - images_before

        return _images_per_second(step, steps)


def our_rate_with_shared_z(steps: int) -> float:
    """Return the same with one batch of fakes for both updates: one generator forward a step instead of two."""
    return our_rate(steps, share_z=True)


VARIANTS = {"study": study_rate, "ours": our_rate, "ours_shared_z": our_rate_with_shared_z}


def _images_per_second(step: Callable[[], int], steps: int) -> float:
    """Return the rate of a step that returns how many images it used."""
    images = 0

    def count_images() -> None:
        nonlocal images
        images += step()

    for _ in range(WARM_UP_STEPS):
        step()
    seconds = seconds_per_call(count_images, steps)
    return images / (seconds * steps)


def _measure_in_new_process(variant: str, steps: int) -> float:
    return float(run_python("-m", "benchmarks.throughput", "--only", variant, "--steps", str(steps)))


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--only", choices=list(VARIANTS))
    args = parser.parse_args()
    if args.only:
        print(VARIANTS[args.only](args.steps))
        return
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for pair in range(args.pairs):
        for name in VARIANTS:
            rates[name].append(_measure_in_new_process(name, args.steps))
        pair_rates = ", ".join(f"{name} {values[-1]:.0f}" for name, values in rates.items())
        print(f"pair {pair + 1} of {args.pairs}: {pair_rates}", file=sys.stderr)
    ratios = {
        name: [ours / study for ours, study in zip(rates[name], rates["study"], strict=True)]
        for name in ("ours", "ours_shared_z")
    }
    results = {
        "images_per_second": rates,
        "ratio_to_study": ratios,
        "median_images_per_second": {name: statistics.median(r) for name, r in rates.items()},
        "median_ratio": {name: statistics.median(r) for name, r in ratios.items()},
        "batch_size": BATCH_SIZE,
        "steps": args.steps,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
