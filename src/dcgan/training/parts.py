"""Data that are divided among processes (`split_data`): what their parts must have in common."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from dcgan.data.image_set import ImageSet
from dcgan.data.value_range import ValueRange
from dcgan.devices.connect import Devices, gather_over_ranks
from dcgan.errors import UserError
from dcgan.files import printable


@dataclass(frozen=True)
class _PartInfo:
    """What the other processes must know of a part."""

    count: int
    channels: int
    size: tuple[int, int]
    value_range: ValueRange | None
    classes: tuple[str, ...]
    content_key: str


def combine_parts(fabric: Devices, own: ImageSet) -> tuple[ImageSet, tuple[int, ...]]:
    """Return this process's part with the classes of all parts and one key of their content, and the size of each part.

    Classes of one name are one class. If a part has none, there are none.

    Raises:
        UserError: the parts have other sizes, channels or ranges of values.
    """
    channels, height, width = own.pixels.shape[1:]
    info = _PartInfo(len(own), channels, (height, width), own.value_range, own.classes, own.content_key)
    parts = gather_over_ranks(fabric, info)
    _check_alike(own.name, parts)
    classes = _join_classes(parts)
    labels = None
    if classes and own.labels is not None:
        labels = torch.tensor([classes.index(name) for name in own.classes])[own.labels]
    sizes = tuple(part.count for part in parts)
    key = hashlib.sha256(" ".join(part.content_key for part in parts).encode()).hexdigest()
    return replace(
        own, labels=labels, classes=classes, content_key=key, notices=(*own.notices, _describe(sizes))
    ), sizes


def _check_alike(name: str, parts: Sequence[_PartInfo]) -> None:
    values = {
        "--image-size": [f"{height}x{width}" for height, width in (part.size for part in parts)],
        "--channels": [f"{part.channels} channels" for part in parts],
        "--value-range": [str(part.value_range) for part in parts],
    }
    for flag, found in values.items():
        if len(set(found)) > 1:
            other = next(rank for rank, value in enumerate(found) if value != found[0])
            raise UserError(
                f"{printable(name)}: the part of process 0 has {found[0]}, and that of process {other} has "
                f"{found[other]}: give {flag}"
            )


def _join_classes(parts: Sequence[_PartInfo]) -> tuple[str, ...]:
    """Return the names of the classes of all parts, in the order in which the parts have them."""
    if not all(part.classes for part in parts):
        return ()
    return tuple(dict.fromkeys(name for part in parts for name in part.classes))


def _describe(sizes: Sequence[int]) -> str:
    return (
        f"{len(sizes)} processes hold {min(sizes):,} to {max(sizes):,} pictures each, {sum(sizes):,} together; grids, "
        "held-out pictures and the search for copies are those of the first process"
    )
