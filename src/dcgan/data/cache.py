"""Where prepared sets are kept, how a damaged one is noticed, and how one that was cut off leaves nothing."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.config import UserError
from dcgan.files import whole_file

VERSION = 1
"""Of what is kept: raised when the pixels of the same files would come out differently."""
BLOCKS, BLOCK = 64, 4096
"""What is read of the pixels on every opening, spread evenly."""
DAY = 24 * 3600


@dataclass(frozen=True)
class Kept:
    """A prepared set.

    Attributes:
        pixels: uint8 (N, C, H, W), mapped from the disk: only what is used is read.
        about: an array a picture, by name: `labels`, `digests`, `sizes`, `modes`, `indices`.
        meta: JSON's own types: parts, classes, modes, skipped files, the content key.
    """

    pixels: npt.NDArray[np.uint8]
    about: dict[str, npt.NDArray[Any]]
    meta: dict[str, Any]


def root() -> Path:
    """The cache folder: DCGAN_CACHE, or where the platform keeps caches."""
    if given := os.environ.get("DCGAN_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "dcgan" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dcgan"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dcgan"


def key(*parts: object) -> str:
    """The name of an entry: a hash of everything that it depends on."""
    text = json.dumps([VERSION, *parts], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def new_entry(name: str) -> Iterator[Path]:
    """A folder to write an entry into; it gets its name when the block ends well and is removed when it does not.

    Raises:
        UserError: the cache cannot be written.
    """
    place = root()
    aside = place / f".{name}.{socket.gethostname()}.{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        aside.mkdir()
        yield aside
        _put(aside, place / name)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST):
            raise
        raise UserError(
            f"cannot write the cache {place}: {error.strerror}; make room, or set DCGAN_CACHE to another folder"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(aside: Path, final: Path) -> None:
    """Give a finished entry its name. A damaged one is replaced; who comes second leaves the first one's there."""
    for file in aside.iterdir():
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
    if final.exists() and read(final.name) is not None:
        return
    if final.exists():
        doomed = aside.with_name(aside.name + ".old")
        final.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    try:
        aside.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _sweep(place: Path) -> None:
    """Remove what killed preparations left: those of dead processes here, and those a day old from anywhere."""
    for left in place.glob(".*.*.*"):
        name = left.name.removesuffix(".old")
        host, number = name.split(".", 2)[-1].rsplit(".", 1)
        with contextlib.suppress(OSError, ValueError):
            old = time.time() - left.stat().st_mtime > DAY
            dead = os.name == "posix" and host == socket.gethostname() and not _runs(int(number))
            if old or dead:
                shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def seal(entry: Path, meta: dict[str, Any]) -> None:
    """Write an entry's last file: what it is, with the hashes by which damage is noticed."""
    pixels = entry / "pixels.npy"
    content = {**meta, "version": VERSION, "sha256": _whole(pixels), "sample": _sample(pixels)}
    content["about"] = _whole(entry / "about.npz")
    content |= _stamp(pixels)
    (entry / "meta.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


def read(name: str) -> Kept | None:
    """An entry, or None if there is none or it is damaged.

    The size, and pieces of the content, are checked every time. All of the content is checked when the file was
    touched since it was prepared.
    """
    entry = root() / name
    try:
        meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        pixels, about = entry / "pixels.npy", entry / "about.npz"
        if meta["version"] != VERSION or meta["about"] != _whole(about) or meta["sample"] != _sample(pixels):
            return None
        if (stamp := _stamp(pixels)) != {name: meta[name] for name in stamp}:
            if meta["sha256"] != _whole(pixels):
                return None
            _restamp(entry, meta | stamp)
        with np.load(about, allow_pickle=False) as arrays:
            columns = {column: arrays[column] for column in arrays.files}
        # Copy on write: torch warns of memory that it may not write to, and nothing ever writes.
        return Kept(np.load(pixels, mmap_mode="c", allow_pickle=False), columns, meta)
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        return None


def _restamp(entry: Path, meta: dict[str, Any]) -> None:
    """A copied cache has new times: note them, so that it is read as a whole once only."""
    with contextlib.suppress(OSError), whole_file(entry / "meta.json") as aside:
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
        for i in range(BLOCKS + 1):
            file.seek(max(0, size - BLOCK) * i // BLOCKS)
            digest.update(file.read(BLOCK))
    return digest.hexdigest()
