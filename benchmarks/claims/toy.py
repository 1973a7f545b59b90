"""(e) and (h): the optimum on a toy where it can be computed.

The data are N(3, 1/2²), the latents N(0, 1), the generator G(z) = a z + b, which can draw the data exactly. The log of
a ratio of two normal densities is a quadratic, so D(x) = σ(w₀ + w₁x + w₂x²) can be the best discriminator
D*(x) = p_data(x) / (p_data(x) + p_g(x)) exactly (Goodfellow et al. 2014, proposition 1). The losses are the package's.
"""

import math
from typing import Any

import torch
from torch import Tensor

from dcgan.training.losses import bce_discriminator, non_saturating_generator

MEAN, DEVIATION = 3.0, 0.5
BATCH = 1024
STEPS = 4000
LN2 = math.log(2)


def measured(seeds: list[int]) -> dict[str, Any]:
    """A discriminator against a fixed generator, then both, for each seed."""
    return {
        "fixed_generator": [fixed_generator(seed) for seed in seeds],
        "trained": [trained(seed) for seed in seeds],
        "blind": blind(),
    }


def scores(w: Tensor, x: Tensor) -> Tensor:
    """D before the sigmoid, (N,) -> (N, 1)."""
    u = x - MEAN / 2  # nearly the same function of w, better conditioned
    return (w[0] + w[1] * u + w[2] * u**2).unsqueeze(1)


def density(x: Tensor, mean: float, deviation: float) -> Tensor:
    """Of a normal distribution."""
    return torch.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))


def fixed_generator(seed: int, steps: int = STEPS) -> dict[str, float]:
    """Train D alone against G(z) = z + 2, and hold it against the formula."""
    source = torch.Generator().manual_seed(seed)
    w = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        real = MEAN + DEVIATION * torch.randn(BATCH, generator=source)
        fake = 2 + torch.randn(BATCH, generator=source)
        optimizer.zero_grad()
        torch.autograd.backward(bce_discriminator(scores(w, real), scores(w, fake)))
        optimizer.step()
        schedule.step()
    x = torch.linspace(-6, 10, 16001)
    data, drawn = density(x, MEAN, DEVIATION), density(x, 2, 1)
    best = data / (data + drawn)
    with torch.no_grad():
        apart = (scores(w, x).squeeze(1).sigmoid() - best).abs()
    weight = (data + drawn) / (data + drawn).sum()
    entropy = -(data * best.clamp_min(1e-30).log() + drawn * (1 - best).clamp_min(1e-30).log()) / 2
    return {
        "seed": seed,
        "mean_distance_from_the_formula": float((apart * weight).sum()),
        "least_loss_by_the_formula": float(torch.trapezoid(entropy, x)),
    }


def trained(seed: int, steps: int = STEPS) -> dict[str, float]:
    """Train both from a = 1, b = 0, where P_g is P_z: what P_g and D become."""
    source = torch.Generator().manual_seed(seed)
    w, g = torch.zeros(3, requires_grad=True), torch.tensor([1.0, 0.0], requires_grad=True)
    # Without momentum; with it the two chase each other around the optimum (docs/presets.md: betas of wgan-gp, r3gan)
    optimizers = [torch.optim.Adam([p], lr=lr, betas=(0.0, 0.99)) for p, lr in ((w, 0.05), (g, 0.01))]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimizers]
    for _ in range(steps):
        real = MEAN + DEVIATION * torch.randn(BATCH, generator=source)
        fake = g[0] * torch.randn(BATCH, generator=source) + g[1]
        optimizers[0].zero_grad()
        torch.autograd.backward(bce_discriminator(scores(w, real), scores(w, fake.detach())))
        optimizers[0].step()
        optimizers[1].zero_grad()
        again = g[0] * torch.randn(BATCH, generator=source) + g[1]
        torch.autograd.backward(non_saturating_generator(scores(w, again)))
        optimizers[1].step()
        for schedule in schedules:
            schedule.step()
    with torch.no_grad():
        real = MEAN + DEVIATION * torch.randn(100_000, generator=source)
        fake = g[0] * torch.randn(100_000, generator=source) + g[1]
        on_real, on_fake = scores(w, real), scores(w, fake)
        a, b = abs(float(g[0])), float(g[1])
        return {
            "seed": seed,
            "d_real": float(on_real.sigmoid().mean()),
            "d_fake": float(on_fake.sigmoid().mean()),
            "loss_d": float(bce_discriminator(on_real, on_fake)),
            "loss_g": float(non_saturating_generator(on_fake)),
            "mean": b,
            "deviation": a,
            "distance_to_data": frechet(b, a, MEAN, DEVIATION),
            "distance_to_z": frechet(b, a, 0, 1),
        }


def blind() -> dict[str, float]:
    """D ≡ 1/2 and the generator that it began with: the losses of the optimum, far from it."""
    zeros = torch.zeros(8, 1)
    return {
        "loss_d": float(bce_discriminator(zeros, zeros)),
        "loss_g": float(non_saturating_generator(zeros)),
        "distance_to_data": frechet(0, 1, MEAN, DEVIATION),
    }


def frechet(mean: float, deviation: float, other_mean: float, other_deviation: float) -> float:
    """The Fréchet distance of two normal distributions on the line."""
    return (mean - other_mean) ** 2 + (deviation - other_deviation) ** 2
