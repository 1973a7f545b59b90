"""Images from the rows of a `.parquet` file, with the memory of one page, however large its row groups are.

A page is what the writer of the file compressed at once: 1,024 rows with pyarrow's defaults, fewer in small row groups.
Nothing here imports pyarrow before a file is opened, so that processes that need none start fast.
"""

import bisect
import itertools
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from dcgan.errors import UserError
from dcgan.system.install import install_command

IMAGE_COLUMNS = ("image", "img")
"""Names that the column of images has in most sets."""
BATCH_ROWS = 16
"""Rows that are in memory at a time."""
BUFFER_BYTES = 2**20
"""Bytes that are read at a time, instead of a whole row group, which may be the whole file."""


def open_parquet(path: str) -> Any:
    """Return a `pyarrow.parquet.ParquetFile`.

    Raises:
        UserError: pyarrow is not installed.
        ValueError, OSError: the file is damaged, or cannot be read.
    """
    try:
        from pyarrow.parquet import ParquetFile  # optional, and 0.2 s
    except ModuleNotFoundError:
        raise UserError(f".parquet files need pyarrow: {install_command('parquet')}") from None
    return ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)


def image_columns(schema: Any) -> list[str]:
    """Return the names of the columns of bytes or of {bytes, path}, those with usual names first."""
    names = [field.name for field in schema if _is_image_type(field.type)]
    return sorted(names, key=lambda name: IMAGE_COLUMNS.index(name) if name in IMAGE_COLUMNS else len(IMAGE_COLUMNS))


def open_rows(path: str) -> "ImageRows":
    """Return the rows of a file, which stays open until another one is opened, or until it is another file."""
    status = os.stat(path)
    return _open_rows_version(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class ImageRows:
    """Reads images of a parquet file. Reading rows in order is fast; going back reads a row group again."""

    def __init__(self, path: str) -> None:
        self.file = open_parquet(path)
        self.column = image_columns(self.file.schema_arrow)[0]
        counts = [self.file.metadata.row_group(i).num_rows for i in range(self.file.metadata.num_row_groups)]
        self.group_ends = list(itertools.accumulate(counts))
        self.batches: Iterator[Any] = iter(())
        self.values: list[Any] = []
        self.start = 0
        self.damage: dict[int, tuple[int, str]] = {}
        """The first row of each row group that cannot be read, and why."""

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's image.

        Raises:
            ValueError: there are none, or they cannot be read.
        """
        group = self._group_of(row)
        first_damaged, reason = self.damage.get(group, (row + 1, ""))
        if row >= first_damaged:
            raise ValueError(reason)
        try:
            self._go_to(row)
        except (OSError, ValueError, StopIteration) as error:
            self.values, end = [], self.start + len(self.values)
            if isinstance(error, OSError) and error.errno:  # of the disk, and perhaps gone the next time
                raise
            reason = f"its part of the file is damaged: {error}"
            self.damage[group] = max(end, self._begin_of(group)), reason
            raise ValueError(reason) from None
        value = self.values[row - self.start]
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise ValueError("its row has no bytes of a picture")
        return bytes(content)

    def _go_to(self, row: int) -> None:
        """Read on until the batch in memory has a row; go to its row group first if that is shorter."""
        end = self.start + len(self.values)
        if row < self.start or (row >= end and self._begin_of(self._group_of(row)) > end) or not self.values:
            self._seek(self._group_of(row))
        while row >= self.start + len(self.values):
            self.start += len(self.values)
            self.values = []
            self.values = next(self.batches).column(0).to_pylist()

    def _seek(self, group: int) -> None:
        columns = [self.column]
        groups = list(range(group, len(self.group_ends)))
        self.batches = self.file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=columns)
        self.start, self.values = self._begin_of(group), []

    def _group_of(self, row: int) -> int:
        return bisect.bisect_right(self.group_ends, row)

    def _begin_of(self, group: int) -> int:
        return self.group_ends[group - 1] if group else 0


@lru_cache(maxsize=1)
def _open_rows_version(path: str, *version: int) -> ImageRows:
    return ImageRows(path)


def _is_image_type(kind: Any) -> bool:
    """Return whether values of a type are bytes, or {bytes, path} as Hugging Face writes them."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_image_type(kind.field(i).type) for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))
