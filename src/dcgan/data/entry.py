"""An entry of the cache is written: the pixels, columns and splits of a set that something reads in batches."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dcgan.cache import new_cache_entry
from dcgan.data import heldout
from dcgan.data.decode import ResizeOptions
from dcgan.data.listing import SkippedFile, describe_skipped
from dcgan.data.near_duplicates import group_near_duplicates
from dcgan.data.prepared import COLUMNS_FILE, PIXELS_FILE, PreparedSet, read_prepared, read_written, write_metadata
from dcgan.data.rules import RULES_OF_0_1, RULES_WITHOUT_GROUPS
from dcgan.data.value_range import FULL_16_BIT_RANGE, SetExtrema, ValueRange, find_value_range
from dcgan.data.writer import BatchWriter, FileRows, PreparedBatch
from dcgan.errors import UserError

MIN_IMAGES = 2
"""Fewer images cannot be trained on."""
TOO_FEW_IMAGES = ("no usable picture", "one usable picture")
"""The numbers of images below `MIN_IMAGES` as text."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Source:
    """A set that is prepared.

    Attributes:
        name: printable name for the progress bar and for errors.
        read: reads the images with some options, and adds unusable files and the values of images of more than 8 bits
            to the `Findings`.
        classes: names of the classes.
        rules: see `rules`.
        is_unchanged: whether the files are still those that were listed.
        value_range: the range that `read` has already applied to arrays.
    """

    name: str
    read: "Callable[[ResizeOptions, Findings], Iterator[PreparedBatch]]"
    classes: tuple[str, ...]
    rules: int
    is_unchanged: Callable[[], bool]
    value_range: ValueRange | None = None


@dataclass
class Findings:
    """What is found while a set is read."""

    skipped_files: list[SkippedFile]
    extrema: SetExtrema = field(default_factory=SetExtrema)


def write_entry(
    entry_name: str, options: ResizeOptions, source: Source, skipped_files: list[SkippedFile]
) -> PreparedSet:
    """Write all images into a new entry of the cache and open it."""
    with new_cache_entry(entry_name, is_valid=lambda name: read_prepared(name) is not None) as entry:
        findings = Findings(list(skipped_files))
        columns, mode_names, thumbnails = _write_pixels(entry / PIXELS_FILE, options, source, findings)
        value_range, notice = _choose_value_range(options, source, findings.extrema)
        if value_range not in (None, options.value_range, FULL_16_BIT_RANGE) and findings.extrema.of_kind:
            # Only now are all values known.
            options = replace(options, value_range=value_range)
            findings = Findings(list(skipped_files))
            columns, mode_names, thumbnails = _write_pixels(entry / PIXELS_FILE, options, source, findings)
        if source.rules > RULES_WITHOUT_GROUPS:
            columns["groups"] = _group(columns, thumbnails)
        parts = _sort_by_split(entry / PIXELS_FILE, columns, source.rules)
        np.savez(entry / COLUMNS_FILE, **columns)  # type: ignore[arg-type]
        if not source.is_unchanged():
            raise UserError(f"{source.name} was changed while it was prepared: try again")
        key_text = replace(options, value_range=value_range).key_text()
        content = columns["digests"].tobytes() + columns["labels"].tobytes() + key_text.encode()
        metadata: dict[str, Any] = {
            "parts": parts,
            "classes": source.classes,
            "modes": mode_names,
            "skipped": findings.skipped_files,
        }
        if value_range is not None:
            metadata |= {"value_range": value_range, "range_notice": notice}
        write_metadata(entry, metadata | {"key": hashlib.sha256(content).hexdigest()})
    return read_written(entry_name)


def _write_pixels(
    path: Path, options: ResizeOptions, source: Source, findings: Findings
) -> tuple[dict[str, Array], list[str], Array | None]:
    """Write the images of a set to a `.npy` file; return their columns, the names of their modes, and thumbnails."""
    with path.open("wb+") as file:
        writer = BatchWriter(file, options)
        for batch in source.read(options, findings):
            writer.add(batch)
        columns, mode_names = writer.columns()
        _check_enough(len(columns["labels"]), source.name, findings.skipped_files)
        writer.finish()
    return columns, mode_names, writer.thumbnails()


def _group(columns: dict[str, Array], thumbnails: Array | None) -> Array:
    """Return the group of each image: equal images, and near duplicates unless there are too many images."""
    _, first, copy_of = np.unique(columns["digests"], axis=0, return_index=True, return_inverse=True)
    if thumbnails is None:
        return first[copy_of.ravel()]
    # In the order of the digests, so that the order of the files does not matter.
    groups = group_near_duplicates(torch.from_numpy(thumbnails[first])).numpy()
    groups_of_images: Array = first[groups][copy_of.ravel()]
    return groups_of_images


def _choose_value_range(options: ResizeOptions, source: Source, extrema: SetExtrema) -> tuple[ValueRange | None, str]:
    """Return the range of the values of a set, and a line that says how it was guessed."""
    if source.value_range is not None or source.rules == RULES_OF_0_1:
        return source.value_range, ""
    if options.value_range is not None:
        return (options.value_range if extrema.of_kind else None), ""
    return find_value_range(extrema, source.name)


def _check_enough(count: int, set_name: str, skipped_files: Sequence[SkippedFile]) -> None:
    """Refuse a set with too few images."""
    if count < MIN_IMAGES:
        skipped = f"; {describe_skipped(skipped_files)}" if skipped_files else ""
        raise UserError(f"{set_name} has {TOO_FEW_IMAGES[count]}, but needs at least {MIN_IMAGES}{skipped}")


def _sort_by_split(pixels_path: Path, columns: dict[str, Array], rules: int) -> dict[str, list[int]]:
    """Sort the rows by training, validation and test; return where each split begins and ends."""
    is_test = columns.pop("is_test")
    has_own_test = bool(is_test.any())
    rows = np.flatnonzero(~is_test)
    splits = np.full(len(is_test), heldout.TEST, np.int8)
    groups = columns["groups"][rows] if "groups" in columns else None
    splits[rows] = heldout.choose_splits(columns["digests"][rows], columns["labels"][rows], groups, rules)
    if has_own_test:  # no other images are taken from training
        splits[rows] = np.where(splits[rows] == heldout.VALIDATION, heldout.VALIDATION, heldout.TRAIN)
    order = heldout.order_by_split(splits)
    shape = np.load(pixels_path, mmap_mode="r", allow_pickle=False).shape
    with pixels_path.open("rb+") as file:
        heldout.permute_in_place(FileRows(file, shape), order)
    for name, column in columns.items():
        columns[name] = column[order]
    validation_begin, test_begin = (
        int(np.count_nonzero(splits <= split)) for split in (heldout.TRAIN, heldout.VALIDATION)
    )
    return {
        "train": [0, test_begin if has_own_test else validation_begin],  # its validation split is in training too
        "validation": [validation_begin, test_begin],
        "test": [test_begin, len(splits)],
    }
