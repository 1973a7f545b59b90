"""(f): the lengths of the generator's gradients, saturating and not, at the same moments of the same training."""

import copy
from typing import Any

import torch

from dcgan.presets import configure
from dcgan.rng import derive_seed
from dcgan.sampling import latents
from dcgan.training.losses import OBJECTIVES
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step

MOMENTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 700, 1000, 1500, 2000)
PROBED = 256


def measured(presets: list[str], seeds: list[int], steps: int) -> dict[str, Any]:
    """Train with -log D(G(z)), and at some steps look at the gradient that each of the two losses would give."""
    return {"runs": [run(preset, seed, steps) for preset in presets for seed in seeds]}


def run(preset: str, seed: int, steps: int) -> dict[str, Any]:
    """One training."""
    state = set_up(configure(preset, seed=seed, steps=steps, device="cpu"))
    notes = []
    for step in range(steps + 1):
        if step in MOMENTS:
            notes.append({"step": step, **gradients(state)})
        train_step(state)
    return {"preset": preset, "seed": seed, "notes": notes}


def gradients(state: State) -> dict[str, float]:
    """D(G(z)), and ‖∇‖ of both losses over all weights of G. The training does not notice."""
    generator, discriminator = copy.deepcopy(state.generator), copy.deepcopy(state.discriminator)
    z = latents.draw_latents(derive_seed(state.config.seed, 99), PROBED, state.config.z_dim)
    found: dict[str, float] = {}
    for name in ("minimax", "non-saturating"):
        generator.zero_grad()
        scores = discriminator(generator(z))
        torch.autograd.backward(OBJECTIVES[name].generator(scores))
        norms = [weight.grad.norm() for weight in generator.parameters() if weight.grad is not None]
        found[name] = float(torch.stack(norms).norm())
    found["d_fake"] = float(scores.detach().sigmoid().mean())
    return found
