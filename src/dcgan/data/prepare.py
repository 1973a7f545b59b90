"""Pictures as they lie on the disk -> one memory-mapped uint8 array in the cache, made once."""

import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from dcgan.cache import cache_folder, cache_key, new_cache_entry
from dcgan.data import heldout, prepared
from dcgan.data.arrays import ArrayPart
from dcgan.data.decode import HASH_BYTES, DecodedImage, ResizeOptions
from dcgan.data.decode_workers import decode_in_processes
from dcgan.data.folder import ImageFile, Listing
from dcgan.errors import UserError
from dcgan.files import printable

MIN_PICTURES = 2
"""Pictures without which nothing can be trained; the same for each class."""
HAVE = ("no usable picture", "one usable picture")
WRITE_BATCH = 64
"""Rows that are written at once."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PreparedBatch:
    """Some pictures of one shape, ready to be kept.

    Attributes:
        pixels: uint8 (k, C, H, W).
        labels: int64 (k,), -1 without classes.
        digests: uint8 (k, 16), of each picture before it was resized.
        sizes: int32 (k, 2): heights and widths before that.
        modes: Pillow's name of each picture's kind, or `uint8` in an array.
        tests: bool (k,): the picture is in the set's own test part.
        indices: int64 (k,): the place in the listing or the array.
    """

    pixels: Array
    labels: Array
    digests: Array
    sizes: Array
    modes: list[str]
    tests: Array
    indices: Array


def prepare_files(listing: Listing, options: ResizeOptions, shown: str) -> prepared.PreparedSet:
    """Prepare the pictures of a folder or a zip, or find them prepared.

    Raises:
        UserError: too few of them can be used.
    """
    stamps = [(e.name, *e.stamp, e.label, e.is_test) for e in listing.entries]
    first = os.path.abspath(listing.entries[0].path)
    name = cache_key("files", first, stamps, listing.classes, listing.skipped, vars(options))
    if (kept := prepared.read_prepared(name)) is not None:
        return kept
    skipped = [(printable(n), why) for n, why in listing.skipped]
    pieces = _decoded(listing, options, skipped)
    used = {entry.label for entry in listing.entries}
    return _keep(name, pieces, options, (listing.classes, used), skipped, shown)


def prepare_arrays(
    parts: Sequence[ArrayPart], stamp: object, options: ResizeOptions, shown: str
) -> prepared.PreparedSet:
    """Prepare pictures that come as arrays, or find them prepared. `stamp` says when the files changed."""
    name = cache_key("arrays", stamp, vars(options))
    if (kept := prepared.read_prepared(name)) is not None:
        return kept
    used = {int(label) for part in parts if part.labels is not None for label in np.unique(part.labels)}
    classes = tuple(map(str, range(1 + max(used, default=-1))))
    pieces = itertools.chain.from_iterable(_from_rows(part, options) for part in parts)
    total = sum(part.count for part in parts)
    return _keep(name, _barred(pieces, total, shown), options, (classes, used), [], shown)


def _barred(pieces: Iterable[PreparedBatch], total: int, shown: str) -> Iterator[PreparedBatch]:
    with _bar(total, shown) as bar:
        for piece in pieces:
            yield piece
            bar.update(len(piece.labels))


def _bar(total: int, shown: str) -> "tqdm[Any]":
    # Nothing is shown of what is done in a blink.
    wait = 0.5 if os.isatty(2) else 10
    return tqdm(total=total, desc=f"preparing {shown}", unit="img", delay=1, mininterval=wait, file=sys.stderr)


def _decoded(listing: Listing, options: ResizeOptions, skipped: list[tuple[str, str]]) -> Iterator[PreparedBatch]:
    """Decode a listing's files. What cannot be read is added to `skipped`."""
    results = decode_in_processes([(entry.path, entry.member) for entry in listing.entries], options)
    with _bar(len(listing.entries), "pictures") as bar:
        pairs = zip(enumerate(listing.entries), results, strict=True)
        while together := list(itertools.islice(pairs, WRITE_BATCH)):
            good = [(entry, result) for entry, result in together if isinstance(result, DecodedImage)]
            skipped += [(printable(e.name), result) for (_, e), result in together if isinstance(result, str)]
            bar.update(len(together))
            if good:
                yield _piece(good)


def _piece(good: Sequence[tuple[tuple[int, ImageFile], DecodedImage]]) -> PreparedBatch:
    pictures = [picture for _, picture in good]
    channels = max(picture.pixels.shape[2] for picture in pictures)
    return PreparedBatch(
        np.stack([_widened(picture.pixels.transpose(2, 0, 1)[None], channels)[0] for picture in pictures]),
        np.array([entry.label for (_, entry), _ in good], np.int64),
        np.frombuffer(b"".join(picture.digest for picture in pictures), np.uint8).reshape(-1, HASH_BYTES),
        np.array([picture.size for picture in pictures], np.int32),
        [picture.mode for picture in pictures],
        np.array([entry.is_test for (_, entry), _ in good]),
        np.array([index for (index, _), _ in good], np.int64),
    )


def _widened(pixels: Array, channels: int) -> Array:
    """uint8 (k, C, H, W) with more channels: gray repeated, then opaque."""
    have = pixels.shape[1]
    if have == channels:
        return pixels
    colours = np.repeat(pixels, 3, axis=1) if have == 1 else pixels
    if channels == 3:
        return colours
    return np.concatenate([colours, np.full_like(colours[:, :1], 255)], axis=1)


def _from_rows(part: ArrayPart, options: ResizeOptions) -> Iterator[PreparedBatch]:
    from dcgan.data.resize import resize_images

    start = 0
    for rows in part.pieces():
        indices = np.arange(start, start + len(rows))
        labels = np.full(len(rows), -1, np.int64) if part.labels is None else part.labels[indices]
        start += len(rows)
        digests = b"".join(hashlib.blake2b(np.ascontiguousarray(r).data, digest_size=HASH_BYTES).digest() for r in rows)
        yield PreparedBatch(
            resize_images(rows.transpose(0, 3, 1, 2), options),
            labels,
            np.frombuffer(digests, np.uint8).reshape(-1, HASH_BYTES),
            np.tile(np.array(part.shape[:2], np.int32), (len(rows), 1)),
            ["uint8"] * len(rows),
            np.full(len(rows), part.is_test),
            indices,
        )


def _keep(
    name: str,
    pieces: Iterable[PreparedBatch],
    options: ResizeOptions,
    classes: tuple[tuple[str, ...], set[int]],
    skipped: list[tuple[str, str]],
    shown: str,
) -> prepared.PreparedSet:
    """Write everything into a new entry of the cache and open it. `classes`: their names, and which must be there."""
    with new_cache_entry(name, is_valid=lambda name: prepared.read_prepared(name) is not None) as entry:
        with (entry / "pixels.npy").open("wb+") as file:
            writer = _Writer(file, options)
            for piece in pieces:
                writer.add(piece)
            about, names = writer.columns()
            _check_enough(about["labels"], *classes, skipped, shown)
            writer.finish()
        parts = _arrange(entry / "pixels.npy", about)
        np.savez(entry / "about.npz", **about)  # type: ignore[arg-type]
        content = hashlib.sha256(about["digests"].tobytes() + about["labels"].tobytes() + repr(options).encode())
        meta = {"parts": parts, "classes": classes[0], "modes": names, "skipped": skipped, "key": content.hexdigest()}
        prepared.write_metadata(entry, meta)
    kept = prepared.read_prepared(name)
    if kept is None:
        raise UserError(f"the cache {cache_folder()} does not keep what is written there: set DCGAN_CACHE to another")
    return kept


class _Writer:
    """Rows into a `.npy` file, one after the other; the channels grow when a picture needs more."""

    HEADER = 128
    """Bytes of a `.npy` file before its data, for every shape that fits."""

    def __init__(self, file: IO[bytes], options: ResizeOptions) -> None:
        self.file, self.frame, self.channels, self.count = file, (options.height, options.width), 0, 0
        self.about: dict[str, list[Array]] = {name: [] for name in ("labels", "digests", "sizes", "tests", "indices")}
        self.modes: dict[str, int] = {}
        self.mode_of: list[Array] = []

    def add(self, piece: PreparedBatch) -> None:
        if piece.pixels.shape[1] > self.channels:
            self._widen(piece.pixels.shape[1])
        pixels = np.ascontiguousarray(_widened(piece.pixels, self.channels))
        self.file.seek(self.HEADER + self.count * self._row())
        if pixels.any():  # zeros stay a hole in the file, as they may be in a sparse source
            self.file.write(pixels.data)
        self.count += len(pixels)
        for name, column in self.about.items():
            column.append(getattr(piece, name))
        self.mode_of.append(np.array([self.modes.setdefault(m, len(self.modes)) for m in piece.modes], np.uint8))

    def _row(self) -> int:
        return self.channels * self.frame[0] * self.frame[1]

    def _widen(self, channels: int) -> None:
        """Rewrite what is there with more channels, from the end, where a row only moves away from those unread."""
        have, self.channels = self.channels, channels
        old, new = have * self.frame[0] * self.frame[1], self._row()
        for at in range(self.count - 1, -1, -1):
            self.file.seek(self.HEADER + at * old)
            row = np.frombuffer(self.file.read(old), np.uint8).reshape(1, have, *self.frame)
            self.file.seek(self.HEADER + at * new)
            self.file.write(np.ascontiguousarray(_widened(row, channels)).data)

    def columns(self) -> tuple[dict[str, Array], list[str]]:
        """What is known of each picture, and the names of the modes."""
        if not self.count:
            return {"labels": np.zeros(0, np.int64)}, []
        about = {name: np.concatenate(column) for name, column in self.about.items()}
        return about | {"modes": np.concatenate(self.mode_of)}, list(self.modes)

    def finish(self) -> None:
        """Write the header, and give the file its length."""
        shape = (self.count, self.channels, *self.frame)
        self.file.truncate(self.HEADER + self.count * self._row())
        self.file.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)
        assert self.file.tell() == self.HEADER


def _check_enough(
    labels: Array, classes: tuple[str, ...], used: set[int], skipped: Sequence[tuple[str, str]], shown: str
) -> None:
    broken = ""
    if skipped:
        name, why = skipped[0]
        broken = f"; {len(skipped)} cannot be used, such as {name} ({why})"
    if len(labels) < MIN_PICTURES:
        raise UserError(f"{shown} has {HAVE[len(labels)]}, {MIN_PICTURES} are the least{broken}")
    if not classes:
        return
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    few = [label for label in sorted(used) if counts[label] < MIN_PICTURES]
    if few:
        more = f" and {len(few) - 1} more" if len(few) > 1 else ""
        raise UserError(
            f"{shown}: the class {classes[few[0]]}{more} has {HAVE[counts[few[0]]]}, {MIN_PICTURES} are the least: "
            f"add some, or put all pictures into one folder to train without classes{broken}"
        )


def _arrange(path: Path, about: dict[str, Array]) -> dict[str, list[int]]:
    """Order the rows: training, validation, test; return where each part begins and ends."""
    tests = about.pop("tests")
    own = np.flatnonzero(~tests)
    groups = np.full(len(tests), heldout.TEST, np.int8)
    groups[own] = heldout.choose_split(about["digests"][own], about["labels"][own])
    if tests.any():  # it has a test part of its own, so nothing more is taken from training
        groups[own] = np.where(groups[own] == heldout.VALIDATION, heldout.VALIDATION, heldout.TRAIN)
    order = heldout.split_order(groups)
    pixels = np.load(path, mmap_mode="r+", allow_pickle=False)
    heldout.permute_in_place(pixels, order)
    pixels.flush()
    del pixels
    for name, column in about.items():
        about[name] = column[order]
    train, both = (int(np.count_nonzero(groups <= part)) for part in (heldout.TRAIN, heldout.VALIDATION))
    return {"train": [0, both if tests.any() else train], "validation": [train, both], "test": [both, len(groups)]}


def split_rows(kept: prepared.PreparedSet, part: str) -> slice:
    """The rows of `train`, `validation` or `test`, or of `all`."""
    if part == "all":
        return slice(0, len(kept.pixels))
    begin, end = cast(list[int], kept.meta["parts"][part])
    return slice(begin, end)
