"""Images as arrays: uint8 (N, H, W, C) outside the networks, float (N, C, H, W) in [-1, 1] inside them.

torch is imported for type checkers only. The processes that decode files import this module, and they start faster
without torch.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from dcgan.files import atomic_file

if TYPE_CHECKING:
    from torch import Tensor

Pixels = npt.NDArray[np.uint8]
GRID_GAP = 2
"""Pixels between the pictures of a grid, and around them."""
ArrayOrTensor = TypeVar("ArrayOrTensor", npt.NDArray[Any], "Tensor")


def color_mode(channels: int) -> str:
    """Return how people call pictures with this number of channels."""
    return {1: "gray", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels} channels")


def to_float(pixels: "Tensor") -> "Tensor":
    """Return uint8 values 0 to 255, of any shape, as float32 values in [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1)


def to_uint8(images: "Tensor") -> Pixels:
    """Return float images (N, C, H, W) in [-1, 1] as uint8 (N, H, W, C), rounded to the nearest value."""
    pixels = images.detach().add(1).mul(127.5).round().clamp(0, 255).byte()
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def composite_on_white(color: ArrayOrTensor, alpha: ArrayOrTensor) -> ArrayOrTensor:
    """Return how transparent pixels look on a white background, as floats in 0 to 255 that are not rounded.

    Rounded, the result has the same bytes as Pillow's `alpha_composite` for every color and every alpha.

    Args:
        color: uint8 or float values in 0 to 255, as a NumPy array or as a tensor.
        alpha: opacity in 0 (transparent) to 255 (opaque), of a shape that broadcasts to that of `color`.
    """
    opacity = alpha / 255
    return color * opacity + 255 * (1 - opacity)


def make_grid(pixels: Pixels, columns: int | None = None, gap: int = GRID_GAP, *, rows: int | None = None) -> Pixels:
    """Return one image (H', W', C) that shows the images (N, H, W, C) on black, `gap` pixels apart.

    The images fill row after row. If `rows` is given they fill column after column, so that image i stands in row
    i mod `rows`. If neither is given the grid is as square as the number of images allows.
    """
    n, height, width, channels = pixels.shape
    fills_columns = rows is not None
    columns = math.ceil(n / rows) if rows else columns or math.ceil(math.sqrt(n))
    rows = rows or math.ceil(n / columns)
    grid = np.zeros((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), np.uint8)
    for i, image in enumerate(pixels):
        row, column = (i % rows, i // rows) if fills_columns else divmod(i, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def draw_on_white(image: Image.Image) -> Image.Image:
    """Return a picture with transparency on white, as RGB."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def to_pillow(pixels: Pixels) -> Image.Image:
    """Return one image (H, W, C) as Pillow's: gray for one channel, RGB for three, RGBA for four."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def save_png(pixels: Pixels, path: Path) -> None:
    """Write one image (H, W, C) as a PNG; the file is written as a whole or not at all."""
    with atomic_file(path) as temporary:
        write_png(pixels, temporary)


def write_png(pixels: Pixels, path: Path) -> None:
    """Write one image (H, W, C) as a PNG into a file that nobody reads yet, such as one of a new folder.

    Unlike `save_png` it does not wait for the disk, which takes longer than the writing itself.
    """
    to_pillow(pixels).save(path, format="PNG")
