"""The bytes of one image: a file, or a member of a `.zip`, a `.tar` or a `.parquet`.

Nothing here imports torch or pyarrow before it is needed, so that the processes that decode start fast.
"""

import os
import zipfile
from functools import lru_cache
from pathlib import Path

from dcgan.data.parquet_rows import open_rows

MAX_FILE_BYTES = 256 * 2**20
"""A larger file is skipped before it is in memory: Pillow's own limit is on pixels, not on bytes."""

FileLocation = tuple[str, str | None]
"""A file's path and None; or the path of a zip and the name of a member, of a tar and the place of a member, or of a
parquet file and the number of a row."""


def read_file_bytes(path: str, member: str | None) -> bytes:
    """Return the bytes of a file or of a member of a packed file.

    Raises:
        ValueError: there are none, or more than `MAX_FILE_BYTES`.
    """
    content = _read(path, member)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    if not content:
        raise ValueError("the file is empty")
    return content


def file_version(path: str | Path) -> tuple[int, int]:
    """Return a file's size and modification time."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def tar_member(offset: int, size: int) -> str:
    """Return how the place of a member of a tar is written in a `FileLocation`."""
    return f"{offset}+{size}"


def open_zip(path: str) -> zipfile.ZipFile:
    """Return a zip, which stays open until another one is opened, or until the file at `path` is another one."""
    status = os.stat(path)
    return _open_zip_version(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)
def _open_zip_version(path: str, *version: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _read(path: str, member: str | None) -> bytes:
    """Return the bytes of a member, and of a larger one a byte more than `MAX_FILE_BYTES`."""
    if member is None:
        with open(path, "rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".parquet":
        return open_rows(path).read(int(member))
    if suffix == ".tar":
        offset, size = map(int, member.split("+"))
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(min(size, MAX_FILE_BYTES + 1))
    with open_zip(path).open(member) as packed:
        return packed.read(MAX_FILE_BYTES + 1)
