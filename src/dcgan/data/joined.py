"""Several image sets become one: their splits one after another, with the same size, channels and classes.

Each set keeps its own held-out pictures: the test split of the joined set is the test splits of all of them.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dcgan.cache import cache_key, new_cache_entry
from dcgan.data.digests import digest_numbers
from dcgan.data.image_set import ImageSet
from dcgan.data.location import public_data_name
from dcgan.data.prepared import COLUMNS_FILE, PIXELS_FILE, read_prepared, read_written, write_metadata
from dcgan.data.value_range import ValueRange
from dcgan.data.writer import add_channels
from dcgan.errors import UserError
from dcgan.files import printable

ROWS_AT_ONCE = 1024
"""Images that are copied at once, so that sets may be larger than memory."""

Array = npt.NDArray[Any]


def join_sets(name: str, specs: Sequence[str], split: str, open_part: Callable[[str, str], ImageSet]) -> ImageSet:
    """Return a split of several sets as one set.

    Args:
        name: printable name of the joined set.
        specs: what the sets are opened by.
        split: as for `dcgan.data.open.open_images`.
        open_part: opens a split of a set. All sets must have the same size; the channels become the most that one has.

    Raises:
        UserError: their images of more than 8 bits have different ranges of values, or the cache cannot be written.
    """
    parts = [open_part(spec, split) for spec in specs]
    names = [printable(public_data_name(spec)) for spec in specs]  # a run keeps them
    value_range = _common_value_range(names, parts)
    labels, classes, notices = _join_classes(names, parts)
    channels = max(part.pixels.shape[1] for part in parts)
    key_parts = ["joined", channels, classes, *(part.content_key for part in parts)]
    mode_names = tuple(dict.fromkeys(mode for part in parts for mode in part.mode_names))
    notices += [f"{own}: {notice}" for own, part in zip(names, parts, strict=True) for notice in part.notices]
    return ImageSet(
        name=name,
        pixels=_join_pixels(parts, channels, split),
        labels=labels,
        classes=classes,
        content_key=_hash(key_parts),
        original_size=", ".join(dict.fromkeys(part.original_size for part in parts)),
        skipped_files=tuple(
            (f"{own}: {file}", reason)
            for own, part in zip(names, parts, strict=True)
            for file, reason in part.skipped_files
        ),
        columns=_join_columns(parts, mode_names),
        mode_names=mode_names,
        pictures_key=_hash(sorted(part.pictures_key or spec for spec, part in zip(specs, parts, strict=True))),
        value_range=value_range,
        notices=(*notices, *_find_shared_pictures(specs, open_part)),
        no_classes_reason="" if classes else _without_classes(names, parts),
        rules=parts[0].rules,
    )


def _hash(content: Sequence[object]) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _common_value_range(names: Sequence[str], parts: Sequence[ImageSet]) -> ValueRange | None:
    """Return the range of values of all images of more than 8 bits; None if there are none."""
    ranges = {part.value_range: name for name, part in zip(names, parts, strict=True) if part.value_range is not None}
    if len(ranges) > 1:
        texts = [f"{name} has values from {low:g} to {high:g}" for (low, high), name in ranges.items()]
        raise UserError(f"{' and '.join(texts[:2])}: give one --value-range LOW HIGH for both")
    return next(iter(ranges), None)


def _join_classes(names: Sequence[str], parts: Sequence[ImageSet]) -> tuple[Tensor | None, tuple[str, ...], list[str]]:
    """Return the labels and the classes of all images, and a line if some sets have classes and others do not.

    Classes of one name are one class. They are in the order in which the sets have them.
    """
    if any(part.labels is None for part in parts):
        has_classes = any(part.labels is not None for part in parts)
        return None, (), [f"there are no classes, because {_without_classes(names, parts)}"] if has_classes else []
    numbers = {name: number for number, name in enumerate(dict.fromkeys(n for part in parts for n in part.classes))}
    labels = []
    for part in parts:
        assert part.labels is not None
        labels.append(torch.tensor([numbers[name] for name in part.classes])[part.labels])
    return torch.cat(labels), tuple(numbers), []


def _without_classes(names: Sequence[str], parts: Sequence[ImageSet]) -> str:
    """Return why there are no classes."""
    pairs = zip(names, parts, strict=True)
    name, part = next((name, part) for name, part in pairs if part.labels is None)
    return f"{name}: {part.no_classes_reason}" if part.no_classes_reason else f"{name} has none"


def _join_pixels(parts: Sequence[ImageSet], channels: int, split: str) -> Tensor:
    """Return the images of all sets, uint8 (N, C, H, W), mapped from an entry of the cache."""
    shape = (sum(map(len, parts)), channels, *parts[0].pixels.shape[2:])
    if not shape[0]:  # an empty file cannot be mapped
        return torch.empty(shape, dtype=torch.uint8)
    contents = [(part.content_key, len(part), part.rules) for part in parts]
    key = cache_key("joined", contents, channels, split)
    if (prepared := read_prepared(key)) is None:
        with new_cache_entry(key, is_valid=lambda name: read_prepared(name) is not None) as entry:
            pixels = np.lib.format.open_memmap(entry / PIXELS_FILE, mode="w+", dtype=np.uint8, shape=shape)
            start = 0
            for part in parts:
                for row in range(0, len(part), ROWS_AT_ONCE):
                    rows = part.pixels[row : row + ROWS_AT_ONCE].numpy()
                    pixels[start : start + len(rows)] = add_channels(rows, channels)
                    start += len(rows)
            pixels.flush()
            del pixels
            np.savez(entry / COLUMNS_FILE)
            write_metadata(entry, {})
        prepared = read_written(key)
    return torch.from_numpy(prepared.pixels)


def _join_columns(parts: Sequence[ImageSet], mode_names: Sequence[str]) -> dict[str, Array]:
    """Return those columns of the images that all sets have.

    Indices take turns: the index i of set number k of n is i * n + k, whatever number of files the sets have.
    """
    columns: dict[str, Array] = {}
    group_count = 0
    for number, part in enumerate(parts):
        own = dict(part.columns)
        if "indices" in own:
            own["indices"] = own["indices"] * len(parts) + number
        if "modes" in own:
            own["modes"] = np.array([mode_names.index(mode) for mode in part.mode_names], np.uint8)[own["modes"]]
        if "groups" in own:
            own["groups"] = own["groups"] + group_count
            group_count = 1 + int(own["groups"].max(initial=group_count))
        columns = own if not number else {n: np.concatenate([columns[n], own[n]]) for n in columns if n in own}
    return columns


def _find_shared_pictures(specs: Sequence[str], open_part: Callable[[str, str], ImageSet]) -> list[str]:
    """Return a line if one set trains on pictures that another holds out: the same files, or the same arrays."""
    train, held_out = [], []
    for spec in specs:
        opened = {split: open_part(spec, split) for split in ("train", "validation", "test")}
        if not all("digests" in part.columns for part in opened.values()):
            continue
        numbers = {split: digest_numbers(part.columns["digests"]) for split, part in opened.items()}
        train.append(numbers["train"])
        # The validation split of a set with a test split of its own is in training anyway.
        held_out.append(np.setdiff1d(np.concatenate([numbers["validation"], numbers["test"]]), numbers["train"]))
    shared = [
        np.intersect1d(trained, held)
        for number, trained in enumerate(train)
        for other, held in enumerate(held_out)
        if number != other
    ]
    count = len(np.unique(np.concatenate(shared))) if shared else 0
    verb = "pictures are" if count > 1 else "picture is"
    return [f"{count:,} {verb} trained on in one of the sets and held out in another"] if count else []
