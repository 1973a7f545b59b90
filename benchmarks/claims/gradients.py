"""Claim (f): the norms of the generator's gradients by the saturating and the non-saturating loss, at equal weights."""

import copy
from typing import Any

import torch

from dcgan.presets import configure
from dcgan.rng import derive_seed
from dcgan.sampling import latents
from dcgan.training.losses import OBJECTIVES
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step

MEASURED_STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 700, 1000, 1500, 2000)
"""Steps before which the gradients are measured."""
SAMPLE_COUNT = 256
"""Samples that a gradient is the mean over."""
LATENTS_PURPOSE = 99
"""Purpose of random numbers: the latents of these samples. No training uses it."""


def measure_gradients(presets: list[str], seeds: list[int], steps: int) -> dict[str, Any]:
    """Train with -log D(G(z)), and measure at some steps the gradients that each of the two losses gives."""
    return {"runs": [train_and_measure(preset, seed, steps) for preset in presets for seed in seeds]}


def train_and_measure(preset: str, seed: int, steps: int) -> dict[str, Any]:
    """Train one run, and return the norms of its gradients at `MEASURED_STEPS`."""
    state = set_up(configure(preset, seed=seed, steps=steps, device="cpu"))
    notes = []
    for step in range(steps + 1):
        if step in MEASURED_STEPS:
            notes.append({"step": step, **gradient_norms(state)})
        train_step(state)
    return {"preset": preset, "seed": seed, "notes": notes}


def gradient_norms(state: State) -> dict[str, float]:
    """Return D(G(z)), and ‖∇‖ of both losses over all weights of G. The state does not change."""
    generator, discriminator = copy.deepcopy(state.generator), copy.deepcopy(state.adversary[0])
    z = latents.draw_latents(derive_seed(state.config.seed, LATENTS_PURPOSE), SAMPLE_COUNT, state.config.z_dim)
    results: dict[str, float] = {}
    for name in ("minimax", "non-saturating"):
        generator.zero_grad()
        scores = discriminator(generator(z))
        torch.autograd.backward(OBJECTIVES[name].generator(scores))
        norms = [weight.grad.norm() for weight in generator.parameters() if weight.grad is not None]
        results[name] = float(torch.stack(norms).norm())
    results["d_fake"] = float(scores.detach().sigmoid().mean())
    return results
