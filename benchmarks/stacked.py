"""Stacked digits: are all thousand triples drawn, and each as often as the others? The protocol is that of PacGAN.

    python -m benchmarks.stacked speed                                        # on a quiet machine
    python -m benchmarks.stacked train [WORK] [--images 1370000] [--seeds 0 1 2]
    python -m benchmarks.stacked table

A run is `dcgan train --data stacked-mnist --images N` without a preset. Its length is a number of images, so that other
work on the machine does not change the results; `speed` measures how many minutes of the quiet machine they are.
Figures are of 26,000 samples, five times, as the judge reads them; training learns nothing from that. Results are
stored in docs/stacked.json, and a stored run is not done again; one that was interrupted is resumed.
"""

import argparse
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dcgan
from benchmarks.folders import is_trained
from benchmarks.stored_runs import Runs, read_runs, store_run
from benchmarks.timing import seconds_per_call
from dcgan.images import make_grid, save_png
from dcgan.presets import VERY_LONG_RUN_IMAGES
from dcgan.run.folder import RunFolder
from dcgan.training.recipe import choose_recipe
from dcgan.training.set_up import set_up
from dcgan.training.step import train_step

DATA = "stacked-mnist"
RESULTS_FILE, GRID_FOLDER = Path("docs/stacked.json"), Path("docs/images/stacked")
SPEED = "speed"
"""The entry of the results that is no run."""
WARM_UP_STEPS, TIMED_STEPS = 5, 100
GRID_COUNT, SAMPLE_SEED = 64, 1
DEFAULT_IMAGES, DEFAULT_SEEDS = 1_370_000, (0, 1, 2)
DIGITS = {"modes_covered": 1, "kl_to_uniform": 4, "precision": 3, "recall": 3}
"""The metrics of the table, and their digits after the point."""


def measure_speed() -> dict[str, Any]:
    """Return how many images a second a long run trains on, with all threads."""
    state = set_up(choose_recipe({"data": DATA, "images": VERY_LONG_RUN_IMAGES, "device": "cpu"}).config)
    seconds = seconds_per_call(lambda: train_step(state), TIMED_STEPS, WARM_UP_STEPS)
    speed = state.progress.images_seen / state.progress.step / seconds
    return {"images_per_second": round(speed, 1), "threads": torch.get_num_threads(), "torch": torch.__version__}


def train_and_evaluate(images: int, seed: int, out: Path) -> dict[str, Any]:
    """Train as a user does who names only the data and the length, or go on with it; evaluate."""
    if not is_trained(out, images):
        has_begun = (out / "checkpoint").exists()
        dcgan.resume(out) if has_begun else dcgan.train(data=DATA, images=images, seed=seed, device="cpu", out=out)
    run = RunFolder(out)
    metrics = dcgan.evaluate(run, split="test", copies=False).as_json()["metrics"]
    GRID_FOLDER.mkdir(parents=True, exist_ok=True)
    samples = np.asarray(dcgan.load(run).sample(GRID_COUNT, seed=SAMPLE_SEED))
    save_png(make_grid(samples), GRID_FOLDER / f"{out.name}.png")
    where = {"threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version()}
    return {"images": images, **{name: metrics[name] for name in DIGITS}, **where}


def table_rows(results: Runs) -> Iterator[str]:
    """Give the lines of the table."""
    images_per_minute = 60 * results[SPEED]["images_per_second"]
    yield "| images | minutes of the quiet machine | seed | modes of 1,000 | KL to uniform | precision | recall |"
    yield "|---|---|---|---|---|---|---|"
    for name, run in sorted(results.items()):
        if name == SPEED:
            continue
        minutes, seed = run["images"] / images_per_minute, name.partition("-")[2]
        cells = (f"{run['images']:,}", f"{minutes:.0f}", seed, *(_range_text(run[key], n) for key, n in DIGITS.items()))
        yield f"| {' | '.join(cells)} |"


def _range_text(estimate: dict[str, Any], digits: int) -> str:
    mean, low, high = (f"{estimate[key]:,.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "train", "table"])
    parser.add_argument("work", nargs="?", type=Path, default=Path("runs/stacked"))
    parser.add_argument("--images", type=int, default=DEFAULT_IMAGES)
    parser.add_argument("--seeds", type=int, nargs="+", default=DEFAULT_SEEDS)
    args = parser.parse_args()
    if args.part == "speed":
        store_run(RESULTS_FILE, SPEED, measure_speed())
    elif args.part == "table":
        print("\n".join(table_rows(read_runs(RESULTS_FILE))))
    else:
        for seed in args.seeds:
            name = f"{args.images}-{seed}"
            if name not in read_runs(RESULTS_FILE):
                store_run(RESULTS_FILE, name, train_and_evaluate(args.images, seed, args.work / name))


if __name__ == "__main__":
    main()
