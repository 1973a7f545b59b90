"""Resizing many images of one shape at once, in torch, with the same fits and the same filter as for single files."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.decode import ResizeOptions, size_within
from dcgan.images import composite_on_white

RESIZE_BATCH_SIZE = 4096
MIN_VISIBLE_ALPHA = 1 / 512
"""Half a step of 8-bit opacity: what is more transparent becomes fully transparent when it is rounded."""


def resize_images(pixels: npt.NDArray[np.uint8], options: ResizeOptions) -> npt.NDArray[Any]:
    """Return images uint8 (N, C, H, W) in the size and with the channels of the options, antialiased bicubic."""
    if pixels.shape[1:] == (options.channels or pixels.shape[1], options.height, options.width):
        return pixels
    images = torch.from_numpy(np.array(pixels, order="C"))
    return torch.cat([_resize_to_fit(batch, options) for batch in torch.split(images, RESIZE_BATCH_SIZE)]).numpy()


def _resize_to_fit(pixels: Tensor, options: ResizeOptions) -> Tensor:
    pixels = convert_channels(pixels, options.channels or pixels.shape[1])
    height, width = pixels.shape[-2:]
    frame_height, frame_width = options.height, options.width
    if options.fit == "pad":
        inner_height, inner_width = size_within(height, width, options)
        top, left = (frame_height - inner_height) // 2, (frame_width - inner_width) // 2
        padding = (left, frame_width - inner_width - left, top, frame_height - inner_height - top)
        return F.pad(_resize(pixels, (inner_height, inner_width)), padding)
    if options.fit == "crop":
        scale = min(height / frame_height, width / frame_width)
        if scale < 1:  # the image is enlarged: crop afterwards, when its pixels are smaller
            enlarged = _resize(pixels, (round(height / scale), round(width / scale)))
            return _crop_middle(enlarged, frame_height, frame_width)
        pixels = _crop_middle(pixels, round(frame_height * scale), round(frame_width * scale))
    return _resize(pixels, (frame_height, frame_width))


def _crop_middle(pixels: Tensor, height: int, width: int) -> Tensor:
    top, left = (pixels.shape[-2] - height) // 2, (pixels.shape[-1] - width) // 2
    return pixels[..., top : top + height, left : left + width]


def _resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if pixels.shape[-2:] == size:
        return pixels
    if pixels.shape[1] != 4:
        return F.interpolate(pixels, size, mode="bicubic", antialias=True)
    # The color of transparent pixels must not leak into others, so each color is weighted by its opacity.
    values = pixels.float() / 255
    alpha = values[:, 3:]
    values = F.interpolate(torch.cat([values[:, :3] * alpha, alpha], 1), size, mode="bicubic", antialias=True)
    alpha = values[:, 3:].clamp(0, 1)
    color = (values[:, :3] / alpha.clamp_min(MIN_VISIBLE_ALPHA)).clamp(0, 1) * (alpha > MIN_VISIBLE_ALPHA)
    return (torch.cat([color, alpha], 1) * 255).round().to(torch.uint8)


def drop_equal_channels(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return images (N, C, H, W) with the fewest channels that lose nothing: no opaque alpha, and one channel of gray.

    The first image is looked at first, since that decides for most sets.
    """
    if pixels.shape[1] == 4:
        alpha = pixels[:, 3]
        if (alpha[:1] != 255).any() or (alpha != 255).any():
            return pixels
        pixels = pixels[:, :3]
    if pixels.shape[1] == 3 and all(_is_gray(images) for images in (pixels[:1], pixels)):
        return pixels[:, :1]
    return pixels


def _is_gray(pixels: npt.NDArray[Any]) -> bool:
    return bool((pixels[:, :1] == pixels[:, 1:]).all())


def convert_channels(pixels: Tensor, channels: int) -> Tensor:
    """Return images uint8 (N, C, H, W) with 1 (gray), 3 (RGB) or 4 (RGBA) channels.

    Transparent pixels are composited on white; pixels that had no transparency become opaque.
    """
    if pixels.shape[1] == channels:
        return pixels
    if pixels.shape[1] == 4:
        pixels = composite_on_white(pixels[:, :3], pixels[:, 3:]).round().to(torch.uint8)
    if channels == 1:  # ITU-R 601-2 luma, as in Pillow
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        return (pixels * weights).sum(1, keepdim=True).round().to(torch.uint8)
    color = pixels.expand(-1, 3, -1, -1)  # gray becomes three equal channels
    if channels == 3:
        return color
    return torch.cat([color, torch.full_like(color[:, :1], 255)], 1)
