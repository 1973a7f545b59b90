"""Measure which learning rates presets and objectives tolerate, from a quarter to four times their own, over seeds.

    python -m benchmarks.stability [--cases fast wgan-gp r3gan ...] [--seeds 0 1 2]

A hundred short runs, each of as many images as its preset sees in half a minute to a few minutes on one core. Five
times during a run, the Fréchet distance (judge features, 5,000 samples of the averaged generator, test digits) and the
share of the rarest digit are measured; the training learns nothing from that. The results are stored in
docs/stability.json run by run, and a stored run is not done again. Prints a table.
"""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.judge_metrics import JudgeMetrics
from benchmarks.stored_runs import Runs, read_runs, store_run
from dcgan.presets import configure
from dcgan.sampling import latents
from dcgan.training.set_up import set_up
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State
from dcgan.training.step import train_step

RESULTS_FILE = Path("docs/stability.json")
MEASUREMENT_COUNT = 5
"""Measurements in a run."""
SAMPLE_COUNT = 5000
SAMPLE_SEED = 54321
MIN_DIGIT_SHARE = 0.005
"""A run has collapsed if a digit is rarer than this at its end."""
ALL_FACTORS, NEAR_FACTORS = (0.25, 0.5, 1, 2, 4), (0.5, 1, 2)


@dataclass(frozen=True)
class Case:
    """Runs that differ in their learning rate and seed.

    Attributes:
        preset: the preset.
        images: images that a run sees.
        factors: factors on the preset's learning rate.
        settings: other settings.
    """

    preset: str
    images: int
    factors: tuple[float, ...]
    settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "fast": Case("fast", 100_000, ALL_FACTORS),
    "wgan-gp": Case("wgan-gp", 100_000, ALL_FACTORS),
    "r3gan": Case("r3gan", 45_000, ALL_FACTORS),
    "vanilla": Case("vanilla", 500_000, NEAR_FACTORS),
    "cgan": Case("cgan", 60_000, ALL_FACTORS),
    "fast, minimax": Case("fast", 30_000, NEAR_FACTORS, {"loss": "minimax"}),
    "fast, least-squares": Case("fast", 30_000, NEAR_FACTORS, {"loss": "least-squares"}),
    "fast, hinge": Case("fast", 30_000, NEAR_FACTORS, {"loss": "hinge"}),
    "fast, relativistic": Case("fast", 30_000, NEAR_FACTORS, {"loss": "relativistic"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), metavar="CASE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    for seed in args.seeds:
        for case_name in args.cases:
            for factor in CASES[case_name].factors:
                name = f"{case_name} x{factor:g} seed {seed}"
                if name not in read_runs(RESULTS_FILE):
                    run = train_and_measure(CASES[case_name], factor, seed)
                    store_run(RESULTS_FILE, name, {"case": case_name} | run)
                    print(name, run["notes"][-1], file=sys.stderr, flush=True)
    print(results_table(read_runs(RESULTS_FILE)))


def train_and_measure(case: Case, factor: float, seed: int) -> dict[str, Any]:
    """Train one run, and return what was measured during it."""
    lr = configure(case.preset).lr * factor
    config = configure(case.preset, lr=lr, images=case.images, seed=seed, device="cpu", **case.settings)
    state, judge = set_up(config), JudgeMetrics()
    measurements: list[dict[str, float]] = []
    while len(measurements) < MEASUREMENT_COUNT and not state.sums.fault:
        next_images = case.images * (len(measurements) + 1) / MEASUREMENT_COUNT
        while state.progress.images_seen < next_images and not state.sums.fault:
            train_step(state)
        measurements.append(measure_state(state, judge))
    return {
        "preset": case.preset,
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
    labels = torch.arange(SAMPLE_COUNT) % state.class_count if state.class_count else None
    metrics = judge.measure(averaged_generator(state), z, labels).metrics
    return {"step": state.progress.step, "images_seen": state.progress.images_seen} | metrics


def results_table(results: Runs) -> str:
    """Return the table of docs/results.md."""
    lines = [
        "| preset, objective | rate | diverged | collapsed | distance at the end, each seed | of the run's best |",
        "|---|---|---|---|---|---|",
    ]
    for name, case in CASES.items():
        for factor in case.factors:
            runs = [run for run in results.values() if (run["case"], run["factor"]) == (name, factor)]
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
        f"`{runs[0]['case']}`",
        f"{runs[0]['lr']:g} (x{runs[0]['factor']:g})",
        f"{diverged} of {len(runs)}",
        f"{collapsed}",
        ", ".join(f"{end['frechet']:.2f}" for end in ends),
        ", ".join(f"{end['frechet'] / best:.2f}" for end, best in zip(ends, best_distances, strict=True)),
    ]


if __name__ == "__main__":
    main()
