"""IDX files, the format of MNIST: a header of big-endian numbers, then the bytes of one array.

The header is two zero bytes, the type (8 is uint8), the number of dimensions, and the length of each dimension.
"""

import gzip
import lzma
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from dcgan.data.arrays import (
    Array,
    StoredImages,
    check_end,
    image_layout,
    read_exactly,
    read_image_chunks,
    refuse_damage,
)
from dcgan.data.rules import CURRENT_RULES, RULES_WITHOUT_UPRIGHT
from dcgan.errors import UserError
from dcgan.files import list_names, printable

UINT8_HEADER = b"\0\0\x08"
UNPACKERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
IMAGE_FILE_NAME = re.compile(r"(?P<stem>.*)images?[-.]idx[34]-ubyte(\.gz|\.xz)?", re.IGNORECASE)
TEST_FILE_NAME = re.compile("t10k|test", re.IGNORECASE)
EMNIST_FILE_NAME = re.compile("emnist-", re.IGNORECASE)
"""How the names of EMNIST's own files begin, in which rows and columns are exchanged."""
EMNIST_NOTICE = "the files of EMNIST have rows and columns exchanged: the pictures are turned upright"


def find_idx_files(folder: Path) -> list[Path]:
    """Return the IDX files of images in a folder, or in the folder `raw` below it, which torchvision makes."""
    for parent in (folder, folder / "raw"):
        if parent.is_dir():
            files = sorted(p for p in parent.iterdir() if IMAGE_FILE_NAME.fullmatch(p.name) and p.is_file())
            names = {p.name for p in files}
            # A packed file beside the same file unpacked is one set, not two.
            files = [p for p in files if not (p.suffix.lower() in UNPACKERS and p.stem in names)]
            if files:
                return files
    return []


def read_idx_files(paths: list[Path], rules: int = CURRENT_RULES) -> list[StoredImages]:
    """Read the headers of IDX files of images, and the labels files beside them.

    Files with `t10k` or `test` in their names are the test split, which comes last.

    Args:
        paths: the files of images.
        rules: see `rules`.

    Raises:
        UserError: the folder holds several sets, or a file is damaged or no IDX file of uint8.
    """
    parts = [_read_idx_images(path) for path in paths]
    if rules > RULES_WITHOUT_UPRIGHT:
        is_emnist = [EMNIST_FILE_NAME.match(path.name) is not None for path in paths]
        parts = [_exchange_sides(part) if is_own else part for part, is_own in zip(parts, is_emnist, strict=True)]
    folder_name = printable(str(paths[0].parent))
    for is_test in (False, True):
        names = [path.name for path, part in zip(paths, parts, strict=True) if part.is_test == is_test]
        if len(names) > 1:
            raise UserError(f"{folder_name} holds several sets, {list_names(names)}: put each set in a separate folder")
    if len(parts) == 1:  # a test file alone is what is trained on
        return [replace(parts[0], is_test=False)]
    if (parts[0].labels is None) != (parts[1].labels is None):
        raise UserError(f"{folder_name} has labels for only one of its two parts: add or remove a labels file")
    return sorted(parts, key=lambda part: part.is_test)


def read_idx_array(file: IO[bytes], name: str) -> Array:
    """Read a whole unpacked IDX file into an array of uint8. `name` stands for it in errors.

    Raises:
        UserError: it is not an IDX file of uint8, or is shorter or longer than its header says.
    """
    return _read_array(file, _read_shape(file, name), name)


def _read_shape(file: IO[bytes], name: str) -> tuple[int, ...]:
    """Read a header and return the shape in it."""
    with refuse_damage(name):
        start = file.read(4)
        if len(start) < 4 or start[:3] != UINT8_HEADER:
            raise UserError(f"{name} is not an IDX file of uint8")
        return tuple(np.frombuffer(read_exactly(file, 4 * start[3]), ">u4").tolist())


def _read_array(file: IO[bytes], shape: tuple[int, ...], name: str) -> Array:
    """Read the bytes after the header."""
    with refuse_damage(name):
        content = read_exactly(file, int(np.prod(shape, dtype=object)))
        check_end(file)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_idx_images(path: Path) -> StoredImages:
    name = printable(str(path))
    with refuse_damage(name), _open(path) as file:
        shape = _read_shape(file, name)
    arrange, image_shape = image_layout(shape, np.dtype(np.uint8), name)

    def read_chunks() -> Iterator[Array]:
        with refuse_damage(name), _open(path) as file:
            _read_shape(file, name)
            yield from read_image_chunks(file, shape, arrange, name)

    is_test = TEST_FILE_NAME.search(path.name) is not None
    return StoredImages(shape[0], image_shape, read_chunks, _read_idx_labels(path, shape[0]), is_test)


def _exchange_sides(images: StoredImages) -> StoredImages:
    """Return images with rows and columns exchanged, as EMNIST's files need it."""
    height, width, channels = images.shape

    def read_chunks() -> Iterator[Array]:
        for rows in images.read_chunks():
            yield rows.swapaxes(1, 2)

    return replace(images, shape=(width, height, channels), read_chunks=read_chunks, notices=(EMNIST_NOTICE,))


def _read_idx_labels(path: Path, count: int) -> Array | None:
    """Read the labels file, packed or not, beside a file of `count` images; None if there is none."""
    match = IMAGE_FILE_NAME.fullmatch(path.name)
    stem = re.escape(match["stem"]) if match else ""
    label_file_name = re.compile(rf"{stem}labels?[-.]idx1-ubyte(\.gz|\.xz)?", re.IGNORECASE)
    label_files = sorted(p for p in path.parent.iterdir() if label_file_name.fullmatch(p.name))
    if not label_files:
        return None
    name = printable(str(label_files[0]))
    with refuse_damage(name), _open(label_files[0]) as file:
        shape = _read_shape(file, name)
        if shape != (count,):
            raise UserError(f"{name} has labels of the shape {shape}, but there are {count} pictures in {path.name}")
        return _read_array(file, shape, name).astype(np.int64)


def _open(path: Path) -> IO[bytes]:
    """Open a file, unpacked if its suffix says that it is packed."""
    file: IO[bytes] = UNPACKERS[suffix](path) if (suffix := path.suffix.lower()) in UNPACKERS else path.open("rb")
    return file
