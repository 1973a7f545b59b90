"""The content of an image set: counts, sizes, kinds of files, unusable files, duplicates, and a contact sheet."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.digests import Digests, digest_images
from dcgan.data.open import ImageSet
from dcgan.data.resize import convert_channels
from dcgan.images import make_grid

THUMBNAIL_SIDE = 16
"""Pixels of a side of the thumbnails by which near duplicates are found."""
NEAR_DUPLICATE_DISTANCE = 5.0
"""Thumbnails that differ by less than this (root mean square, of 255) show the same image, saved in another way."""
MAX_COMPARED = 20_000
"""Images that are compared with each other: 20,000 make 200 million pairs, which take seconds."""
MAX_LISTED_PAIRS = 20
"""Pairs of duplicates that are named."""
MAX_COMMON_SIZES = 5
"""The commonest sizes that are named."""
CONTACT_SHEET_COUNT = 100
"""Images on the contact sheet."""
THUMBNAIL_BATCH_SIZE, DISTANCE_BATCH_SIZE = 4096, 1024
"""Images at a time of which thumbnails are made, and whose distances from all others are computed."""

Array = npt.NDArray[Any]


def examine_set(images: ImageSet, file_names: Sequence[str] = ()) -> dict[str, Any]:
    """Return what is in a set, as JSON types.

    Args:
        images: all images of the set.
        file_names: names of the files; `images.columns["indices"]` are indices into them.
    """
    channels, height, width = images.pixels.shape[1:]
    return {
        "pictures": len(images),
        "channels": channels,
        "size": [height, width],
        "classes": _count_classes(images),
        "sizes": _summarize_sizes(images),
        "modes": _count_modes(images),
        "broken": [{"file": name, "reason": reason} for name, reason in images.skipped_files],
        **_find_duplicates(images, file_names),
    }


def make_contact_sheet(images: ImageSet) -> npt.NDArray[np.uint8]:
    """Return up to `CONTACT_SHEET_COUNT` images, spread evenly over the classes, as one image (H, W, C)."""
    labels = torch.zeros(len(images)) if images.labels is None else images.labels
    order = torch.argsort(labels, stable=True)
    rows = order[torch.linspace(0, len(order) - 1, min(CONTACT_SHEET_COUNT, len(order))).long()]
    return make_grid(images.pixels[rows].permute(0, 2, 3, 1).numpy())


def _count_classes(images: ImageSet) -> dict[str, int]:
    if images.labels is None:
        return {}
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    return dict(zip(images.classes, counts, strict=True))


def _summarize_sizes(images: ImageSet) -> dict[str, Any]:
    """Return the smallest, the largest and the commonest sizes before the images were resized, height first."""
    if "sizes" not in images.columns:
        size = images.original_size
        return {"smallest": size, "largest": size, "commonest": {size: len(images)}}
    sizes, counts = np.unique(images.columns["sizes"], axis=0, return_counts=True)
    commonest = np.argsort(-counts, kind="stable")[:MAX_COMMON_SIZES]
    by_area = sizes[np.argsort(sizes.prod(axis=1, dtype=np.int64), kind="stable")]
    return {
        "smallest": _size_text(by_area[0]),
        "largest": _size_text(by_area[-1]),
        "commonest": {_size_text(sizes[i]): int(counts[i]) for i in commonest},
        "different": len(sizes),
    }


def _size_text(size: Array) -> str:
    return "x".join(map(str, size.tolist()))


def _count_modes(images: ImageSet) -> dict[str, int]:
    if "modes" not in images.columns:
        return {"uint8": len(images)}
    return dict(Counter(images.mode_names[number] for number in images.columns["modes"].tolist()).most_common())


def _find_duplicates(images: ImageSet, file_names: Sequence[str]) -> dict[str, Any]:
    """Return pairs of images with equal files or pixels, and pairs that look nearly the same."""
    first, copies = _find_copies(_digests(images))
    # Near duplicates are searched among the first ones only, because their copies are listed already.
    step = max(1, -(-len(first) // MAX_COMPARED))
    rows = first[::step]
    near = [(int(rows[i]), int(rows[j])) for i, j in find_near_pairs(make_thumbnails(images.pixels, rows))]
    return {
        "duplicates": len(copies),
        "duplicate_pairs": [_name_pair(pair, images, file_names) for pair in copies[:MAX_LISTED_PAIRS]],
        "near_duplicates": len(near),
        "near_duplicate_pairs": [_name_pair(pair, images, file_names) for pair in near[:MAX_LISTED_PAIRS]],
        "compared": len(rows),
    }


def _find_copies(digests: Digests) -> tuple[Array, list[tuple[int, int]]]:
    """Return the rows of the first image with each digest, in order, and (first row, row) of each other image."""
    _, first, group = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    first_of_row = first[group.ravel()]
    copies = np.flatnonzero(first_of_row != np.arange(len(first_of_row)))
    return np.sort(first), [(int(first_of_row[row]), int(row)) for row in copies]


def _digests(images: ImageSet) -> Digests:
    digests = images.columns.get("digests")
    return digest_images(images.pixels.numpy()) if digests is None else digests


def _name_pair(pair: tuple[int, int], images: ImageSet, file_names: Sequence[str]) -> list[str]:
    columns = images.columns
    indices = [int(columns["indices"][row]) if "indices" in columns else row for row in pair]
    return [file_names[index] if file_names else f"#{index}" for index in indices]


def make_thumbnails(pixels: Tensor, rows: Array) -> Tensor:
    """Return thumbnails, floats (n, D) in 0 to 255, of some rows of images uint8 (N, C, H, W).

    Transparent images are composited on white.
    """
    parts = []
    for batch_rows in torch.split(torch.from_numpy(rows), THUMBNAIL_BATCH_SIZE):
        color = convert_channels(pixels[batch_rows], min(3, pixels.shape[1])).float()
        parts.append(F.interpolate(color, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), mode="area").flatten(1))
    return torch.cat(parts)


def find_near_pairs(thumbnails: Tensor) -> list[tuple[int, int]]:
    """Return pairs i < j of thumbnails (n, D) whose root mean square difference is below `NEAR_DUPLICATE_DISTANCE`."""
    n, size = thumbnails.shape
    squares = thumbnails.square().sum(1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, n, DISTANCE_BATCH_SIZE):
        batch = slice(start, start + DISTANCE_BATCH_SIZE)
        distances = squares[batch, None] + squares[None] - 2 * thumbnails[batch] @ thumbnails.T
        rows, columns = torch.nonzero(distances < size * NEAR_DUPLICATE_DISTANCE**2, as_tuple=True)
        pairs += [(i, j) for i, j in zip((rows + start).tolist(), columns.tolist(), strict=True) if i < j]
    return pairs
