"""Pictures to learn from: a spec such as `mnist` becomes one uint8 array."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.config import UserError, did_you_mean
from dcgan.data import mnist


@dataclass(frozen=True)
class Images:
    """A set of pictures in memory.

    Attributes:
        name: the spec it was opened from.
        pixels: uint8 (N, C, H, W).
        labels: int64 (N,).
        classes: a name for each label.
    """

    name: str
    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)


def _mnist(split: str) -> Images:
    pixels, labels = mnist.read(split)
    return Images("mnist", pixels.unsqueeze(1), labels.long(), tuple("0123456789"))


SOURCES: dict[str, Callable[[str], Images]] = {"mnist": _mnist}


def open_images(spec: str, split: str = "train") -> Images:
    """Open a set of pictures.

    Args:
        spec: `mnist`, 60,000 and 10,000 digits that come with the package.
        split: `train` or `test`.

    Raises:
        UserError: there is no such set.
    """
    if spec not in SOURCES:
        raise UserError(f"there is no data {spec!r}{did_you_mean(spec, SOURCES)}; known: {', '.join(SOURCES)}")
    return SOURCES[spec](split)


def at_size(images: Images, height: int, width: int) -> Images:
    """The same pictures at another size, antialiased; unchanged if they have it already."""
    if images.pixels.shape[-2:] == (height, width):
        return images
    parts = [
        F.interpolate(part, (height, width), mode="bilinear", antialias=True)
        for part in torch.split(images.pixels, 4096)
    ]
    return replace(images, pixels=torch.cat(parts))
