"""Compare this version with an older one, alternating on one quiet machine: speed, and the digits of a minute.

    git worktree add OLD d4ee7fa                                # version 0.1.0; dc418d7: the first default `match`
    python -m benchmarks.versions speed OLD --preset fast [--image-size 64] [--pairs 5]
    python -m benchmarks.versions minute OLD WORK [--seeds 0 1 2]

`speed` times steps of a preset in processes of their own, in turn. `minute` runs `dcgan train --minutes 1` with each
version in turn, as a user does, and evaluates both models with this version: 10,000 samples against the test digits,
features `judge`. Prints JSON.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import dcgan

SAMPLE_COUNT = 10_000
METRICS = ("frechet_inception_distance", "precision", "recall")
IMPORTS = """
import sys, time
from contextlib import nullcontext
try:
    from dcgan.system.allocator import keep_freed_memory
except ImportError:
    keep_freed_memory = nullcontext
try:
    from dcgan.presets import configure
    from dcgan.training.step import train_step
    try:
        from dcgan.training.set_up import set_up
    except ImportError:  # the first default `match`
        from dcgan.training.state import set_up
except ImportError:  # version 0.1.0
    from dcgan.config import configure
    from dcgan.state import setup as set_up
    from dcgan.step import update as train_step
"""
TIME_STEPS = (
    IMPORTS
    + """
preset, data, image_size, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
settings = {"data": data} | ({"image_size": image_size} if image_size else {})
state = set_up(configure(preset, device="cpu", **settings))
with keep_freed_memory():
    for _ in range(5):
        train_step(state)
    begin = time.perf_counter()
    for _ in range(steps):
        train_step(state)
print(state.config.batch_size * steps / (time.perf_counter() - begin))
"""
)


def run_version(tree: Path, *arguments: str) -> str:
    """Run Python with the package of a source tree; return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(tree.resolve() / "src")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def compare_speed(old: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return the images per second of both versions, and their ratios."""
    arguments = (TIME_STEPS, args.preset, args.data, args.image_size or "", str(args.steps))
    pairs = []
    for _ in range(args.pairs):
        rates = [float(run_version(tree, "-c", *arguments)) for tree in (old, Path())]
        pairs.append({"old": rates[0], "new": rates[1], "ratio": rates[1] / rates[0]})
        print(json.dumps(pairs[-1]), file=sys.stderr, flush=True)
    medians = {key: round(statistics.median(pair[key] for pair in pairs), 3) for key in ("old", "new", "ratio")}
    return {"preset": args.preset, "image_size": args.image_size, "median": medians, "pairs": pairs}


def compare_minutes(old: Path, work: Path, seeds: list[int]) -> list[dict[str, Any]]:
    """Train for a minute with both versions, seed by seed; return what each model comes to."""
    runs = []
    for seed in seeds:
        for name, tree in (("old", old), ("new", Path())):
            out = work / f"{name}-{seed}"
            command = ("-m", "dcgan", "train", "--minutes", "1", "--seed", str(seed), "--device", "cpu")
            run_version(tree, *command, "--out", str(out))
            model = dcgan.load(out)
            assert model.trained is not None
            evaluation = dcgan.evaluate(model, features="judge", n=SAMPLE_COUNT, split="test").as_json()
            figures = {key: evaluation["metrics"][key]["mean"] for key in METRICS}
            runs.append({"version": name, "seed": seed, "images_seen": model.trained["images_seen"], **figures})
            print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "minute"])
    parser.add_argument("old", type=Path, metavar="OLD")
    parser.add_argument("work", nargs="?", type=Path, metavar="WORK")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--image-size", metavar="SIZE")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    if args.part == "minute" and args.work is None:
        parser.error("minute needs WORK, a folder for the runs")
    result: Any = (
        compare_speed(args.old, args) if args.part == "speed" else compare_minutes(args.old, args.work, args.seeds)
    )
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version()}
    print(json.dumps({"machine": machine, args.part: result}, indent=1))


if __name__ == "__main__":
    main()
