"""The content of an image set: counts, sizes, kinds of files, unusable files, duplicates, and a contact sheet."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dcgan.data.digests import Digests, digest_images
from dcgan.data.near_duplicates import MAX_COMPARED, group_near_duplicates
from dcgan.data.open import ImageSet
from dcgan.data.similarity import make_thumbnails
from dcgan.images import make_grid

MAX_LISTED_PAIRS = 20
"""Pairs of duplicates that are named."""
MAX_COMMON_SIZES = 5
"""The commonest sizes that are named."""
CONTACT_SHEET_COUNT = 100
"""Images on the contact sheet."""

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
    """Return pairs of images with equal files or pixels, and pairs of variants of one picture."""
    first, copies = _find_copies(_digests(images))
    # Near duplicates are searched among the first ones only, because their copies are listed already.
    step = max(1, -(-len(first) // MAX_COMPARED))
    rows = first[::step]
    near, group_count = _find_variants(images, rows, is_complete=step == 1)
    return {
        "duplicates": len(copies),
        "duplicate_pairs": [_name_pair(pair, images, file_names) for pair in copies[:MAX_LISTED_PAIRS]],
        "near_duplicates": len(near),
        "near_duplicate_groups": group_count,
        "near_duplicate_pairs": [_name_pair(pair, images, file_names) for pair in near[:MAX_LISTED_PAIRS]],
        "compared": len(rows),
    }


def _find_variants(images: ImageSet, rows: Array, *, is_complete: bool) -> tuple[list[tuple[int, int]], int]:
    """Return (first row, row) of each near duplicate of an earlier image, and the number of groups of them.

    The groups by which the set was divided are used if it was divided by groups.
    """
    if is_complete and "groups" in images.columns:
        groups = images.columns["groups"][rows]
    else:
        groups = group_near_duplicates(make_thumbnails(images.pixels[torch.from_numpy(rows)])).numpy()
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    first_of_row = first[members.ravel()]
    variants = np.flatnonzero(first_of_row != np.arange(len(rows)))
    pairs = [(int(rows[first_of_row[i]]), int(rows[i])) for i in variants]
    return pairs, len({pair[0] for pair in pairs})


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
