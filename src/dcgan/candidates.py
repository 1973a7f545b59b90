"""What is to be judged, a model or files, as samples that come in pieces."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from dcgan import shipped
from dcgan.config import UserError
from dcgan.data import Images, open_images
from dcgan.data.decode import Options
from dcgan.data.resize import resized
from dcgan.files import printable
from dcgan.metrics.features import Features
from dcgan.metrics.reference import TOGETHER, rows_of
from dcgan.sample import Model, draw, load

Shape = tuple[int, int, int]
Piece = tuple[Tensor, Tensor | None]
"""Pictures uint8 (k, C, H, W), and the classes that they were asked to show, int64 (k,), if any were."""


@dataclass(frozen=True)
class Samples:
    """What is to be evaluated.

    Attributes:
        name: as the user named it.
        shape: (C, H, W).
        draw: (seed, n) -> the samples in pieces. Files give the same ones for every seed.
        there: how many there are; None for a model, which draws as many as it is asked for.
        data: what a model was trained on.
        fit: how that was brought to the model's size.
        classes: the names of those that were asked for; none where nothing was asked.
    """

    name: str
    shape: Shape
    draw: Callable[[int, int], Iterator[Piece]]
    there: int | None = None
    data: str | None = None
    fit: str = "crop"
    classes: tuple[str, ...] = ()


def open_samples(source: str | os.PathLike[str] | Model) -> Samples:
    """Open a model, an `.npz` of samples or a folder of pictures.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if isinstance(source, Model):
        return of_model(source)
    if shipped.place(source) is not None:
        return of_model(load(source))
    path = Path(source)
    is_model = any((path / name / "model.safetensors").is_file() for name in ("", "model", ".model.old"))
    if path.exists() and not is_model and not (path / "config.json").is_file():
        return of_images(open_images(str(source), "all"))
    return of_model(load(source))


def of_model(model: Model) -> Samples:
    """A generator's samples: those that `Model.sample` draws, a piece at a time."""

    def pieces(seed: int, n: int) -> Iterator[Piece]:
        z, labels = model.latents(n, seed), model.labels(n)
        for start in range(0, n, TOGETHER):  # whole blocks, so that they are the same samples to the bit
            part = None if labels is None else labels[start : start + TOGETHER]
            yield torch.from_numpy(draw(model.generator, z[start : start + TOGETHER], part)).permute(0, 3, 1, 2), part

    trained_on, fit = model.trained.get("data") or None, str(model.trained.get("fit", "crop"))
    return Samples(model.source, model.generator.picture_shape, pieces, data=trained_on, fit=fit, classes=model.classes)


def of_images(images: Images) -> Samples:
    """Samples that came as files, in random order."""

    def pieces(seed: int, n: int) -> Iterator[Piece]:
        for rows in torch.split(rows_of(len(images), n), TOGETHER):
            yield images.pixels[rows], None if images.labels is None else images.labels[rows]

    return Samples(images.name, shape_of(images.pixels), pieces, there=len(images), classes=images.classes)


def shape_of(pixels: Tensor) -> Shape:
    """(C, H, W) of pictures (N, C, H, W)."""
    _, channels, height, width = pixels.shape
    return int(channels), int(height), int(width)


def fitting(samples: Samples, shape: Shape, resize: bool, eyes: Features | None, spec: str) -> Samples:
    """Samples in the shape of the real pictures, converted only if that was asked for."""
    if samples.shape == shape:
        return samples
    if not resize:
        reader = f"the features {eyes.name} read" if eyes else f"{spec} has"
        raise UserError(
            f"{printable(samples.name)} has pictures of {_said(samples.shape)}, {reader} {_said(shape)}: "
            "add --resize to convert them"
        )
    options = Options(shape[1], shape[2], shape[0], "crop")

    def pieces(seed: int, n: int) -> Iterator[Piece]:
        for pixels, labels in samples.draw(seed, n):
            yield torch.from_numpy(resized(pixels.numpy(), options)), labels

    return replace(samples, shape=shape, draw=pieces)


def _said(shape: Shape) -> str:
    kind = {1: "gray", 3: "RGB", 4: "RGBA"}.get(shape[0], f"{shape[0]} channels")
    return f"{shape[1]}x{shape[2]} {kind}"


def named_as(samples: Samples, classes: tuple[str, ...]) -> Samples:
    """The same samples, what was asked for as numbers of these classes; unasked where one of its names is not there."""
    if samples.classes == classes or not samples.classes:
        return samples
    known = set(samples.classes) <= set(classes)
    number = torch.tensor([classes.index(name) for name in samples.classes]) if known else None

    def pieces(seed: int, n: int) -> Iterator[Piece]:
        for pixels, labels in samples.draw(seed, n):
            yield pixels, None if number is None or labels is None else number[labels]

    return replace(samples, draw=pieces, classes=classes if known else ())
