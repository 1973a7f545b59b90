"""The samples to evaluate, drawn from a model or read from files, in batches."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcgan.data.decode import ResizeOptions
from dcgan.data.listing import describe_skipped
from dcgan.data.open import ImageSet, open_images
from dcgan.data.resize import resize_images
from dcgan.errors import UserError
from dcgan.evaluation.training_data import TrainingData, training_data_of
from dcgan.files import composed, printable
from dcgan.images import color_mode
from dcgan.metrics.extractor import FeatureExtractor
from dcgan.metrics.reference import EVALUATION_BATCH_SIZE, choose_rows
from dcgan.models import shipped
from dcgan.models.families import ImageShape
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.sampling.generate import generate_pixels
from dcgan.sampling.model import Model, load

SampleBatch = tuple[Tensor, Tensor | None]
"""Images uint8 (k, C, H, W), and the classes that they were requested to show, int64 (k,), or None."""


@dataclass(frozen=True)
class SampleSource:
    """Where the samples of an evaluation come from.

    Attributes:
        name: the source as the user named it.
        image_shape: (C, H, W).
        draw: (seed, n) -> `n` samples in batches. Files give the same samples for every seed.
        count: how many samples there are; None for a model, which draws as many as needed.
        training_data: what is known of the data that a model was trained on.
        fit: how these were brought to the model's size.
        classes: the names of the requested classes; empty if no classes were requested.
        original_size: the size of the pictures in the files, such as `32x32` or `20x20 to 20x26`; empty for a model.
        path: of the files; empty for a model.
        find_groups: (seed, n) -> the group of similar pictures that each sample is of, int64 (n,); None without groups.
        group_names: the names of the groups.
        notices: what was guessed, passed over and not usable in the files.
        trained: the record of the training of a model, see `Model.trained`; empty for files.
    """

    name: str
    image_shape: ImageShape
    draw: Callable[[int, int], Iterator[SampleBatch]]
    count: int | None = None
    training_data: TrainingData | None = None
    fit: str = "crop"
    classes: tuple[str, ...] = ()
    original_size: str = ""
    path: str = ""
    find_groups: Callable[[int, int], Tensor] | None = None
    group_names: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    trained: Mapping[str, Any] = field(default_factory=dict)


def open_samples(source: str | os.PathLike[str] | Model) -> SampleSource:
    """Open a model, an `.npz` of samples or a folder of pictures.

    Raises:
        UserError: there is no such source, or it cannot be read.
    """
    if isinstance(source, Model):
        return samples_of_model(source)
    if shipped.find_shipped_model(source) is not None:
        return samples_of_model(load(source))
    if not os.fspath(source):
        raise UserError("the name of what is evaluated is empty: give a model, an .npz of samples or a folder")
    path = Path(source)
    is_model = any((path / name / "model.safetensors").is_file() for name in ("", "model", ".model.old"))
    if path.exists() and not is_model and not (path / "config.json").is_file():
        return replace(samples_of_images(open_images(str(source), "all")), path=str(source))
    return samples_of_model(load(source))


def samples_of_model(model: Model) -> SampleSource:
    """Return the source that draws the samples of `Model.sample`, a batch at a time."""

    def draw(seed: int, n: int) -> Iterator[SampleBatch]:
        z, labels = model.latents(n, seed), model.labels(n)
        # The batch size is a multiple of the generator's block, so the samples are equal to those of `sample`, bit by
        # bit.
        for start in range(0, n, EVALUATION_BATCH_SIZE):
            rows = slice(start, start + EVALUATION_BATCH_SIZE)
            batch_labels = None if labels is None else labels[rows]
            pixels = torch.from_numpy(generate_pixels(model.generator, z[rows], batch_labels))  # (k, H, W, C)
            yield pixels.permute(0, 3, 1, 2), batch_labels

    def find_groups(seed: int, n: int) -> Tensor:
        assert isinstance(model.generator, GroupedGenerator)
        return model.generator.group_weights(model.latents(n, seed), model.labels(n)).argmax(1)

    return SampleSource(
        model.source,
        model.generator.picture_shape,
        draw,
        training_data=training_data_of(model),
        fit=str(model.trained.get("fit", "crop")),
        classes=model.classes,
        trained=model.trained,
        find_groups=find_groups if isinstance(model.generator, GroupedGenerator) else None,
        group_names=_name_groups(model),
    )


def _name_groups(model: Model) -> tuple[str, ...]:
    """Return the number of each group, with the name of its class if there are classes."""
    names = map(str, range(model.generator.groups))
    if not model.classes:
        return tuple(f"group {name}" for name in names)
    groups_per_class = model.generator.groups // len(model.classes)
    return tuple(f"group {name} ({model.classes[i // groups_per_class]})" for i, name in enumerate(names))


def samples_of_images(images: ImageSet) -> SampleSource:
    """Return the source that gives the pictures of files, in random order."""

    def draw(seed: int, n: int) -> Iterator[SampleBatch]:
        for rows in torch.split(choose_rows(len(images), n), EVALUATION_BATCH_SIZE):
            yield images.pixels[rows], None if images.labels is None else images.labels[rows]

    return SampleSource(
        images.name,
        image_shape(images.pixels),
        draw,
        count=len(images),
        classes=images.classes,
        original_size=images.original_size,
        notices=tuple(reading_notes(images, images.name)),
    )


def reading_notes(images: ImageSet, source: str) -> list[str]:
    """Return what was guessed, passed over and not usable in what the user names."""
    notes = [f"{printable(source)}: {notice}" for notice in images.notices]
    if images.skipped_files:
        notes.append(f"{printable(source)}: {describe_skipped(images.skipped_files)}")
    return notes


def image_shape(pixels: Tensor) -> ImageShape:
    """Return the shape (C, H, W) of the images in (N, C, H, W)."""
    _, channels, height, width = pixels.shape
    return int(channels), int(height), int(width)


def match_size(samples: SampleSource, images: ImageSet, resize: bool, data: str) -> tuple[SampleSource, list[str]]:
    """Return samples of files that have one size with the real pictures, and a line if they were resized.

    Opening files of several sizes, or of a large one, has already resized them. That is right if the real pictures
    had the same size and were resized in the same way, or if the user asks for it.

    Raises:
        UserError: the samples were resized, the real pictures had another size, and `resize` is False.
    """
    _, height, width = samples.image_shape
    if not samples.original_size or samples.original_size == f"{height}x{width}":
        return samples, []
    has_same_size = samples.original_size == images.original_size and " to " not in samples.original_size
    if not has_same_size and not resize:
        raise UserError(
            f"{printable(samples.name)} has pictures of {samples.original_size}, {printable(data)} has "
            f"{images.original_size}, compared at {_describe_shape(image_shape(images.pixels))}: add --resize to "
            "convert them"
        )
    channels, *size = image_shape(images.pixels)
    if samples.image_shape != (channels, *size):  # opened again, so that they are resized once only
        samples = samples_of_images(open_images(samples.path, "all", size=(size[0], size[1]), channels=channels))
    return samples, [f"the samples of {samples.original_size} were resized to {size[0]}x{size[1]} (crop)"]


def match_shape(
    samples: SampleSource, shape: ImageShape, resize: bool, extractor: FeatureExtractor | None, data: str
) -> SampleSource:
    """Return the samples in the shape of the real pictures.

    Args:
        samples: the samples.
        shape: of the real pictures, (C, H, W).
        resize: whether samples of another shape may be converted.
        extractor: the feature extractor if the shape is the one that it needs, for the error line.
        data: the name of the data, for the error line.

    Raises:
        UserError: the samples have another shape and `resize` is False.
    """
    if samples.image_shape == shape:
        return samples
    if not resize:
        needed_by = f"the features {extractor.name} read" if extractor else f"{data} has"
        raise UserError(
            f"{printable(samples.name)} has pictures of {_describe_shape(samples.image_shape)}, "
            f"{needed_by} {_describe_shape(shape)}: add --resize to convert them"
        )
    options = ResizeOptions(shape[1], shape[2], shape[0], "crop")

    def draw(seed: int, n: int) -> Iterator[SampleBatch]:
        for pixels, labels in samples.draw(seed, n):
            yield torch.from_numpy(resize_images(pixels.numpy(), options)), labels

    return replace(samples, image_shape=shape, draw=draw)


def _describe_shape(shape: ImageShape) -> str:
    channels, height, width = shape
    return f"{height}x{width} {color_mode(channels)}"


def match_classes(samples: SampleSource, classes: tuple[str, ...]) -> SampleSource:
    """Return the samples with their requested classes as indices into `classes`.

    The classes are matched by name. If one of the names is not in `classes`, the samples have no requested classes.
    """
    if samples.classes == classes or not samples.classes:
        return samples
    names = list(map(composed, classes))
    own_names = list(map(composed, samples.classes))
    is_known = set(own_names) <= set(names)
    new_labels = torch.tensor([names.index(name) for name in own_names]) if is_known else None

    def draw(seed: int, n: int) -> Iterator[SampleBatch]:
        for pixels, labels in samples.draw(seed, n):
            yield pixels, None if new_labels is None or labels is None else new_labels[labels]

    return replace(samples, draw=draw, classes=classes if is_known else ())
