"""Latents: the noise that pictures are made from, the same for a seed on every machine."""

import math

import numpy as np
import torch
from torch import Tensor

from dcgan.rng import derive_seed

SAMPLE_BLOCK = 64
"""Samples are drawn, and run through the generator, in blocks of this many, so that none depends on how many are
asked for."""


def draw_latents(seed: int, n: int, z_dim: int) -> Tensor:
    """The first `n` latents of a seed, (n, z_dim), float32 from N(0, 1).

    Latent `i` is the same to the bit for every `n`: each block of `BLOCK` has a counter-based stream of its own
    (Philox; Salmon et al. 2011), so it does not depend on torch's version or on the device either.
    """
    blocks = range(math.ceil(n / SAMPLE_BLOCK))
    streams = (np.random.Generator(np.random.Philox(key=derive_seed(seed, block))) for block in blocks)
    z = np.concatenate([s.standard_normal((SAMPLE_BLOCK, z_dim), dtype=np.float32) for s in streams])
    return torch.from_numpy(z[:n])


def cycle_labels(n: int, classes: int) -> Tensor | None:
    """The labels of the first `n` samples, int64 (n,): every class in turn. None where there are no classes.

    Like its latent, a sample's label does not depend on `n`; and any whole number of rounds is balanced.
    """
    return torch.arange(n) % classes if classes else None


def truncate_latents(z: Tensor, threshold: float) -> Tensor:
    """Latents as if drawn from N(0, 1) cut off at ±threshold (the truncation trick; Brock et al. 2019).

    Each coordinate keeps its quantile, so that a lower threshold moves the same sample towards the typical
    instead of drawing another one: z -> F⁻¹(F(-t) + F(z) (F(t) - F(-t))), F the normal distribution function.
    """
    low = torch.special.ndtr(torch.tensor(-threshold, dtype=torch.float64))
    quantile = low + torch.special.ndtr(z.double()) * (1 - 2 * low)
    cut: Tensor = torch.special.ndtri(quantile).clamp(-threshold, threshold).float()
    return cut
