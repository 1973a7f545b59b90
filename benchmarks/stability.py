"""Measure which learning rates a preset tolerates: a quarter, a half, once, twice and four times its own, over seeds.

    python -m benchmarks.stability [--presets fast wgan-gp r3gan] [--seeds 0 1 2]

Each run sees as many images as its preset does in a few minutes on one core. Five times during the run, the Fréchet
distance (judge features, 5,000 samples of the averaged generator, test digits) and the share of the rarest digit are
measured; the training learns nothing from that. The results are stored in docs/stability.json run by run, and a second
call continues where the first one stopped. Prints a table.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.judge_metrics import JudgeMetrics
from dcgan.presets import configure
from dcgan.sampling import latents
from dcgan.training.set_up import set_up
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State
from dcgan.training.step import train_step

RESULTS_FILE = Path("docs/stability.json")
IMAGES = {"fast": 100_000, "wgan-gp": 100_000, "r3gan": 45_000}
"""Images that a run of each preset sees."""
LR_FACTORS = (0.25, 0.5, 1, 2, 4)
MEASUREMENT_COUNT = 5
"""Measurements in a run."""
SAMPLE_COUNT = 5000
SAMPLE_SEED = 54321
MIN_DIGIT_SHARE = 0.005
"""A run has collapsed if a digit is rarer than this at its end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(IMAGES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS_FILE.read_text(encoding="utf-8")) if RESULTS_FILE.exists() else {}
    for seed in args.seeds:
        for preset in args.presets:
            for factor in LR_FACTORS:
                name = f"{preset} x{factor:g} seed {seed}"
                if name not in results:
                    results[name] = train_and_measure(preset, factor, seed)
                    RESULTS_FILE.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
                    print(name, results[name]["notes"][-1], file=sys.stderr, flush=True)
    print(results_table(results))


def train_and_measure(preset: str, factor: float, seed: int) -> dict[str, Any]:
    """Train one run, and return what was measured during it."""
    lr = configure(preset).lr * factor
    state, judge = set_up(configure(preset, lr=lr, seed=seed, device="cpu")), JudgeMetrics()
    measurements: list[dict[str, float]] = []
    while len(measurements) < MEASUREMENT_COUNT and not state.sums.fault:
        next_images = IMAGES[preset] * (len(measurements) + 1) / MEASUREMENT_COUNT
        while state.progress.images_seen < next_images and not state.sums.fault:
            train_step(state)
        measurements.append(measure_state(state, judge))
    return {
        "preset": preset,
        "factor": factor,
        "lr": lr,
        "seed": seed,
        "diverged": bool(state.sums.fault),
        "notes": measurements,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
    }


def measure_state(state: State, judge: JudgeMetrics) -> dict[str, float]:
    """Return the metrics of the averaged generator at this step."""
    z = latents.draw_latents(SAMPLE_SEED, SAMPLE_COUNT, state.config.z_dim)
    metrics = judge.measure(averaged_generator(state), z).metrics
    return {"step": state.progress.step, "images_seen": state.progress.images_seen} | metrics


def results_table(results: dict[str, Any]) -> str:
    """Return the table of docs/results.md."""
    lines = [
        "| preset | rate | diverged | collapsed | distance at the end, each seed | of the run's best |",
        "|---|---|---|---|---|---|",
    ]
    for preset in IMAGES:
        for factor in LR_FACTORS:
            runs = [run for run in results.values() if (run["preset"], run["factor"]) == (preset, factor)]
            if runs:
                lines.append(f"| {' | '.join(_table_cells(runs))} |")
    return "\n".join(lines)


def _table_cells(runs: list[dict[str, Any]]) -> list[str]:
    """Return one row: the runs of one preset and one learning rate, over seeds."""
    ends = [run["notes"][-1] for run in runs]
    best_distances = [min(m["frechet"] for m in run["notes"]) for run in runs]
    diverged = sum(run["diverged"] for run in runs)
    collapsed = sum(end["rarest_digit"] < MIN_DIGIT_SHARE for end in ends)
    return [
        f"`{runs[0]['preset']}`",
        f"{runs[0]['lr']:g} (x{runs[0]['factor']:g})",
        f"{diverged} of {len(runs)}",
        f"{collapsed}",
        ", ".join(f"{end['frechet']:.2f}" for end in ends),
        ", ".join(f"{end['frechet'] / best:.2f}" for end, best in zip(ends, best_distances, strict=True)),
    ]


if __name__ == "__main__":
    main()
