"""Ways in which pictures become worse, each at three strengths, and how much a person minds each of them.

`benchmarks.features` measures which feature extractors notice them. The strengths and `ANNOYANCE` were fixed before any
of them was measured.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

MODE_COUNT = 20
"""Groups of similar pictures that the modes of a set are."""
MODE_SIDE = 8
"""Pictures are compared at this size, in pixels, to find the groups."""
NO_CLIP_RANGE = (40.0, 215.0)
"""Pictures that get a checkerboard have gray levels in this range before, and so have the real ones beside them."""


@dataclass(frozen=True)
class Alteration:
    """A way in which pictures become worse.

    Attributes:
        alter: (images uint8 (N, C, H, W), strength) -> images of that shape; it may return fewer.
        strengths: three of them; each is worse than the one before.
        unit: what the strengths are.
        needs_color: whether it changes nothing in gray pictures.
        is_squeezed: whether the pictures, and the real ones they are compared with, are in `NO_CLIP_RANGE` before.
    """

    alter: Callable[[Tensor, float], Tensor]
    strengths: tuple[float, float, float]
    unit: str
    needs_color: bool = False
    is_squeezed: bool = False


def squeeze(pixels: Tensor) -> Tensor:
    """Return pictures with less contrast, whose values are in `NO_CLIP_RANGE`."""
    low, high = NO_CLIP_RANGE
    return _round(pixels.float() / 255 * (high - low) + low)


def _round(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).to(torch.uint8)


def blur(pixels: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian."""
    blurred: Tensor = transforms.gaussian_blur(pixels, [2 * int(3 * sigma + 0.5) + 1] * 2, [sigma, sigma])
    return blurred


def add_noise(pixels: Tensor, deviation: float) -> Tensor:
    """Add normal noise to every value."""
    return _round(pixels + deviation * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0)))


def compress(pixels: Tensor, quality: float) -> Tensor:
    """Compress each picture as JPEG."""
    return torch.stack([transforms.jpeg(image, int(quality)) for image in pixels])


def add_checkerboard(pixels: Tensor, amplitude: float) -> Tensor:
    """Make every second pixel lighter and the others darker, as transposed convolutions do."""
    height, width = pixels.shape[2:]
    sign = (torch.arange(height)[:, None] + torch.arange(width)) % 2 * 2 - 1
    return _round(pixels + amplitude * sign)


def rotate_hue(pixels: Tensor, degrees: float) -> Tensor:
    """Turn all hues by an angle: at 120 degrees red becomes green."""
    factor = (degrees / 360 + 0.5) % 1 - 0.5
    rotated: Tensor = transforms.adjust_hue(pixels, factor)
    return rotated


def shuffle_patches(pixels: Tensor, count: float) -> Tensor:
    """Cut each picture into `count` x `count` patches and put them back in another order, for each picture another.

    If its sides cannot be cut into so many equal parts, there are the next fewer parts.
    """
    source = torch.Generator().manual_seed(0)
    rows = next(n for n in range(int(count), 0, -1) if pixels.shape[2] % n == pixels.shape[3] % n == 0)
    height, width = pixels.shape[2] // rows, pixels.shape[3] // rows
    patches = F.unfold(pixels.float(), (height, width), stride=(height, width))  # (N, C * height * width, rows * rows)
    order = torch.stack([torch.randperm(rows * rows, generator=source) for _ in pixels]).unsqueeze(1)
    shuffled = patches.gather(2, order.expand_as(patches))
    return _round(F.fold(shuffled, pixels.shape[2:], (height, width), stride=(height, width)))


def draw_blobs(pixels: Tensor, count: float) -> Tensor:
    """Keep the mean colors of `count` x `count` places only, with smooth transitions between them."""
    means = F.adaptive_avg_pool2d(pixels.float(), int(count))
    return _round(F.interpolate(means, pixels.shape[2:], mode="bicubic"))


def swirl(pixels: Tensor, angle: float) -> Tensor:
    """Turn the middle of each picture by an angle in radians, and what is outside less and less."""
    height, width = pixels.shape[2:]
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    turn = angle * (1 - (x**2 + y**2).sqrt()).clamp_min(0)
    grid = torch.stack([x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()], 2)
    grid = grid.expand(len(pixels), -1, -1, -1)
    return _round(F.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=True))


def keep_modes(pixels: Tensor, share: float) -> Tensor:
    """Keep some groups of similar pictures only, chosen at random, that are at most this share of the pictures."""
    groups = _group_pictures(pixels)
    order = torch.randperm(MODE_COUNT, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(groups, minlength=MODE_COUNT)[order].cumsum(0) / len(pixels)
    return pixels[torch.isin(groups, order[shares <= share])]


def _group_pictures(pixels: Tensor) -> Tensor:
    """Return the group (N,) of each picture."""
    from dcgan.models.groups import _run_kmeans

    points = F.adaptive_avg_pool2d(pixels.float() / 255, MODE_SIDE).flatten(1)
    centers = _run_kmeans(points, MODE_COUNT, torch.Generator().manual_seed(0))
    return torch.cdist(points, centers).argmin(1)


ALTERATIONS = {
    "blur": Alteration(blur, (0.5, 1, 2), "σ in pixels"),
    "noise": Alteration(add_noise, (5, 15, 40), "σ in gray levels of 255"),
    "jpeg": Alteration(compress, (75, 30, 10), "quality"),
    "checkerboard": Alteration(add_checkerboard, (4, 12, 32), "amplitude in gray levels", is_squeezed=True),
    "hue": Alteration(rotate_hue, (30, 90, 180), "degrees", needs_color=True),
    "patches": Alteration(shuffle_patches, (2, 4, 8), "patches a side"),
    "blobs": Alteration(draw_blobs, (16, 8, 4), "blobs a side"),
    "swirl": Alteration(swirl, (0.5, 1.5, 4), "radians"),
    "modes": Alteration(keep_modes, (0.5, 0.25, 0.1), "share of the pictures' kinds"),
}
"""The alterations by name."""
ANNOYANCE = {
    "emoji": {
        "blur": (1, 3, 5.5),
        "noise": (0.5, 2.5, 5),
        "jpeg": (0.5, 1.5, 4),
        "checkerboard": (0.5, 1.5, 3.5),
        "hue": (2, 5, 5.5),
        "patches": (6.5, 9, 9.5),
        "blobs": (5, 8, 9.5),
        "swirl": (2, 4.5, 8),
        "modes": (1, 2, 4),
    },
    "textures": {
        "blur": (1.5, 4, 7),
        "noise": (1.5, 4, 7.5),
        "jpeg": (0.5, 1.5, 5),
        "checkerboard": (1, 2.5, 4.5),
        "hue": (1.5, 3, 3.5),
        "patches": (3, 6, 7.5),
        "blobs": (7, 9, 10),
        "swirl": (2, 4.5, 6),
        "modes": (1, 2, 4),
    },
    "stamps": {
        "blur": (1, 3.5, 6),
        "noise": (0.5, 2.5, 5),
        "jpeg": (0.5, 1.5, 4),
        "checkerboard": (0.5, 1.5, 3.5),
        "hue": (1.5, 3.5, 4),
        "patches": (6.5, 9, 10),
        "blobs": (5.5, 8.5, 9.5),
        "swirl": (2, 5, 8),
        "modes": (1, 2, 4),
    },
    "digits": {
        "blur": (1, 3, 6),
        "noise": (0.5, 2, 5),
        "jpeg": (0.3, 1, 2.5),
        "checkerboard": (0.5, 2, 4),
        "patches": (7, 9, 10),
        "blobs": (2, 5.5, 8.5),
        "swirl": (2, 5, 8),
        "modes": (1, 2, 4),
    },
}
"""For each set of pictures, how much one person minds each strength if a generator draws such pictures: from 0, nobody
sees it, to 10, nothing is left of the pictures. The person looked at a sheet of 16 pictures of every strength, before
any of them was measured. Of digits, a wrong shape is worst; of textures, lost detail; of emoji and stamps, both.

The set `stamps` was added, with its order, after the other sets had chosen the form of the features, and before it was
measured.
"""
