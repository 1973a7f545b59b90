"""Claims (e) and (h): the optimum of a toy problem where it can be computed.

The data are N(3, 1/2²), the latents N(0, 1), and the generator is G(z) = a z + b, which can draw the data exactly. The
logarithm of the ratio of two normal densities is a quadratic, so D(x) = σ(w₀ + w₁x + w₂x²) can be exactly the best
discriminator D*(x) = p_data(x) / (p_data(x) + p_g(x)) (Goodfellow et al. 2014, proposition 1). The losses are those of
the package.
"""

import math
from typing import Any

import torch
from torch import Tensor

from dcgan.training.losses import bce_discriminator, non_saturating_generator

DATA_MEAN, DATA_DEVIATION = 3.0, 0.5
"""The data's normal distribution."""
FIXED_MEAN, FIXED_DEVIATION = 2.0, 1.0
"""The samples of the fixed generator G(z) = z + 2."""
BATCH_SIZE = 1024
"""Real numbers, and as many samples, of a step."""
STEPS = 4000
"""Training steps."""


def measure_toy(seeds: list[int]) -> dict[str, Any]:
    """Train a discriminator against a fixed generator, then both networks, for each seed."""
    return {
        "fixed_generator": [train_discriminator(seed) for seed in seeds],
        "trained": [train_both(seed) for seed in seeds],
        "blind": measure_blind_discriminator(),
    }


def discriminate(w: Tensor, x: Tensor) -> Tensor:
    """Return the scores of D before the sigmoid, (N,) -> (N, 1)."""
    u = x - DATA_MEAN / 2  # nearly the same function of w, but better conditioned
    return (w[0] + w[1] * u + w[2] * u**2).unsqueeze(1)


def normal_density(x: Tensor, mean: float, deviation: float) -> Tensor:
    """Return the density of a normal distribution at x."""
    return torch.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))


def train_discriminator(seed: int, steps: int = STEPS) -> dict[str, float]:
    """Train D alone against G(z) = z + 2, and compare it with the formula of the best D."""
    source = torch.Generator().manual_seed(seed)
    w = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        real = DATA_MEAN + DATA_DEVIATION * torch.randn(BATCH_SIZE, generator=source)
        fake = FIXED_MEAN + torch.randn(BATCH_SIZE, generator=source)
        optimizer.zero_grad()
        torch.autograd.backward(bce_discriminator(discriminate(w, real), discriminate(w, fake)))
        optimizer.step()
        schedule.step()
    x = torch.linspace(-6, 10, 16001)
    p_data = normal_density(x, DATA_MEAN, DATA_DEVIATION)
    p_g = normal_density(x, FIXED_MEAN, FIXED_DEVIATION)
    best = p_data / (p_data + p_g)
    with torch.no_grad():
        differences = (discriminate(w, x).squeeze(1).sigmoid() - best).abs()
    weights = (p_data + p_g) / (p_data + p_g).sum()
    loss_density = -(p_data * best.clamp_min(1e-30).log() + p_g * (1 - best).clamp_min(1e-30).log()) / 2
    return {
        "seed": seed,
        "mean_distance_from_the_formula": float((differences * weights).sum()),
        "least_loss_by_the_formula": float(torch.trapezoid(loss_density, x)),
    }


def train_both(seed: int, steps: int = STEPS) -> dict[str, float]:
    """Train both from a = 1, b = 0, where P_g is P_z, and return what P_g and D become."""
    source = torch.Generator().manual_seed(seed)
    w, g = torch.zeros(3, requires_grad=True), torch.tensor([1.0, 0.0], requires_grad=True)
    # There is no momentum: with it the two circle around the optimum (docs/presets.md: betas of wgan-gp and r3gan).
    optimizers = [torch.optim.Adam([p], lr=lr, betas=(0.0, 0.99)) for p, lr in ((w, 0.05), (g, 0.01))]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimizers]
    for _ in range(steps):
        real, fake = draw_batches(g, BATCH_SIZE, source)
        optimizers[0].zero_grad()
        torch.autograd.backward(bce_discriminator(discriminate(w, real), discriminate(w, fake.detach())))
        optimizers[0].step()
        optimizers[1].zero_grad()
        fake = g[0] * torch.randn(BATCH_SIZE, generator=source) + g[1]
        torch.autograd.backward(non_saturating_generator(discriminate(w, fake)))
        optimizers[1].step()
        for schedule in schedules:
            schedule.step()
    with torch.no_grad():
        real, fake = draw_batches(g, 100_000, source)
        real_scores, fake_scores = discriminate(w, real), discriminate(w, fake)
        deviation, mean = abs(float(g[0])), float(g[1])
        return {
            "seed": seed,
            "d_real": float(real_scores.sigmoid().mean()),
            "d_fake": float(fake_scores.sigmoid().mean()),
            "loss_d": float(bce_discriminator(real_scores, fake_scores)),
            "loss_g": float(non_saturating_generator(fake_scores)),
            "mean": mean,
            "deviation": deviation,
            "distance_to_data": frechet_distance(mean, deviation, DATA_MEAN, DATA_DEVIATION),
            "distance_to_z": frechet_distance(mean, deviation, 0, 1),
        }


def draw_batches(g: Tensor, n: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return `n` real numbers and `n` samples of the generator G(z) = g[0] z + g[1]."""
    real = DATA_MEAN + DATA_DEVIATION * torch.randn(n, generator=source)
    return real, g[0] * torch.randn(n, generator=source) + g[1]


def measure_blind_discriminator() -> dict[str, float]:
    """Return the losses of D ≡ 1/2 with the untrained generator: those of the optimum, far from it."""
    zero_scores = torch.zeros(8, 1)
    return {
        "loss_d": float(bce_discriminator(zero_scores, zero_scores)),
        "loss_g": float(non_saturating_generator(zero_scores)),
        "distance_to_data": frechet_distance(0, 1, DATA_MEAN, DATA_DEVIATION),
    }


def frechet_distance(mean_a: float, deviation_a: float, mean_b: float, deviation_b: float) -> float:
    """Return the Fréchet distance of two normal distributions on the line."""
    return (mean_a - mean_b) ** 2 + (deviation_a - deviation_b) ** 2
