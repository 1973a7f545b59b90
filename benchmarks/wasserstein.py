"""Does the critic's estimate fall with the quality, and does WGAN-GP bear other learning rates?

    python -m benchmarks.wasserstein [--steps 700] [--seeds 0 1 2] [--rates 0.5 1 2] > docs/wasserstein.json

For each rate (times the preset's) and seed it trains `wgan-gp` on MNIST for as many steps. On the way it notes
E[D(x)] - E[D(G(z))] over 2,000 test digits and as many fakes of the averaged generator, and the Fréchet distance (judge
features) of these fakes. Prints JSON: the notes, the rank correlation of the two after the warm-up, and the digits that
the judge sees at the end.
"""

import argparse
import json
import os
from typing import Any

import numpy as np
import torch

from benchmarks.eyes import Eyes
from dcgan.data.open import open_images
from dcgan.images import to_float
from dcgan.presets import configure
from dcgan.sampling import latents
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step

HELD_OUT, NOTES = 2000, 24
WARM_UP = 6
"""The first notes, a quarter of the run: the critic is still finding its scale."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 1, 2])
    args = parser.parse_args()
    runs = [train(rate, seed, args.steps) for seed in args.seeds for rate in args.rates]
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()[0],
                      "samples": HELD_OUT, "features": "judge", "split": "test", "runs": runs},
                     indent=1))  # fmt: skip


def train(rate: float, seed: int, steps: int) -> dict[str, Any]:
    """One run: what was noted on the way, and what it ended with."""
    lr = configure("wgan-gp").lr * rate
    state, eyes = set_up(configure("wgan-gp", lr=lr, seed=seed, device="cpu")), Eyes()
    real = to_float(open_images("mnist", "test").pixels[:HELD_OUT])
    notes: list[dict[str, float]] = []
    while len(notes) < NOTES:
        while state.step < steps * (len(notes) + 1) // NOTES:
            train_step(state)
        notes.append(note(state, real, eyes))
    after = notes[WARM_UP:]
    return {
        "lr": lr, "seed": seed, "steps": state.step,
        "rank_correlation": spearman([n["estimate"] for n in after], [n["frechet"] for n in after]),
        "final_frechet": notes[-1]["frechet"], "rarest_digit": notes[-1]["rarest_digit"], "notes": notes,
    }  # fmt: skip


@torch.no_grad()
def note(state: State, real: torch.Tensor, eyes: Eyes) -> dict[str, float]:
    """The critic's estimate, the distance and the rarest digit's share among the fakes, now."""
    z = latents.draw_latents(12345, HELD_OUT, state.config.z_dim)
    fake, _, found = eyes.see(averaged_generator(state), z)
    estimate = state.discriminator(real).mean() - state.discriminator(to_float(fake)).mean()
    return {"step": state.step, "images_seen": state.images_seen, "estimate": float(estimate)} | found


def spearman(a: list[float], b: list[float]) -> float:
    """The correlation of the ranks; there are no ties among measured numbers."""
    one, two = (np.argsort(np.argsort(values)) for values in (a, b))
    return float(((one - one.mean()) * (two - two.mean())).mean() / (one.std() * two.std()))


if __name__ == "__main__":
    main()
