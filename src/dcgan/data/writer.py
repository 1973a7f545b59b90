"""Batches of prepared images are written to one `.npy` file, which may be larger than memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from dcgan.data.decode import ResizeOptions
from dcgan.data.near_duplicates import MAX_COMPARED
from dcgan.data.resize import convert_channels

NPY_HEADER_BYTES = 128
"""Bytes of a `.npy` file before its data, for every shape that fits."""
COLUMN_NAMES = ("labels", "digests", "sizes", "is_test", "indices")
"""The attributes of a batch that become a column."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PreparedBatch:
    """Images of one shape, ready to be written.

    Attributes:
        pixels: uint8 (k, C, H, W).
        labels: int64 (k,), -1 without classes.
        digests: uint8 (k, 16), of the images before they were resized.
        sizes: int32 (k, 2), heights and widths before they were resized.
        modes: Pillow's name for the kind of pixels of each image, or `uint8` for arrays.
        is_test: bool (k,): whether an image is in the set's own test split.
        indices: int64 (k,): position in the listing or in the array.
        thumbnails: uint8 (k, 3, 16, 16), of the images before they were resized; None if they are not compared.
    """

    pixels: Array
    labels: Array
    digests: Array
    sizes: Array
    modes: list[str]
    is_test: Array
    indices: Array
    thumbnails: Array | None


class BatchWriter:
    """Writes the images of batches to a `.npy` file and keeps their columns in memory.

    All images get the same channels. When a batch needs more, the rows that were written before are converted.
    """

    def __init__(self, file: IO[bytes], options: ResizeOptions) -> None:
        self.file, self.height, self.width = file, options.height, options.width
        self.channels, self.count = 0, 0
        self.column_parts: dict[str, list[Array]] = {name: [] for name in COLUMN_NAMES}
        self.mode_numbers: dict[str, int] = {}
        self.mode_parts: list[Array] = []
        self.thumbnail_parts: list[Array] = []

    def add(self, batch: PreparedBatch) -> None:
        """Write the images of a batch after those that are there."""
        if batch.pixels.shape[1] > self.channels:
            self._convert_rows(batch.pixels.shape[1])
        pixels = np.ascontiguousarray(add_channels(batch.pixels, self.channels))
        self._seek(self.count, self.channels)
        if pixels.any():  # zeros that are not written stay a hole in the file, as in a sparse source
            self.file.write(pixels.data)
        self.count += len(pixels)
        for name, parts in self.column_parts.items():
            parts.append(getattr(batch, name))
        numbers = [self.mode_numbers.setdefault(mode, len(self.mode_numbers)) for mode in batch.modes]
        self.mode_parts.append(np.array(numbers, np.uint8))
        if batch.thumbnails is not None:
            self.thumbnail_parts.append(batch.thumbnails)
        if self.count > MAX_COMPARED:
            self.thumbnail_parts = []

    def thumbnails(self) -> Array | None:
        """Return the thumbnails of all images, uint8 (N, 3, 16, 16); None if there are too many to compare them."""
        return np.concatenate(self.thumbnail_parts) if self.thumbnail_parts else None

    def columns(self) -> tuple[dict[str, Array], list[str]]:
        """Return the columns of all images by name, and the names of the modes."""
        if not self.count:
            return {"labels": np.zeros(0, np.int64)}, []
        columns = {name: np.concatenate(parts) for name, parts in self.column_parts.items()}
        return columns | {"modes": np.concatenate(self.mode_parts)}, list(self.mode_numbers)

    def finish(self) -> None:
        """Write the header, and give the file its length."""
        shape = (self.count, self.channels, self.height, self.width)
        self.file.truncate(NPY_HEADER_BYTES + self.count * self._row_bytes(self.channels))
        self.file.seek(0)
        write_header(self.file, shape)

    def _row_bytes(self, channels: int) -> int:
        return channels * self.height * self.width

    def _seek(self, row: int, channels: int) -> None:
        self.file.seek(NPY_HEADER_BYTES + row * self._row_bytes(channels))

    def _convert_rows(self, channels: int) -> None:
        """Rewrite all rows with more channels.

        It begins with the last row: each row moves towards the end of the file, where all rows have been read already.
        """
        # Zeros at the end were not written, but they are read here.
        self.file.truncate(NPY_HEADER_BYTES + self.count * self._row_bytes(self.channels))
        for row in range(self.count - 1, -1, -1):
            self._seek(row, self.channels)
            content = self.file.read(self._row_bytes(self.channels))
            pixels = np.frombuffer(content, np.uint8).reshape(1, self.channels, self.height, self.width)
            self._seek(row, channels)
            self.file.write(np.ascontiguousarray(add_channels(pixels, channels)).data)
        self.channels = channels


class FileRows:
    """The rows of an array uint8 (N, ...) in a `.npy` file, which are read and written one at a time.

    A full disk is an error of a write. In a map of the file it would be a signal that ends the process.
    """

    def __init__(self, file: IO[bytes], shape: Sequence[int]) -> None:
        self.file, self.row_shape, self.row_bytes = file, tuple(shape[1:]), math.prod(shape[1:])

    def __getitem__(self, row: int) -> Array:
        self.file.seek(NPY_HEADER_BYTES + int(row) * self.row_bytes)
        return np.frombuffer(self.file.read(self.row_bytes), np.uint8).reshape(self.row_shape)

    def __setitem__(self, row: int, pixels: Array) -> None:
        self.file.seek(NPY_HEADER_BYTES + int(row) * self.row_bytes)
        self.file.write(np.ascontiguousarray(pixels).data)


def write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """Write the header of an array of uint8 to the beginning of a `.npy` file."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    assert file.tell() == NPY_HEADER_BYTES


def add_channels(pixels: Array, channels: int) -> Array:
    """Return images uint8 (k, C, H, W) with the same or more channels: gray is repeated, and alpha is opaque."""
    if pixels.shape[1] == channels:
        return pixels
    return convert_channels(torch.tensor(pixels), channels).numpy()
