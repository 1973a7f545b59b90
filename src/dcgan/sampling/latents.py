"""The latents, labels and truncation of samples: the same for a seed on every machine."""

import math

import numpy as np
import torch
from torch import Tensor

from dcgan.rng import derive_seed

SAMPLE_BATCH_SIZE = 64
"""Samples are always drawn in blocks of this many, and run through the generator in batches of this many, so that a
sample does not depend on how many are drawn."""


def draw_latents(seed: int, n: int, z_dim: int, *, first: int = 0) -> Tensor:
    """Return `n` latents of a seed, float32 (n, z_dim) from N(0, 1).

    Latent `i` is the same to the bit for every `n`. Each block of `SAMPLE_BATCH_SIZE` latents has its own counter-based
    stream (Philox; Salmon et al. 2011), so the latents do not depend on torch's version or on the device either.

    Args:
        seed: of the samples.
        n: number of latents.
        z_dim: length of each.
        first: number of the first latent, a multiple of `SAMPLE_BATCH_SIZE`.
    """
    first_block = first // SAMPLE_BATCH_SIZE
    blocks = range(first_block, first_block + math.ceil(n / SAMPLE_BATCH_SIZE))
    generators = (np.random.Generator(np.random.Philox(key=derive_seed(seed, block))) for block in blocks)
    z = np.concatenate([g.standard_normal((SAMPLE_BATCH_SIZE, z_dim), dtype=np.float32) for g in generators])
    return torch.from_numpy(z[:n])


def cycle_labels(n: int, classes: int, *, first: int = 0) -> Tensor | None:
    """Return the labels of `n` samples from the `first`, int64 (n,): all classes in turn. None without classes.

    The label of a sample does not depend on `n`, like its latent. If `n` is a multiple of `classes`, every class occurs
    equally often.
    """
    return torch.arange(first, first + n) % classes if classes else None


def truncate_latents(z: Tensor, threshold: float) -> Tensor:
    """Map latents from N(0, 1) to N(0, 1) truncated at ±threshold (the truncation trick; Brock et al. 2019).

    Each coordinate keeps its quantile: z -> F⁻¹(F(-t) + F(z) (F(t) - F(-t))), where F is the normal distribution
    function and t the threshold. So a lower threshold makes the same sample more typical and does not draw another one.
    """
    lowest = torch.special.ndtr(torch.tensor(-threshold, dtype=torch.float64))
    quantiles = lowest + torch.special.ndtr(z.double()) * (1 - 2 * lowest)
    truncated: Tensor = torch.special.ndtri(quantiles).clamp(-threshold, threshold).float()
    return truncated
