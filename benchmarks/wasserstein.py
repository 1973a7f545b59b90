"""Measure whether the critic's estimate falls with the distance, and which learning rates WGAN-GP tolerates.

    python -m benchmarks.wasserstein [--steps 700] [--seeds 0 1 2] [--rates 0.5 1 2] > docs/wasserstein.json

For each rate (a multiple of the preset's) and each seed it trains `wgan-gp` on MNIST for the same number of steps. At
regular moments it measures E[D(x)] - E[D(G(z))] over 2,000 test digits and as many fakes of the averaged generator, and
the Fréchet distance (judge features) of these fakes. Prints JSON: the measurements, the rank correlation of the two
after the warm-up, and the share of the rarest digit at the end, as the judge recognizes the digits.
"""

import argparse
import json
import os
from typing import Any

import torch

from benchmarks.claims.comparisons import rank_correlation
from benchmarks.judge_metrics import JudgeMetrics
from dcgan.data.open import open_images
from dcgan.images import to_float
from dcgan.presets import configure
from dcgan.sampling import latents
from dcgan.training.set_up import set_up
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State
from dcgan.training.step import train_step

SAMPLE_COUNT = 2000
"""Test digits, and as many fakes, of a measurement."""
SAMPLE_SEED = 12345
MEASUREMENT_COUNT = 24
"""Measurements in a run."""
WARM_UP_MEASUREMENTS = 6
"""The measurements of the first quarter of the run, in which the scale of the critic's scores still changes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 1, 2])
    args = parser.parse_args()
    results = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "samples": SAMPLE_COUNT,
        "features": "judge",
        "split": "test",
        "runs": [train_and_measure(rate, seed, args.steps) for seed in args.seeds for rate in args.rates],
    }
    print(json.dumps(results, indent=1))


def train_and_measure(rate: float, seed: int, steps: int) -> dict[str, Any]:
    """Train one run; return the measurements and what they say."""
    lr = configure("wgan-gp").lr * rate
    state, judge = set_up(configure("wgan-gp", lr=lr, seed=seed, device="cpu")), JudgeMetrics()
    real = to_float(open_images("mnist", "test").pixels[:SAMPLE_COUNT])
    measurements: list[dict[str, float]] = []
    while len(measurements) < MEASUREMENT_COUNT:
        while state.progress.step < steps * (len(measurements) + 1) // MEASUREMENT_COUNT:
            train_step(state)
        measurements.append(measure_state(state, real, judge))
    return {
        "lr": lr,
        "seed": seed,
        "steps": state.progress.step,
        "rank_correlation": rank_correlation(
            [(m["estimate"], m["frechet"]) for m in measurements[WARM_UP_MEASUREMENTS:]]
        ),
        "final_frechet": measurements[-1]["frechet"],
        "rarest_digit": measurements[-1]["rarest_digit"],
        "notes": measurements,
    }


@torch.no_grad()
def measure_state(state: State, real: torch.Tensor, judge: JudgeMetrics) -> dict[str, float]:
    """Return the critic's estimate, the distance, and the share of the rarest digit among the fakes at this step."""
    z = latents.draw_latents(SAMPLE_SEED, SAMPLE_COUNT, state.config.z_dim)
    fake = judge.measure(averaged_generator(state), z)
    critic, _ = state.adversary
    estimate = float(critic(real).mean() - critic(to_float(fake.pixels)).mean())
    position = {"step": state.progress.step, "images_seen": state.progress.images_seen}
    return position | {"estimate": estimate} | fake.metrics


if __name__ == "__main__":
    main()
