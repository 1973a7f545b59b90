"""A picture -> the latent whose picture is nearest: gradient descent from the nearest of many random samples.

Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold" (2016), without their encoder; starting from
several random samples stands in for it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from dcgan.data.decode import ResizeOptions, decode_all
from dcgan.errors import UserError
from dcgan.files import atomic_folder, printable
from dcgan.images import Pixels, save_png, to_float, to_uint8
from dcgan.sampling.model import Model, generate_pixels

POOL = 1024
"""Random samples that the start is chosen from, of all classes together."""
STARTS, KEPT = 12, 4
"""Candidates that are tried for a few steps, and how many of them go on."""
FIRST_STEPS, STEPS = 25, 100
RATE = 0.1
TYPICAL = 1e-3
"""Weight of |z|² / z_dim beside the squared difference of values in [-1, 1]: it keeps the latent where samples are."""


@dataclass(frozen=True)
class Inversion:
    """What was found for one picture.

    Attributes:
        z: the latent, (z_dim,).
        label: the class that it is drawn with; None for a model without classes.
        pixels: the reconstruction, uint8 (H, W, C).
        error: root of the mean squared difference to the picture, in levels of 0..255.
    """

    z: Tensor
    label: int | None
    pixels: Pixels
    error: float


@dataclass(frozen=True)
class StartPool:
    """Random samples of a model, drawn once for many pictures: z (P, z_dim), labels (P,) or None, images (P, C·H·W)."""

    z: Tensor
    labels: Tensor | None
    images: Tensor


def draw_start_pool(model: Model, label: int | str | None = None) -> StartPool:
    """Draw the samples that starts are chosen from; of one class only if `label` is given."""
    z, labels = model.latents(POOL), model.labels(POOL, label)
    pixels = torch.from_numpy(generate_pixels(model.generator, z, labels)).permute(0, 3, 1, 2)
    return StartPool(z, labels, to_float(pixels).flatten(1))


def invert(model: Model, picture: Pixels, pool: StartPool | None = None) -> Inversion:
    """Find the latent whose picture is nearest to one picture.

    Args:
        model: a generator on the CPU.
        picture: uint8 (H, W, C) of the generator's own shape.
        pool: of `make_pool`, where several pictures are inverted; its classes are those that are searched.

    Raises:
        UserError: the picture has another shape.
    """
    channels, height, width = model.generator.picture_shape
    if picture.shape != (height, width, channels):
        raise UserError(f"the picture must be (H, W, C) = {(height, width, channels)}, not {picture.shape}")
    pool = pool or draw_start_pool(model)
    target = to_float(torch.from_numpy(np.array(picture)).permute(2, 0, 1)).flatten()
    rows = _starts(pool, target)
    z, labels = pool.z[rows], None if pool.labels is None else pool.labels[rows]
    z, losses = _descend(model, target, z, labels, FIRST_STEPS)
    kept = losses.argsort()[:KEPT]
    labels = None if labels is None else labels[kept]
    z, losses = _descend(model, target, z[kept], labels, STEPS)
    return _found(model, target, z[losses.argmin()], None if labels is None else int(labels[losses.argmin()]))


def _starts(pool: StartPool, target: Tensor) -> Tensor:
    """The samples to start from: the nearest of every class that has one, and the nearest of all."""
    order = ((pool.images - target) ** 2).mean(1).argsort()
    if pool.labels is None:
        return order[:STARTS]
    _, first = np.unique(pool.labels[order].numpy(), return_index=True)
    nearest = np.sort(first)[: STARTS - 2]
    others = np.setdiff1d(np.arange(len(order)), nearest)[: STARTS - len(nearest)]
    return order[torch.from_numpy(np.concatenate([nearest, others]))]


def _descend(model: Model, target: Tensor, z: Tensor, labels: Tensor | None, steps: int) -> tuple[Tensor, Tensor]:
    """Adam on latents (N, z_dim): the latents that it ends with, and the loss of each, (N,)."""
    z = z.clone().requires_grad_(True)
    optimizer = Adam([z], lr=RATE, betas=(0.9, 0.99))
    with torch.enable_grad():
        for _ in range(steps):
            losses = _losses(model, target, z, labels)
            (z.grad,) = torch.autograd.grad(losses.sum(), z)
            optimizer.step()
    with torch.no_grad():
        return z.detach(), _losses(model, target, z, labels)


def _losses(model: Model, target: Tensor, z: Tensor, labels: Tensor | None) -> Tensor:
    images = model.generator(z) if labels is None else model.generator(z, labels)
    found: Tensor = ((images.flatten(1) - target) ** 2).mean(1) + TYPICAL * (z**2).mean(1)
    return found


@torch.no_grad()
def _found(model: Model, target: Tensor, z: Tensor, label: int | None) -> Inversion:
    labels = None if label is None else torch.tensor([label])
    images = model.generator(z[None]) if labels is None else model.generator(z[None], labels)
    error = 127.5 * float(((images.flatten() - target) ** 2).mean().sqrt())
    return Inversion(z, label, to_uint8(images)[0], error)


def read_picture(model: Model, path: Path) -> Pixels:
    """A picture file as the generator draws: cropped to its aspect, resized, gray or in colour; uint8 (H, W, C).

    Raises:
        UserError: it is no picture, or too large to be read.
    """
    channels, height, width = model.generator.picture_shape
    (picture,) = decode_all(
        [(str(path), None)], ResizeOptions(height, width, channels, model.trained.get("fit", "crop"))
    )
    if isinstance(picture, str):
        raise UserError(f"cannot use {printable(str(path))}: {picture}")
    return picture.pixels


def write_inversion(found: Inversion, out: Path) -> None:
    """Write `latent.npz` (z, and label if there is one) and `reconstruction.png` into the folder `out`.

    Raises:
        UserError: it cannot be written.
    """
    arrays: dict[str, Any] = {"z": found.z[None].numpy()} | (
        {} if found.label is None else {"label": np.array([found.label])}
    )
    try:
        with atomic_folder(out) as aside:
            np.savez(aside / "latent.npz", **arrays)
            save_png(found.pixels, aside / "reconstruction.png")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
