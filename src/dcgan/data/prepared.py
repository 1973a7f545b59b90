"""Prepared image sets in the cache: how they are read, and how damage is noticed."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.cache import CACHE_VERSION, cache_folder
from dcgan.data.value_range import ValueRange
from dcgan.errors import UserError
from dcgan.files import atomic_file, sha256

PIXELS_FILE, COLUMNS_FILE, METADATA_FILE = "pixels.npy", "about.npz", "meta.json"
HASHED_BLOCKS, HASHED_BLOCK_BYTES = 64, 4096
"""Blocks of the pixels that are read on every opening, spread evenly, and the bytes of a block."""


@dataclass(frozen=True)
class PreparedSet:
    """A prepared image set.

    Attributes:
        pixels: uint8 (N, C, H, W), mapped from the disk: only the images that are used are read.
        columns: arrays with one row for each image: `labels`, `digests`, `sizes`, `modes`, `indices`, and
            `groups` of near duplicates by the rules from version 3 on.
        metadata: JSON types: `parts` (where each split begins and ends), `classes`, `modes`, `skipped` files, the
            content `key`, and the `value_range` of images of more than 8 bits with the `range_notice` about it.
    """

    pixels: npt.NDArray[np.uint8]
    columns: dict[str, npt.NDArray[Any]]
    metadata: dict[str, Any]

    @property
    def value_range(self) -> ValueRange | None:
        """The values that became 0 and 255; None if no image has more than 8 bits, or by the rules of 0.1.0."""
        values = self.metadata.get("value_range")
        return None if values is None else (float(values[0]), float(values[1]))


def write_metadata(entry: Path, metadata: dict[str, Any]) -> None:
    """Write the last file of an entry: its metadata with the hashes by which damage is noticed."""
    pixels = entry / PIXELS_FILE
    content = {**metadata, "version": CACHE_VERSION, "sha256": sha256(pixels), "sample": _hash_sample(pixels)}
    content |= {"about": sha256(entry / COLUMNS_FILE)} | _file_status(pixels)
    (entry / METADATA_FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_written(name: str) -> PreparedSet:
    """Return an entry of the cache that was just written.

    Raises:
        UserError: the cache does not keep it.
    """
    if (prepared := read_prepared(name)) is None:
        raise UserError(f"the cache {cache_folder()} does not keep what is written there: set DCGAN_CACHE to another")
    return prepared


def read_prepared(name: str) -> PreparedSet | None:
    """Return an entry of the cache, or None if it does not exist or is damaged.

    The size and blocks of the content are checked every time. The whole content is checked if the file was touched
    since it was prepared.
    """
    entry = cache_folder() / name
    try:
        metadata = json.loads((entry / METADATA_FILE).read_text(encoding="utf-8"))
        pixels, columns = entry / PIXELS_FILE, entry / COLUMNS_FILE
        if metadata["version"] != CACHE_VERSION:
            return None
        if metadata["about"] != sha256(columns) or metadata["sample"] != _hash_sample(pixels):
            return None
        if (status := _file_status(pixels)) != {key: metadata[key] for key in status}:
            if metadata["sha256"] != sha256(pixels):
                return None
            _rewrite_metadata(entry, metadata | status)
        with np.load(columns, allow_pickle=False) as arrays:
            arrays_by_name = {column: arrays[column] for column in arrays.files}
        # torch warns of memory that it may not write to, so the map is copy-on-write; nothing ever writes to it.
        return PreparedSet(np.load(pixels, mmap_mode="c", allow_pickle=False), arrays_by_name, metadata)
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        return None


def _rewrite_metadata(entry: Path, metadata: dict[str, Any]) -> None:
    """Note the new times of a cache that was copied, so that its whole content is checked only once."""
    with contextlib.suppress(OSError), atomic_file(entry / METADATA_FILE) as temporary:
        temporary.write_text(json.dumps(metadata) + "\n", encoding="utf-8")


def _file_status(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"bytes": status.st_size, "changed": status.st_mtime_ns}


def _hash_sample(path: Path) -> str:
    """Return a hash of a file's size, its two ends and blocks between them."""
    size = path.stat().st_size
    hasher = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for i in range(HASHED_BLOCKS + 1):
            file.seek(max(0, size - HASHED_BLOCK_BYTES) * i // HASHED_BLOCKS)
            hasher.update(file.read(HASHED_BLOCK_BYTES))
    return hasher.hexdigest()
