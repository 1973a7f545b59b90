"""What is to be judged, a model or files, as samples that come in pieces."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from dcgan.data.decode import ResizeOptions
from dcgan.data.open import ImageSet, open_images
from dcgan.data.resize import resize_images
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.metrics.features import FeatureExtractor
from dcgan.metrics.reference import EVALUATION_BATCH, random_rows
from dcgan.models import shipped
from dcgan.sampling.model import Model, generate_pixels, load

Shape = tuple[int, int, int]
SampleBatch = tuple[Tensor, Tensor | None]
"""Pictures uint8 (k, C, H, W), and the classes that they were asked to show, int64 (k,), if any were."""


@dataclass(frozen=True)
class SampleSource:
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
    draw: Callable[[int, int], Iterator[SampleBatch]]
    there: int | None = None
    data: str | None = None
    fit: str = "crop"
    classes: tuple[str, ...] = ()


def open_samples(source: str | os.PathLike[str] | Model) -> SampleSource:
    """Open a model, an `.npz` of samples or a folder of pictures.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if isinstance(source, Model):
        return samples_of_model(source)
    if shipped.shipped_model_folder(source) is not None:
        return samples_of_model(load(source))
    path = Path(source)
    is_model = any((path / name / "model.safetensors").is_file() for name in ("", "model", ".model.old"))
    if path.exists() and not is_model and not (path / "config.json").is_file():
        return samples_of_images(open_images(str(source), "all"))
    return samples_of_model(load(source))


def samples_of_model(model: Model) -> SampleSource:
    """A generator's samples: those that `Model.sample` draws, a piece at a time."""

    def pieces(seed: int, n: int) -> Iterator[SampleBatch]:
        z, labels = model.latents(n, seed), model.labels(n)
        for start in range(0, n, EVALUATION_BATCH):  # whole blocks, so that they are the same samples to the bit
            part = None if labels is None else labels[start : start + EVALUATION_BATCH]
            yield (
                torch.from_numpy(generate_pixels(model.generator, z[start : start + EVALUATION_BATCH], part)).permute(
                    0, 3, 1, 2
                ),
                part,
            )

    trained_on, fit = model.trained.get("data") or None, str(model.trained.get("fit", "crop"))
    return SampleSource(
        model.source, model.generator.picture_shape, pieces, data=trained_on, fit=fit, classes=model.classes
    )


def samples_of_images(images: ImageSet) -> SampleSource:
    """Samples that came as files, in random order."""

    def pieces(seed: int, n: int) -> Iterator[SampleBatch]:
        for rows in torch.split(random_rows(len(images), n), EVALUATION_BATCH):
            yield images.pixels[rows], None if images.labels is None else images.labels[rows]

    return SampleSource(images.name, image_shape(images.pixels), pieces, there=len(images), classes=images.classes)


def image_shape(pixels: Tensor) -> Shape:
    """(C, H, W) of pictures (N, C, H, W)."""
    _, channels, height, width = pixels.shape
    return int(channels), int(height), int(width)


def match_shape(
    samples: SampleSource, shape: Shape, resize: bool, eyes: FeatureExtractor | None, spec: str
) -> SampleSource:
    """Samples in the shape of the real pictures, converted only if that was asked for."""
    if samples.shape == shape:
        return samples
    if not resize:
        reader = f"the features {eyes.name} read" if eyes else f"{spec} has"
        raise UserError(
            f"{printable(samples.name)} has pictures of {_said(samples.shape)}, {reader} {_said(shape)}: "
            "add --resize to convert them"
        )
    options = ResizeOptions(shape[1], shape[2], shape[0], "crop")

    def pieces(seed: int, n: int) -> Iterator[SampleBatch]:
        for pixels, labels in samples.draw(seed, n):
            yield torch.from_numpy(resize_images(pixels.numpy(), options)), labels

    return replace(samples, shape=shape, draw=pieces)


def _said(shape: Shape) -> str:
    kind = {1: "gray", 3: "RGB", 4: "RGBA"}.get(shape[0], f"{shape[0]} channels")
    return f"{shape[1]}x{shape[2]} {kind}"


def match_classes(samples: SampleSource, classes: tuple[str, ...]) -> SampleSource:
    """The same samples, what was asked for as numbers of these classes; unasked where one of its names is not there."""
    if samples.classes == classes or not samples.classes:
        return samples
    known = set(samples.classes) <= set(classes)
    number = torch.tensor([classes.index(name) for name in samples.classes]) if known else None

    def pieces(seed: int, n: int) -> Iterator[SampleBatch]:
        for pixels, labels in samples.draw(seed, n):
            yield pixels, None if number is None or labels is None else number[labels]

    return replace(samples, draw=pieces, classes=classes if known else ())
