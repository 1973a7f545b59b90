"""Helpers for the tests of networks."""

from pathlib import Path

import numpy as np
from torch import nn

from dcgan import Generator
from dcgan.models.store import save_generator

SHADES = (20, 120, 220)


def parameter_count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def save_small_generator(folder: Path) -> Generator:
    """Save a small generator that says how it was trained, and return it."""
    generator = Generator(6, 1, 4).eval()
    generator.trained = {"preset": "dcgan", "data": "mnist", "step": 1, "images_seen": 2, "command": "dcgan train"}
    save_generator(generator, folder)
    return generator


def write_shades(path: Path) -> Path:
    """Write six hundred noisy pictures of three shades: a half, a third and a sixth of them."""
    random = np.random.default_rng(0)
    shade = np.repeat(SHADES, [300, 200, 100])
    pixels = np.clip(shade[:, None, None, None] + random.integers(-9, 10, (600, 16, 16, 1)), 0, 255).astype(np.uint8)
    np.savez(path, arr_0=pixels[random.permutation(600)])
    return path
