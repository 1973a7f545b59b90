"""What is in a set: counts, sizes, kinds of files, what is broken, what is there twice, and a contact sheet."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.open import ImageSet
from dcgan.data.resize import convert_channels
from dcgan.images import make_grid

THUMB = 16
"""Side of the thumbnails that near duplicates are found by."""
NEAR = 5.0
"""Thumbnails that differ by less than this (root mean square, of 255) show the same picture, saved another way."""
COMPARED = 20_000
"""Pictures that are compared with each other at most: 20,000 make 200 million pairs, which take seconds."""
SHOWN = 100
"""Pictures on the contact sheet."""

Array = npt.NDArray[Any]


def examine_set(images: ImageSet, names: Sequence[str] = ()) -> dict[str, Any]:
    """What is in a set, as JSON's own types.

    Args:
        images: all of it.
        names: of the files, by `images.about["indices"]`.
    """
    n, (channels, height, width) = len(images), images.pixels.shape[1:]
    return {
        "pictures": n,
        "channels": channels,
        "size": [height, width],
        "classes": _classes(images),
        "sizes": _sizes(images),
        "modes": _modes(images),
        "broken": [{"file": name, "reason": reason} for name, reason in images.skipped],
        **_duplicates(images, names),
    }


def _classes(images: ImageSet) -> dict[str, int]:
    if images.labels is None:
        return {}
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    return dict(zip(images.classes, counts, strict=True))


def _sizes(images: ImageSet) -> dict[str, Any]:
    """Height x width of the pictures as they came."""
    if "sizes" not in images.about:
        return {"smallest": images.original, "largest": images.original, "commonest": {images.original: len(images)}}
    sizes = images.about["sizes"]
    each, counts = np.unique(sizes, axis=0, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:5]
    by_area = each[np.argsort(each.prod(axis=1, dtype=np.int64), kind="stable")]
    return {
        "smallest": _x(by_area[0]),
        "largest": _x(by_area[-1]),
        "commonest": {_x(each[i]): int(counts[i]) for i in most},
        "different": len(each),
    }


def _x(size: Array) -> str:
    return "x".join(map(str, size.tolist()))


def _modes(images: ImageSet) -> dict[str, int]:
    if "modes" not in images.about:
        return {"uint8": len(images)}
    return dict(Counter(images.modes[number] for number in images.about["modes"].tolist()).most_common())


def _duplicates(images: ImageSet, names: Sequence[str]) -> dict[str, Any]:
    """Pictures that are there more than once: byte for byte, and nearly."""
    digests = _digests(images)
    _, first, group = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    group = group.ravel()
    repeats = np.flatnonzero(first[group] != np.arange(len(group)))
    pairs = [(int(first[group[i]]), int(i)) for i in repeats]
    # One of each: those that are equal are told above.
    different = np.sort(first)
    step = max(1, -(-len(different) // COMPARED))
    rows = different[::step]
    near = [(int(rows[i]), int(rows[j])) for i, j in near_pairs(thumbnails(images.pixels, rows))]
    return {
        "duplicates": len(pairs),
        "duplicate_pairs": [_named(pair, images, names) for pair in pairs[:20]],
        "near_duplicates": len(near),
        "near_duplicate_pairs": [_named(pair, images, names) for pair in near[:20]],
        "compared": len(rows),
    }


def _digests(images: ImageSet) -> Array:
    if "digests" in images.about:
        return images.about["digests"]
    rows = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in images.pixels.numpy())
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(images), 16)


def _named(pair: tuple[int, int], images: ImageSet, names: Sequence[str]) -> list[str]:
    indices = images.about.get("indices")
    places = [int(indices[row]) if indices is not None else row for row in pair]
    return [names[place] if names else f"#{place}" for place in places]


def thumbnails(pixels: Tensor, rows: Array) -> Tensor:
    """Small pictures as floats in 0..255, (n, D), of some rows of uint8 (N, C, H, W); transparent ones on white."""
    parts = []
    for some in torch.split(torch.from_numpy(rows), 4096):
        colours = convert_channels(pixels[some], min(3, pixels.shape[1])).float()
        parts.append(F.interpolate(colours, (THUMB, THUMB), mode="area").flatten(1))
    return torch.cat(parts)


def near_pairs(thumbs: Tensor) -> list[tuple[int, int]]:
    """Pairs i < j of thumbnails (n, D) that differ by less than `NEAR`, root mean square."""
    n, size = thumbs.shape
    squares = thumbs.square().sum(1)
    found: list[tuple[int, int]] = []
    for start in range(0, n, 1024):
        block = thumbs[start : start + 1024]
        distances = squares[start : start + 1024, None] + squares[None] - 2 * block @ thumbs.T
        rows, columns = torch.nonzero(distances < size * NEAR**2, as_tuple=True)
        found += [(i, j) for i, j in zip((rows + start).tolist(), columns.tolist(), strict=True) if i < j]
    return found


def contact_sheet(images: ImageSet) -> npt.NDArray[np.uint8]:
    """Up to `SHOWN` pictures, spread evenly over the classes, as one picture (H, W, C)."""
    labels = torch.zeros(len(images)) if images.labels is None else images.labels
    order = torch.argsort(labels, stable=True)
    rows = order[torch.linspace(0, len(order) - 1, min(SHOWN, len(order))).long()]
    return make_grid(images.pixels[rows].permute(0, 2, 3, 1).numpy())
