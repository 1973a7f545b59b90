"""Latents: the noise that pictures are made from, the same for a seed on every machine."""

import math

import numpy as np
import torch
from torch import Tensor

BLOCK = 64
"""Samples are drawn, and run through the generator, in blocks of this many, so that none depends on how many are
asked for."""


def derive(seed: int, *path: int) -> int:
    """A seed for one purpose: independent of every other path, the same on every machine."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0]) >> 1


def noise(seed: int, n: int, z_dim: int) -> Tensor:
    """The first `n` latents of a seed, (n, z_dim), float32 from N(0, 1).

    Latent `i` is the same to the bit for every `n`: each block of `BLOCK` has a counter-based stream of its own
    (Philox; Salmon et al. 2011), so it does not depend on torch's version or on the device either.
    """
    blocks = range(math.ceil(n / BLOCK))
    streams = (np.random.Generator(np.random.Philox(key=derive(seed, block))) for block in blocks)
    z = np.concatenate([s.standard_normal((BLOCK, z_dim), dtype=np.float32) for s in streams])
    return torch.from_numpy(z[:n])


def truncate(z: Tensor, threshold: float) -> Tensor:
    """Latents as if drawn from N(0, 1) cut off at ±threshold (the truncation trick; Brock et al. 2019).

    Each coordinate keeps its quantile, so that a lower threshold moves the same sample towards the typical
    instead of drawing another one: z -> F⁻¹(F(-t) + F(z) (F(t) - F(-t))), F the normal distribution function.
    """
    low = torch.special.ndtr(torch.tensor(-threshold, dtype=torch.float64))
    quantile = low + torch.special.ndtr(z.double()) * (1 - 2 * low)
    cut: Tensor = torch.special.ndtri(quantile).clamp(-threshold, threshold).float()
    return cut
