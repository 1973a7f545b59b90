"""Pictures as arrays: uint8 (N, H, W, C) outside, float in [-1, 1] (N, C, H, W) in the networks."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from dcgan.files import atomic_file

Pixels = npt.NDArray[np.uint8]


def to_float(pixels: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1], any shape."""
    return pixels.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Pixels:
    """Float images in [-1, 1], (N, C, H, W) -> uint8 (N, H, W, C), rounded to the nearest."""
    pixels = images.detach().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def make_grid(pixels: Pixels, columns: int | None = None, gap: int = 2, *, rows: int | None = None) -> Pixels:
    """Lay pictures (N, H, W, C) out on black, `gap` pixels apart: one picture (H', W', C).

    They fill row after row; with `rows`, column after column, so that picture i stands in row i mod `rows`. Without
    either the grid is as square as the number allows.
    """
    n, height, width, channels = pixels.shape
    is_down = rows is not None
    columns = math.ceil(n / rows) if rows else columns or math.ceil(math.sqrt(n))
    rows = rows or math.ceil(n / columns)
    sheet = np.zeros((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), np.uint8)
    for i, picture in enumerate(pixels):
        row, column = (i % rows, i // rows) if is_down else divmod(i, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def save_png(picture: Pixels, path: Path) -> None:
    """Write one picture (H, W, C), gray for one channel, as a PNG; it is there whole or not at all."""
    with atomic_file(path) as aside:
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(aside, format="PNG")


def save_gif(pixels: Pixels, path: Path, seconds_a_frame: float = 0.06) -> None:
    """Write pictures (N, H, W, C) as an animation that repeats; it is there whole or not at all."""
    first, *others = (Image.fromarray(p[..., 0] if p.shape[-1] == 1 else p) for p in pixels)
    with atomic_file(path) as aside:
        duration = round(1000 * seconds_a_frame)
        first.save(aside, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)
