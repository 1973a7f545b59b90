"""Several image sets become one: their splits one after another, with the same size, channels and classes.

Each set keeps its own held-out pictures: the test split of the joined set is the test splits of all of them. Training
images that another set holds out, or near duplicates of those, are left out.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dcgan.cache import cache_folder, cache_key, new_cache_entry
from dcgan.data.digests import digest_numbers
from dcgan.data.image_set import ImageSet
from dcgan.data.location import public_data_name
from dcgan.data.near_duplicates import MAX_COMPARED, find_near_duplicates
from dcgan.data.prepared import COLUMNS_FILE, PIXELS_FILE, read_prepared, read_written, write_metadata
from dcgan.data.resize import convert_channels
from dcgan.data.similarity import make_thumbnails
from dcgan.data.value_range import ValueRange
from dcgan.data.writer import add_channels, write_header
from dcgan.errors import UserError
from dcgan.files import composed, printable

NEAR_FILE = "near.npy"
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
    is_used, shared_notices = _leave_out_shared(specs, open_part)
    if split == "train":
        parts = [_select(part, used) for part, used in zip(parts, is_used, strict=True)]
    names = [printable(public_data_name(spec)) for spec in specs]  # a run keeps them
    value_range = _common_value_range(names, parts)
    labels, classes, notices = _join_classes(names, parts)
    channels = max(part.pixels.shape[1] for part in parts)
    key_parts = ["joined", channels, classes, *(part.content_key for part in parts)]
    if left_out := [int(row) for used in is_used for row in np.flatnonzero(~used)]:
        key_parts.append(left_out)
    mode_names = tuple(dict.fromkeys(mode for part in parts for mode in part.mode_names))
    notices += [f"{own}: {notice}" for own, part in zip(names, parts, strict=True) for notice in part.notices]
    return ImageSet(
        name=name,
        pixels=_join_pixels(parts, channels, split, left_out),
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
        notices=(*notices, *shared_notices),
        no_classes_reason="" if classes else _without_classes(names, parts),
        rules=parts[0].rules,
    )


def _select(part: ImageSet, is_used: Array) -> ImageSet:
    """Return those images of a set that are used."""
    if is_used.all():
        return part
    rows = torch.from_numpy(np.flatnonzero(is_used))
    return replace(
        part,
        pixels=part.pixels[rows],
        labels=None if part.labels is None else part.labels[rows],
        columns={name: column[is_used] for name, column in part.columns.items()},
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
    names_by_key: dict[str, str] = {}
    for name in (name for part in parts for name in part.classes):
        names_by_key.setdefault(composed(name), name)
    numbers = {key: number for number, key in enumerate(names_by_key)}
    labels = []
    for part in parts:
        assert part.labels is not None
        labels.append(torch.tensor([numbers[composed(name)] for name in part.classes])[part.labels])
    return torch.cat(labels), tuple(names_by_key.values()), []


def _without_classes(names: Sequence[str], parts: Sequence[ImageSet]) -> str:
    """Return why there are no classes."""
    pairs = zip(names, parts, strict=True)
    name, part = next((name, part) for name, part in pairs if part.labels is None)
    return f"{name}: {part.no_classes_reason}" if part.no_classes_reason else f"{name} has none"


def _join_pixels(parts: Sequence[ImageSet], channels: int, split: str, left_out: Sequence[int]) -> Tensor:
    """Return the images of all sets, uint8 (N, C, H, W), mapped from an entry of the cache."""
    shape = (sum(map(len, parts)), channels, *parts[0].pixels.shape[2:])
    if not shape[0]:  # an empty file cannot be mapped
        return torch.empty(shape, dtype=torch.uint8)
    contents = [(part.content_key, len(part), part.rules) for part in parts]
    key = cache_key("joined", contents, channels, split, *left_out)
    if (prepared := read_prepared(key)) is None:
        with new_cache_entry(key, is_valid=lambda name: read_prepared(name) is not None) as entry:
            # A map of a file that is not written yet would end the process with a signal when the disk is full.
            with (entry / PIXELS_FILE).open("wb") as file:
                write_header(file, shape)
                for part in parts:
                    for row in range(0, len(part), ROWS_AT_ONCE):
                        rows = part.pixels[row : row + ROWS_AT_ONCE].numpy()
                        file.write(np.ascontiguousarray(add_channels(rows, channels)).data)
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


def _leave_out_shared(specs: Sequence[str], open_part: Callable[[str, str], ImageSet]) -> tuple[list[Array], list[str]]:
    """Return which training images of each set are used, bool (N,), and a line if some are not.

    An image is left out if another set holds out an equal one, or a near duplicate of it.
    """
    train = [open_part(spec, "train") for spec in specs]
    held_out = [_held_out_parts(spec, len(part), open_part) for spec, part in zip(specs, train, strict=True)]
    count, notices = sum(map(len, train)) + sum(len(part) for parts in held_out for part in parts), []
    is_searched = count <= MAX_COMPARED
    if not is_searched:
        notices.append(
            f"{count:,} pictures are too many to search for near duplicates in different sets: some may be in training "
            "and held out"
        )
    is_used = []
    for number, part in enumerate(train):
        others = [other for owner, parts in enumerate(held_out) if owner != number for other in parts]
        is_used.append(~_find_shared(part, others, is_searched=is_searched))
    left_out = sum(int((~used).sum()) for used in is_used)
    if left_out:
        pictures = f"{left_out:,} picture{'s are' if left_out > 1 else ' is'}"
        notices.append(f"{pictures} not trained on, because another set holds out an equal or a similar one")
    return is_used, notices


def _held_out_parts(spec: str, train_count: int, open_part: Callable[[str, str], ImageSet]) -> list[ImageSet]:
    """Return what a set holds out. The validation split of a set with a test split of its own is in training anyway."""
    validation, test = open_part(spec, "validation"), open_part(spec, "test")
    has_own_test = train_count + len(validation) + len(test) > len(open_part(spec, "all"))
    return [part for part in ([test] if has_own_test else [validation, test]) if len(part)]


def _find_shared(train: ImageSet, others: Sequence[ImageSet], *, is_searched: bool) -> Array:
    """Return which training images others hold out, bool (N,): equal ones, and near duplicates if they are searched."""
    is_shared = np.zeros(len(train), bool)
    if not others or not len(train):
        return is_shared
    if all("digests" in part.columns for part in (train, *others)):
        digests = np.concatenate([digest_numbers(part.columns["digests"]) for part in others])
        is_shared |= np.isin(digest_numbers(train.columns["digests"]), digests)
    return is_shared | _find_near(train, others) if is_searched else is_shared


def _find_near(train: ImageSet, others: Sequence[ImageSet]) -> Array:
    """Return which training images are near duplicates of what others hold out, bool (N,). The cache keeps them.

    A training opens its data several times, and a search of thousands of images takes seconds.
    """
    key = cache_key("near", [(part.content_key, part.rules, len(part)) for part in (train, *others)])
    path = cache_folder() / key / NEAR_FILE
    with contextlib.suppress(OSError, ValueError, EOFError):
        if len(near := np.load(path, allow_pickle=False)) == len(train):
            return np.asarray(near)
    channels = max(part.pixels.shape[1] for part in (train, *others))
    sides = [[convert_channels(part.pixels[:], channels) for part in parts] for parts in ([train], others)]
    near = find_near_duplicates(*(torch.cat([make_thumbnails(pixels) for pixels in side]) for side in sides)).numpy()
    with new_cache_entry(key) as entry:
        np.save(entry / NEAR_FILE, near)
    return near
