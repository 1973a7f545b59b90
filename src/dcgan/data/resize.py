"""Resizing many pictures of one shape at once, in torch: the same fits and the same filter as for single files."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.decode import ResizeOptions

RESIZE_BATCH = 4096


def resize_images(pixels: npt.NDArray[np.uint8], options: ResizeOptions) -> npt.NDArray[Any]:
    """uint8 (N, C, H, W) -> the size and channels of `options`, antialiased bicubic."""
    if pixels.shape[1:] == (options.channels or pixels.shape[1], options.height, options.width):
        return pixels
    whole = torch.from_numpy(np.array(pixels, order="C"))
    return torch.cat([_resized(part, options) for part in torch.split(whole, RESIZE_BATCH)]).numpy()


def _resized(pixels: Tensor, options: ResizeOptions) -> Tensor:
    pixels = convert_channels(pixels, options.channels or pixels.shape[1])
    height, width = pixels.shape[-2:]
    high, wide = options.height, options.width
    if options.fit == "pad":
        scale = min(high / height, wide / width)
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
        top, left = (high - inner[0]) // 2, (wide - inner[1]) // 2
        return F.pad(_scaled(pixels, inner), (left, wide - inner[1] - left, top, high - inner[0] - top))
    if options.fit == "crop":
        scale = min(height / high, width / wide)
        if scale < 1:  # enlarged: cut where pixels are smaller
            return _middle(_scaled(pixels, (round(height / scale), round(width / scale))), high, wide)
        pixels = _middle(pixels, round(high * scale), round(wide * scale))
    return _scaled(pixels, (high, wide))


def _middle(pixels: Tensor, height: int, width: int) -> Tensor:
    top, left = (pixels.shape[-2] - height) // 2, (pixels.shape[-1] - width) // 2
    return pixels[..., top : top + height, left : left + width]


def _scaled(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if pixels.shape[-2:] == size:
        return pixels
    if pixels.shape[1] != 4:
        return F.interpolate(pixels, size, mode="bicubic", antialias=True)
    # Transparent pixels must not bleed their colour: it counts as much as it is seen.
    values = pixels.float() / 255
    alpha = values[:, 3:]
    values = F.interpolate(torch.cat([values[:, :3] * alpha, alpha], 1), size, mode="bicubic", antialias=True)
    alpha = values[:, 3:].clamp(0, 1)
    colours = (values[:, :3] / alpha.clamp_min(1 / 512)).clamp(0, 1) * (alpha > 1 / 512)
    return (torch.cat([colours, alpha], 1) * 255).round().to(torch.uint8)


def convert_channels(pixels: Tensor, channels: int) -> Tensor:
    """uint8 (N, C, H, W) with 1 (gray), 3 (RGB) or 4 (RGBA) channels; what was transparent is seen on white."""
    have = pixels.shape[1]
    if have == channels:
        return pixels
    if have == 4:
        alpha = pixels[:, 3:].float() / 255
        pixels = (pixels[:, :3] * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
        have = 3
    if channels == 1:  # ITU-R 601-2 luma, as Pillow's
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        return (pixels * weights).sum(1, keepdim=True).round().to(torch.uint8)
    colours = pixels.expand(-1, 3, -1, -1) if have == 1 else pixels
    if channels == 3:
        return colours
    return torch.cat([colours, torch.full_like(colours[:, :1], 255)], 1)
