"""Prepared sets of pictures in the cache: how they are read, and how damage is noticed."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.cache import CACHE_VERSION, cache_folder
from dcgan.files import atomic_file

HASHED_BLOCKS, HASHED_BLOCK_BYTES = 64, 4096
"""What is read of the pixels on every opening, spread evenly."""


@dataclass(frozen=True)
class PreparedSet:
    """A prepared set.

    Attributes:
        pixels: uint8 (N, C, H, W), mapped from the disk: only what is used is read.
        about: an array a picture, by name: `labels`, `digests`, `sizes`, `modes`, `indices`.
        meta: JSON's own types: parts, classes, modes, skipped files, the content key.
    """

    pixels: npt.NDArray[np.uint8]
    about: dict[str, npt.NDArray[Any]]
    meta: dict[str, Any]


def write_metadata(entry: Path, meta: dict[str, Any]) -> None:
    """Write an entry's last file: what it is, with the hashes by which damage is noticed."""
    pixels = entry / "pixels.npy"
    content = {**meta, "version": CACHE_VERSION, "sha256": _whole(pixels), "sample": _sample(pixels)}
    content["about"] = _whole(entry / "about.npz")
    content |= _stamp(pixels)
    (entry / "meta.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_prepared(name: str) -> PreparedSet | None:
    """An entry, or None if there is none or it is damaged.

    The size, and pieces of the content, are checked every time. All of the content is checked when the file was
    touched since it was prepared.
    """
    entry = cache_folder() / name
    try:
        meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        pixels, about = entry / "pixels.npy", entry / "about.npz"
        if meta["version"] != CACHE_VERSION or meta["about"] != _whole(about) or meta["sample"] != _sample(pixels):
            return None
        if (stamp := _stamp(pixels)) != {name: meta[name] for name in stamp}:
            if meta["sha256"] != _whole(pixels):
                return None
            _restamp(entry, meta | stamp)
        with np.load(about, allow_pickle=False) as arrays:
            columns = {column: arrays[column] for column in arrays.files}
        # Copy on write: torch warns of memory that it may not write to, and nothing ever writes.
        return PreparedSet(np.load(pixels, mmap_mode="c", allow_pickle=False), columns, meta)
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        return None


def _restamp(entry: Path, meta: dict[str, Any]) -> None:
    """A copied cache has new times: note them, so that it is read as a whole once only."""
    with contextlib.suppress(OSError), atomic_file(entry / "meta.json") as aside:
        aside.write_text(json.dumps(meta) + "\n", encoding="utf-8")


def _stamp(path: Path) -> dict[str, int]:
    about = path.stat()
    return {"bytes": about.st_size, "changed": about.st_mtime_ns}


def _whole(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sample(path: Path) -> str:
    """A hash of the size, the two ends and blocks between."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for i in range(HASHED_BLOCKS + 1):
            file.seek(max(0, size - HASHED_BLOCK_BYTES) * i // HASHED_BLOCKS)
            digest.update(file.read(HASHED_BLOCK_BYTES))
    return digest.hexdigest()
