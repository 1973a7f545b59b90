"""Pictures for tests of likeness: shapes of random colors, and copies of them that were altered."""

import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def draw_shapes(count: int, seed: int = 0, side: int = 64) -> Tensor:
    """Return pictures uint8 (count, 3, side, side): six ellipses and bars of random places and colors on white."""
    source = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    pictures = np.full((count, side, side, 3), 255, np.uint8)
    for picture in pictures:
        for _ in range(6):
            (cy, cx), (ry, rx), turn = source.uniform(0.2, 0.8, 2), source.uniform(0.06, 0.3, 2), source.uniform(0, 3)
            u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
            v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
            inside = (u / rx) ** 2 + (v / ry) ** 2 < 1 if source.random() < 0.5 else (abs(u) < rx) & (abs(v) < ry)
            picture[inside] = source.integers(0, 256, 3)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def recompress(pixels: Tensor, quality: int = 75) -> Tensor:
    """Return pictures as a JPEG of this quality shows them."""
    pictures = []
    for picture in pixels.permute(0, 2, 3, 1).numpy():
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "JPEG", quality=quality)
        pictures.append(np.asarray(Image.open(content).convert("RGB")))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def add_noise(pixels: Tensor, deviation: float = 5) -> Tensor:
    """Return pictures with normal noise."""
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    return (pixels + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def shift(pixels: Tensor, seed: int = 0, distance: int = 4) -> Tensor:
    """Return pictures that are shifted by up to `distance` pixels each way; the border is repeated."""
    source = np.random.default_rng(seed)
    padded = F.pad(pixels.float(), (distance,) * 4, mode="replicate").to(torch.uint8)
    height, width = pixels.shape[2:]
    offsets = source.integers(0, 2 * distance + 1, (len(pixels), 2)).tolist()
    return torch.stack([p[:, y : y + height, x : x + width] for p, (y, x) in zip(padded, offsets, strict=True)])


def exchange_channels(pixels: Tensor) -> Tensor:
    """Return pictures whose red is the blue, whose green is the red and whose blue is the green of others."""
    return pixels[:, [2, 0, 1]]


def darken(pixels: Tensor) -> Tensor:
    """Return darker pictures."""
    return (0.7 * pixels).to(torch.uint8)


ALTERATIONS = {
    "exact": lambda pixels: pixels,
    "recompressed": recompress,
    "noisy": add_noise,
    "mirrored": lambda pixels: pixels.flip(3),
    "shifted": shift,
    "channels exchanged": exchange_channels,
    "darkened": darken,
}
