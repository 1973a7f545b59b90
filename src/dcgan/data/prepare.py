"""Image files or arrays are turned into one memory-mapped uint8 array in the cache, once."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from dcgan.cache import cache_key
from dcgan.data.arrays import StoredImages
from dcgan.data.decode import DecodedImage, ReadFailure, ResizeOptions
from dcgan.data.decode_workers import decode_in_processes
from dcgan.data.digests import digest_images, stack_digests
from dcgan.data.entry import Findings, Source, write_entry
from dcgan.data.listing import ImageFile, Listing, SkippedFile
from dcgan.data.members import file_version
from dcgan.data.near_duplicates import MAX_COMPARED
from dcgan.data.prepared import PreparedSet, read_prepared
from dcgan.data.resize import drop_equal_channels, resize_images
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1, RULES_OF_ARRAY_CHANNELS, RULES_WITHOUT_GROUPS
from dcgan.data.similarity import make_thumbnails
from dcgan.data.writer import PreparedBatch, add_channels
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.system.preparation import preparation_bar

FLOAT_REASON_OF_0_1 = "floating-point pixels have no known range: save it with 8 or 16 bits"
"""Why version 0.1.0 skipped a file."""
WRITE_BATCH_SIZE = 64
"""Rows that are written at once."""

Array = npt.NDArray[Any]


def prepare_files(listing: Listing, options: ResizeOptions, set_name: str, rules: int = CURRENT_RULES) -> PreparedSet:
    """Prepare the images of a folder or a zip, unless the cache has them already.

    Raises:
        UserError: too few of the images can be used, or the cache cannot be written.
    """
    fingerprints = [(file.name, *file.fingerprint, file.label, file.is_test) for file in listing.files]
    first_path = os.path.abspath(listing.files[0].path)

    def entry_name(options: ResizeOptions) -> str:
        return cache_key(
            *("files", first_path, fingerprints, listing.classes, listing.skipped_files),
            *(_options_for_key(options), *_rules_for_key(rules)),
        )

    def read(options: ResizeOptions, findings: Findings) -> Iterator[PreparedBatch]:
        return _decode_batches(listing, options, findings, rules)

    packed_versions = {path: file_version(path) for path in {f.path for f in listing.files if f.member is not None}}

    def is_unchanged() -> bool:
        if packed_versions:
            return all(file_version(path) == version for path, version in packed_versions.items())
        return all(file_version(file.path) == file.fingerprint for file in listing.files)

    source = Source(set_name, read, listing.classes, rules, is_unchanged)
    skipped_files = [(printable(name), reason) for name, reason in listing.skipped_files]
    return _open_or_write(entry_name, options, source, skipped_files)


def prepare_arrays(
    parts: Sequence[StoredImages],
    files: Sequence[Path],
    options: ResizeOptions,
    set_name: str,
    classes: tuple[str, ...],
    rules: int = CURRENT_RULES,
) -> PreparedSet:
    """Prepare images that are stored as arrays, unless the cache has them already.

    Args:
        parts: the images; the test split may be a separate part. Images with the label -1 are left out.
        files: the files that hold them.
        options: how the images are resized.
        set_name: printable name of the set for the progress bar and for errors.
        classes: names of the classes.
        rules: see `rules`.

    Raises:
        UserError: there are too few images, a file is damaged, or the cache cannot be written.
    """
    fingerprint = [(os.path.abspath(file), *file_version(file)) for file in files]

    def entry_name(options: ResizeOptions) -> str:
        return cache_key("arrays", fingerprint, _options_for_key(options), *_rules_for_key(rules))

    def read(options: ResizeOptions, findings: Findings) -> Iterator[PreparedBatch]:
        total = sum(part.count for part in parts)
        is_grouped = rules > RULES_WITHOUT_GROUPS and total <= MAX_COMPARED
        keeps_channels = options.channels is not None or rules <= RULES_OF_ARRAY_CHANNELS
        batches = itertools.chain.from_iterable(
            _read_batches(part, options, is_grouped, keeps_channels) for part in parts
        )
        return _with_progress_bar(batches, total, set_name)

    source = Source(
        set_name,
        read,
        classes,
        rules,
        lambda: fingerprint == [(os.path.abspath(file), *file_version(file)) for file in files],
        parts[0].value_range,
    )
    return _open_or_write(entry_name, options, source, [])


def _open_or_write(
    entry_name: Callable[[ResizeOptions], str],
    options: ResizeOptions,
    source: Source,
    skipped_files: list[SkippedFile],
) -> PreparedSet:
    """Return the entry of a set in the cache, which is written now if there is none.

    A range that is given may be the one that was found before, without being given: that entry is used then.
    """
    if (prepared := read_prepared(entry_name(options))) is not None:
        return prepared
    if options.value_range is not None and source.value_range is None:
        prepared = read_prepared(entry_name(replace(options, value_range=None)))
        if prepared is not None and prepared.value_range in (None, options.value_range):
            return prepared
    return write_entry(entry_name(options), options, source, skipped_files)


def split_rows(prepared: PreparedSet, split: str) -> slice:
    """Return the rows of `train`, `validation` or `test`, or all rows for `all`."""
    if split == "all":
        return slice(0, len(prepared.pixels))
    begin, end = cast(list[int], prepared.metadata["parts"][split])
    return slice(begin, end)


def _options_for_key(options: ResizeOptions) -> dict[str, Any]:
    """Return the options for the name of a cache entry: with these keys version 0.1.0 finds the same entries."""
    known = {"height": options.height, "width": options.width, "channels": options.channels, "fit": options.fit}
    return known if options.value_range is None else known | {"value_range": options.value_range}


def _rules_for_key(rules: int) -> tuple[int, ...]:
    """Return what tells entries of different rules apart; nothing for those of version 0.1.0, which has no such key."""
    return () if rules == RULES_OF_0_1 else (rules,)


def _with_progress_bar(batches: Iterable[PreparedBatch], total: int, set_name: str) -> Iterator[PreparedBatch]:
    with preparation_bar(f"preparing {set_name}", total, by_default=True) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch.labels))


def _decode_batches(
    listing: Listing, options: ResizeOptions, findings: Findings, rules: int
) -> Iterator[PreparedBatch]:
    """Decode the files of a listing. What is found besides the pixels is added to `findings`.

    Raises:
        UserError: a file could not be read for a reason that may be gone the next time.
    """
    results = decode_in_processes([(file.path, file.member) for file in listing.files], options)
    with preparation_bar("preparing pictures", len(listing.files), by_default=True) as bar:
        pairs = zip(enumerate(listing.files), results, strict=True)
        while batch := list(itertools.islice(pairs, WRITE_BATCH_SIZE)):
            decoded = []
            for (i, file), result in batch:
                if isinstance(result, ReadFailure):
                    raise UserError(
                        f"cannot read {printable(file.name)} now: {result}; nothing was prepared, try again"
                    )
                if isinstance(result, str):
                    findings.skipped_files.append((printable(file.name), result))
                elif rules == RULES_OF_0_1 and result.mode == "F":
                    findings.skipped_files.append((printable(file.name), FLOAT_REASON_OF_0_1))
                else:
                    decoded.append((i, file, result))
                    if result.extrema is not None:
                        findings.extrema.add(result.extrema)
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
        np.stack([image.thumbnail for image in images]).transpose(0, 3, 1, 2),
    )


def _thumbnails(pixels: Array) -> Array:
    """Return the thumbnails uint8 (N, 3, 16, 16) of images (N, H, W, C)."""
    thumbnails = make_thumbnails(torch.from_numpy(np.array(pixels.transpose(0, 3, 1, 2), order="C")))
    return thumbnails.expand(-1, 3, -1, -1).numpy()


def _read_batches(
    part: StoredImages, options: ResizeOptions, is_grouped: bool, keeps_channels: bool
) -> Iterator[PreparedBatch]:
    start = 0
    for rows in part.read_chunks():
        indices = np.arange(start, start + len(rows))
        start += len(rows)
        labels = np.full(len(rows), -1, np.int64)
        if part.labels is not None:
            labels = part.labels[indices]
            is_used = labels >= 0
            if not is_used.all():
                rows, labels, indices = rows[is_used], labels[is_used], indices[is_used]
        pixels = resize_images(rows.transpose(0, 3, 1, 2), options)
        yield PreparedBatch(
            pixels if keeps_channels else drop_equal_channels(pixels),
            labels,
            digest_images(rows),
            np.tile(np.array(part.shape[:2], np.int32), (len(rows), 1)),
            ["uint8"] * len(rows),
            np.full(len(rows), part.is_test),
            indices,
            _thumbnails(rows) if is_grouped else None,
        )
