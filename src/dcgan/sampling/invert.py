"""Inversion: the latent that draws a given picture best, by gradient descent from the nearest of many random samples.

Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold" (2016), but without their encoder: gradient
descent starts from several random samples instead.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from dcgan.config import check_value_range
from dcgan.data.decode import ResizeOptions, decode_files
from dcgan.data.value_range import SetExtrema, ValueRange, find_value_range, value_range_of
from dcgan.errors import UserError
from dcgan.files import atomic_folder, printable, write_reason
from dcgan.images import Pixels, save_png, to_float, to_uint8
from dcgan.sampling.generate import generate_pixels
from dcgan.sampling.model import Model
from dcgan.system.torch_settings import isolate_torch_settings

POOL_SIZE = 1024
"""Number of random samples, of all classes, from which the starts are chosen."""
START_COUNT = 12
"""Number of latents that are optimized for `FIRST_STEPS`."""
FINALIST_COUNT = 4
"""Number of latents, the best of the starts, that are optimized for `FINAL_STEPS` more."""
FIRST_STEPS = 25
FINAL_STEPS = 100
LEARNING_RATE = 0.1
BETAS = (0.9, 0.99)
PRIOR_WEIGHT = 1e-3
"""Weight of |z|² / z_dim in the loss, beside the mean squared difference of values in [-1, 1]. It keeps the latent near
typical samples."""


@dataclass(frozen=True)
class Inversion:
    """The best latent for a picture.

    Attributes:
        z: the latent, (z_dim,).
        label: the class that it draws; None for a model without classes.
        pixels: the picture that it draws, uint8 (H, W, C).
        error: root mean squared difference from the given picture, in levels of 0 to 255.
    """

    z: Tensor
    label: int | None
    pixels: Pixels
    error: float


@dataclass(frozen=True)
class SamplePool:
    """Random samples of a model, which are drawn once for the inversion of many pictures.

    Attributes:
        z: latents, (P, z_dim).
        labels: classes, int64 (P,); None for a model without classes.
        images: what they draw, in [-1, 1], (P, C * H * W).
    """

    z: Tensor
    labels: Tensor | None
    images: Tensor


@isolate_torch_settings()
def draw_sample_pool(model: Model, label: int | str | None = None) -> SamplePool:
    """Draw the samples that an inversion can start from.

    Args:
        model: what draws them.
        label: class of all samples, by index or by name; without it, all classes in turn.

    Raises:
        UserError: there is no such class.
    """
    z, labels = model.latents(POOL_SIZE), model.labels(POOL_SIZE, label)
    pixels = torch.from_numpy(generate_pixels(model.generator, z, labels)).permute(0, 3, 1, 2)
    return SamplePool(z, labels, to_float(pixels).flatten(1))


@isolate_torch_settings()
def invert_image(model: Model, pixels: Pixels, pool: SamplePool | None = None) -> Inversion:
    """Find the latent that draws a picture best.

    Args:
        model: its generator is on the CPU.
        pixels: the picture, uint8 (H, W, C) of the shape that the generator draws.
        pool: from `draw_sample_pool`, if several pictures are inverted or only one class is searched.

    Raises:
        UserError: the picture has another shape.
    """
    channels, height, width = model.generator.picture_shape
    if pixels.shape != (height, width, channels):
        raise UserError(f"the picture must be (H, W, C) = {(height, width, channels)}, not {pixels.shape}")
    pool = pool or draw_sample_pool(model)
    target = to_float(torch.from_numpy(np.array(pixels)).permute(2, 0, 1)).flatten()
    rows = _choose_starts(pool, target)
    z, labels = pool.z[rows], None if pool.labels is None else pool.labels[rows]
    z, losses = _optimize(model, target, z, labels, FIRST_STEPS)
    rows = losses.argsort()[:FINALIST_COUNT]
    labels = None if labels is None else labels[rows]
    z, losses = _optimize(model, target, z[rows], labels, FINAL_STEPS)
    best = losses.argmin()
    return _reconstruct(model, target, z[best], None if labels is None else int(labels[best]))


def read_image(model: Model, path: Path, value_range: ValueRange | None = None) -> tuple[Pixels, str]:
    """Read a picture file in the shape that the model draws: cropped, resized, gray or in color.

    Args:
        model: the model.
        path: the file.
        value_range: the values of a picture of more than 8 bits that become black and white. By default those of the
            model's training; if it was trained on 8 bits, they are guessed from the picture.

    Returns:
        The picture, uint8 (H, W, C), and a line that says what was guessed; an empty line if nothing was.

    Raises:
        UserError: the file is no picture, or too large.
    """
    if value_range is not None:
        check_value_range(*value_range)
    channels, height, width = model.generator.picture_shape
    known_range = value_range or value_range_of(model.trained)
    options = ResizeOptions(height, width, channels, model.trained.get("fit", "crop"), known_range)
    (image,) = decode_files([(str(path), None)], options)
    if isinstance(image, str):
        raise UserError(f"cannot use {printable(str(path))}: {image}")
    if image.extrema is None or known_range is not None:
        is_unused = image.extrema is None and value_range is not None
        return image.pixels, "--value-range changes nothing, because the picture has 8 bits" if is_unused else ""
    extrema = SetExtrema()
    extrema.add(image.extrema)  # the model was trained on 8 bits: the picture is a set of one
    guessed_range, notice = find_value_range(extrema, printable(str(path)))
    (image,) = decode_files([(str(path), None)], replace(options, value_range=guessed_range))
    assert not isinstance(image, str)
    return image.pixels, notice


def write_inversion(inversion: Inversion, out: Path) -> None:
    """Write `latent.npz` (z, and label if there is one) and `reconstruction.png` into the folder `out`.

    Raises:
        UserError: it cannot be written.
    """
    arrays: dict[str, Any] = {"z": inversion.z[None].numpy()}
    if inversion.label is not None:
        arrays["label"] = np.array([inversion.label])
    try:
        with atomic_folder(out) as temporary:
            np.savez(temporary / "latent.npz", **arrays)
            save_png(inversion.pixels, temporary / "reconstruction.png")
    except OSError as error:
        raise UserError(f"cannot write {out}: {write_reason(error)}") from None


def _choose_starts(pool: SamplePool, target: Tensor) -> Tensor:
    """Return the rows of the pool to start from: the nearest sample of each class, then the nearest of all."""
    nearest_rows = ((pool.images - target) ** 2).mean(1).argsort()
    if pool.labels is None:
        return nearest_rows[:START_COUNT]
    _, first_positions = np.unique(pool.labels[nearest_rows].numpy(), return_index=True)
    class_positions = np.sort(first_positions)[: START_COUNT - 2]
    other_positions = np.setdiff1d(np.arange(len(nearest_rows)), class_positions)[: START_COUNT - len(class_positions)]
    return nearest_rows[torch.from_numpy(np.concatenate([class_positions, other_positions]))]


def _optimize(model: Model, target: Tensor, z: Tensor, labels: Tensor | None, steps: int) -> tuple[Tensor, Tensor]:
    """Optimize latents (N, z_dim) with Adam; return them with their losses, (N,)."""
    z = z.clone().requires_grad_(True)
    optimizer = Adam([z], lr=LEARNING_RATE, betas=BETAS)
    with torch.enable_grad():
        for _ in range(steps):
            losses = _losses(model, target, z, labels)
            (z.grad,) = torch.autograd.grad(losses.sum(), z)
            optimizer.step()
    with torch.no_grad():
        return z.detach(), _losses(model, target, z, labels)


def _losses(model: Model, target: Tensor, z: Tensor, labels: Tensor | None) -> Tensor:
    """Return for each of the latents (N, z_dim) how far its picture is from the target (C·H·W,), (N,)."""
    images = model.generator(z) if labels is None else model.generator(z, labels)
    losses: Tensor = ((images.flatten(1) - target) ** 2).mean(1) + PRIOR_WEIGHT * (z**2).mean(1)
    return losses


@torch.no_grad()
def _reconstruct(model: Model, target: Tensor, z: Tensor, label: int | None) -> Inversion:
    images = model.generator(z[None]) if label is None else model.generator(z[None], torch.tensor([label]))
    error = 127.5 * float(((images.flatten() - target) ** 2).mean().sqrt())
    return Inversion(z, label, to_uint8(images)[0], error)
