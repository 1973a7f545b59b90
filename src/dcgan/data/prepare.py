"""Image files or arrays are turned into one memory-mapped uint8 array in the cache, once."""

import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from dcgan.cache import cache_folder, cache_key, new_cache_entry
from dcgan.data import heldout
from dcgan.data.arrays import StoredImages
from dcgan.data.decode import DecodedImage, ResizeOptions
from dcgan.data.decode_workers import decode_in_processes
from dcgan.data.digests import digest_images, stack_digests
from dcgan.data.folder import ImageFile, Listing, SkippedFile
from dcgan.data.prepared import COLUMNS_FILE, PIXELS_FILE, PreparedSet, read_prepared, write_metadata
from dcgan.data.resize import resize_images
from dcgan.data.writer import BatchWriter, PreparedBatch, add_channels
from dcgan.errors import UserError
from dcgan.files import printable

MIN_IMAGES = 2
"""Fewer images cannot be trained on; the same holds for each class."""
TOO_FEW_IMAGES = ("no usable picture", "one usable picture")
"""The numbers of images below `MIN_IMAGES` as text."""
WRITE_BATCH_SIZE = 64
"""Rows that are written at once."""
PROGRESS_DELAY_S = 1
"""The progress bar is hidden if preparing takes less time."""
TERMINAL_INTERVAL_S, LOG_INTERVAL_S = 0.5, 10
"""Time between two updates of the progress bar on a terminal and in a file."""

Array = npt.NDArray[Any]


def prepare_files(listing: Listing, options: ResizeOptions, set_name: str) -> PreparedSet:
    """Prepare the images of a folder or a zip, unless the cache has them already.

    Raises:
        UserError: too few of the images can be used, or the cache cannot be written.
    """
    fingerprints = [(file.name, *file.fingerprint, file.label, file.is_test) for file in listing.files]
    first_path = os.path.abspath(listing.files[0].path)
    entry_name = cache_key(
        "files", first_path, fingerprints, listing.classes, listing.skipped_files, _options_for_key(options)
    )
    if (prepared := read_prepared(entry_name)) is not None:
        return prepared
    skipped_files = [(printable(name), reason) for name, reason in listing.skipped_files]
    batches = _decode_batches(listing, options, skipped_files)
    used_labels = {file.label for file in listing.files}
    return _write_entry(entry_name, batches, options, listing.classes, used_labels, skipped_files, set_name)


def prepare_arrays(
    parts: Sequence[StoredImages], fingerprint: object, options: ResizeOptions, set_name: str
) -> PreparedSet:
    """Prepare images that are stored as arrays, unless the cache has them already.

    Args:
        parts: the images; the test split may be a separate part.
        fingerprint: changes when the files change.
        options: how the images are resized.
        set_name: printable name of the set for the progress bar and for errors.

    Raises:
        UserError: there are too few images, a file is damaged, or the cache cannot be written.
    """
    entry_name = cache_key("arrays", fingerprint, _options_for_key(options))
    if (prepared := read_prepared(entry_name)) is not None:
        return prepared
    used_labels = {int(label) for part in parts if part.labels is not None for label in np.unique(part.labels)}
    classes = tuple(map(str, range(1 + max(used_labels, default=-1))))
    stored_batches = itertools.chain.from_iterable(_read_batches(part, options) for part in parts)
    batches = _with_progress_bar(stored_batches, sum(part.count for part in parts), set_name)
    return _write_entry(entry_name, batches, options, classes, used_labels, [], set_name)


def split_rows(prepared: PreparedSet, split: str) -> slice:
    """Return the rows of `train`, `validation` or `test`, or all rows for `all`."""
    if split == "all":
        return slice(0, len(prepared.pixels))
    begin, end = cast(list[int], prepared.metadata["parts"][split])
    return slice(begin, end)


def _options_for_key(options: ResizeOptions) -> dict[str, Any]:
    """Return the options for the name of a cache entry: with these keys version 0.1.0 finds the same entries."""
    return {"height": options.height, "width": options.width, "channels": options.channels, "fit": options.fit}


def _with_progress_bar(batches: Iterable[PreparedBatch], total: int, set_name: str) -> Iterator[PreparedBatch]:
    with _progress_bar(total, set_name) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch.labels))


def _progress_bar(total: int, set_name: str) -> "tqdm[Any]":
    interval = TERMINAL_INTERVAL_S if os.isatty(2) else LOG_INTERVAL_S
    return tqdm(
        total=total,
        desc=f"preparing {set_name}",
        unit="img",
        delay=PROGRESS_DELAY_S,
        mininterval=interval,
        file=sys.stderr,
    )


def _decode_batches(
    listing: Listing, options: ResizeOptions, skipped_files: list[SkippedFile]
) -> Iterator[PreparedBatch]:
    """Decode the files of a listing. Files that cannot be read are added to `skipped_files`."""
    results = decode_in_processes([(file.path, file.member) for file in listing.files], options)
    with _progress_bar(len(listing.files), "pictures") as bar:
        pairs = zip(enumerate(listing.files), results, strict=True)
        while batch := list(itertools.islice(pairs, WRITE_BATCH_SIZE)):
            decoded = [(i, file, result) for (i, file), result in batch if isinstance(result, DecodedImage)]
            skipped_files += [(printable(file.name), result) for (_, file), result in batch if isinstance(result, str)]
            bar.update(len(batch))
            if decoded:
                yield _batch_of_files(decoded)


def _batch_of_files(decoded: Sequence[tuple[int, ImageFile, DecodedImage]]) -> PreparedBatch:
    """Join decoded files, each with its index in the listing."""
    indices, files, images = zip(*decoded, strict=True)
    channels = max(image.pixels.shape[2] for image in images)
    return PreparedBatch(
        np.concatenate([add_channels(image.pixels.transpose(2, 0, 1)[None], channels) for image in images]),
        np.array([file.label for file in files], np.int64),
        stack_digests(image.digest for image in images),
        np.array([image.original_size for image in images], np.int32),
        [image.mode for image in images],
        np.array([file.is_test for file in files]),
        np.array(indices, np.int64),
    )


def _read_batches(part: StoredImages, options: ResizeOptions) -> Iterator[PreparedBatch]:
    start = 0
    for rows in part.read_chunks():
        indices = np.arange(start, start + len(rows))
        start += len(rows)
        yield PreparedBatch(
            resize_images(rows.transpose(0, 3, 1, 2), options),
            np.full(len(rows), -1, np.int64) if part.labels is None else part.labels[indices],
            digest_images(rows),
            np.tile(np.array(part.shape[:2], np.int32), (len(rows), 1)),
            ["uint8"] * len(rows),
            np.full(len(rows), part.is_test),
            indices,
        )


def _write_entry(
    entry_name: str,
    batches: Iterable[PreparedBatch],
    options: ResizeOptions,
    classes: tuple[str, ...],
    used_labels: set[int],
    skipped_files: list[SkippedFile],
    set_name: str,
) -> PreparedSet:
    """Write all images into a new entry of the cache and open it. Each of `used_labels` must have enough images."""
    with new_cache_entry(entry_name, is_valid=lambda name: read_prepared(name) is not None) as entry:
        with (entry / PIXELS_FILE).open("wb+") as file:
            writer = BatchWriter(file, options)
            for batch in batches:
                writer.add(batch)
            columns, mode_names = writer.columns()
            _check_enough(columns["labels"], classes, used_labels, skipped_files, set_name)
            writer.finish()
        parts = _sort_by_split(entry / PIXELS_FILE, columns)
        np.savez(entry / COLUMNS_FILE, **columns)  # type: ignore[arg-type]
        content = columns["digests"].tobytes() + columns["labels"].tobytes() + options.key_text().encode()
        metadata = {"parts": parts, "classes": classes, "modes": mode_names, "skipped": skipped_files}
        write_metadata(entry, metadata | {"key": hashlib.sha256(content).hexdigest()})
    prepared = read_prepared(entry_name)
    if prepared is None:
        raise UserError(f"the cache {cache_folder()} does not keep what is written there: set DCGAN_CACHE to another")
    return prepared


def _check_enough(
    labels: Array, classes: tuple[str, ...], used_labels: set[int], skipped_files: Sequence[SkippedFile], set_name: str
) -> None:
    """Refuse a set, or a class of it, with too few images."""
    skipped = ""
    if skipped_files:
        name, reason = skipped_files[0]
        skipped = f"; {len(skipped_files)} cannot be used, such as {name} ({reason})"
    if len(labels) < MIN_IMAGES:
        raise UserError(f"{set_name} has {TOO_FEW_IMAGES[len(labels)]}, but needs at least {MIN_IMAGES}{skipped}")
    if not classes:
        return
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    small_classes = [label for label in sorted(used_labels) if counts[label] < MIN_IMAGES]
    if small_classes:
        more = f" and {len(small_classes) - 1} more" if len(small_classes) > 1 else ""
        raise UserError(
            f"{set_name}: the class {classes[small_classes[0]]}{more} has {TOO_FEW_IMAGES[counts[small_classes[0]]]}, "
            f"but needs at least {MIN_IMAGES}: add some, or put all pictures into one folder to train without "
            f"classes{skipped}"
        )


def _sort_by_split(pixels_path: Path, columns: dict[str, Array]) -> dict[str, list[int]]:
    """Sort the rows by training, validation and test; return where each split begins and ends."""
    is_test = columns.pop("is_test")
    has_own_test = bool(is_test.any())
    rows = np.flatnonzero(~is_test)
    splits = np.full(len(is_test), heldout.TEST, np.int8)
    splits[rows] = heldout.choose_splits(columns["digests"][rows], columns["labels"][rows])
    if has_own_test:  # no other images are taken from training
        splits[rows] = np.where(splits[rows] == heldout.VALIDATION, heldout.VALIDATION, heldout.TRAIN)
    order = heldout.order_by_split(splits)
    pixels = np.load(pixels_path, mmap_mode="r+", allow_pickle=False)
    heldout.permute_in_place(pixels, order)
    pixels.flush()
    del pixels
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
