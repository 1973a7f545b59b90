"""Images that are stored as arrays: `.npy` and `.npz` files. They are read in chunks, whatever their size."""

import contextlib
import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from dcgan.data.value_range import ValueRange, scale_to_8_bits
from dcgan.errors import UserError
from dcgan.files import error_reason, list_names, printable

MAX_CHUNK_BYTES = 2**22
"""Bytes that are read at a time; a chunk has at least one image."""
MAX_SIDE = 16_384
"""Pixels of a side of a stored image."""
MIN_LAST_SIDE = 5
"""Pixels: in an array of three dimensions a shorter last one holds channels."""
MAX_CLASSES = 65_536
IMAGE_KEYS = ("arr_0", "images", "x", "x_train", "data")
"""Names that the array of images may have in an `.npz` file."""
LABEL_KEYS = ("arr_1", "labels", "y", "y_train")
"""Names that the array of labels may have in an `.npz` file."""
CLASS_NAMES_KEY = "class_names"
"""The name that an array of the names of classes has in an `.npz` file."""
MAX_NAME_CHARS = 200
"""Characters of the name of a class."""
DAMAGE_ERRORS = (
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    SyntaxError,
    KeyError,
    MemoryError,
    tokenize.TokenError,
)
"""What NumPy and the unpackers raise for damaged files."""
ZIP_ERRORS = (RuntimeError, NotImplementedError)
"""What `zipfile` raises for a member that is encrypted, or packed by a method that it does not know."""

UINT8: np.dtype[Any] = np.dtype(np.uint8)
Array = npt.NDArray[Any]
ImageShape = tuple[int, int, int]
"""(H, W, C) of an image."""


@dataclass(frozen=True)
class StoredImages:
    """Images of one shape in a file, not yet read.

    Attributes:
        count: the number of images.
        shape: (H, W, C) of each image; C is 1, 3 or 4.
        read_chunks: reads the images in order as uint8 (k, H, W, C); raises UserError where the file is damaged.
        labels: int64 (N,), or None.
        is_test: whether these images are the set's own test split.
        value_range: the values that became 0 and 255; None if the file holds uint8.
        notices: lines about what was guessed.
        class_names: names of the labels 0, 1, 2, ...; empty if the numbers are the names.
    """

    count: int
    shape: ImageShape
    read_chunks: Callable[[], Iterator[Array]]
    labels: Array | None = None
    is_test: bool = False
    value_range: ValueRange | None = None
    notices: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


def read_npy(path: Path, value_range: ValueRange | None = None) -> StoredImages:
    """Read the header of a `.npy` file of uint8 (N, H, W), (N, H, W, C) or (N, C, H, W).

    Args:
        path: the file.
        value_range: the values that become 0 and 255, if the file does not hold uint8.

    Raises:
        UserError: the file is damaged, or holds another type or shape.
    """
    name = printable(str(path))
    with refuse_damage(name, "is damaged, or no array of numbers"):
        with path.open("rb") as file:
            magic = file.read(len(npy_format.MAGIC_PREFIX))
        if magic[:2] != b"PK" and not npy_format.MAGIC_PREFIX.startswith(magic):  # NumPy would take it for a pickle
            raise ValueError("it does not begin as an .npy file does: save it with numpy.save")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise UserError(f"{name} is not a single array: if it is an .npz file, rename it")
    arrange, image_shape = image_layout(array.shape, array.dtype, name, value_range)

    def read_chunks() -> Iterator[Array]:
        for rows in _chunk_slices(len(array), math.prod(image_shape)):
            yield arrange(np.asarray(array[rows]))

    return StoredImages(
        len(array),
        image_shape,
        read_chunks,
        value_range=_used_range(array.dtype, value_range),
        notices=describe_layout(array.shape),
    )


def read_npz(path: Path, value_range: ValueRange | None = None) -> StoredImages:
    """Read the headers of an `.npz` file: images under `arr_0` or `images`, labels (N,) under `arr_1` or `labels`.

    Names of the labels 0, 1, 2, ... may be under `class_names`, an array of texts.

    Args:
        path: the file.
        value_range: the values that become 0 and 255, if the file does not hold uint8.

    Raises:
        UserError: the file is damaged, or an array has another type or shape.
    """
    name = printable(str(path))
    with refuse_damage(name, "is damaged, or no .npz"), zipfile.ZipFile(path) as archive:
        keys = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
        key = next((k for k in IMAGE_KEYS if k in keys), keys[0] if len(keys) == 1 else None)
        if key is None:
            raise UserError(f"{name} has no array arr_0 or images: it holds {list_names(keys)}")
        shape, dtype = _read_npz_header(archive, key, name)
        label_key = next((k for k in LABEL_KEYS if k in keys), None)
        labels = _read_npz_labels(archive, label_key, shape[0], name) if label_key and shape else None
        names = () if labels is None or CLASS_NAMES_KEY not in keys else _read_npz_class_names(archive, name)
    arrange, image_shape = image_layout(shape, dtype, name, value_range)

    def read_chunks() -> Iterator[Array]:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            _read_npy_header(file)
            yield from read_image_chunks(file, shape, arrange, name, dtype)

    return StoredImages(
        shape[0],
        image_shape,
        read_chunks,
        labels,
        value_range=_used_range(dtype, value_range),
        notices=describe_layout(shape),
        class_names=names if labels is not None and can_name_classes(names, labels) else (),
    )


def can_name_classes(names: Sequence[object], labels: Array) -> bool:
    """Return whether names can be those of the labels 0, 1, 2, ...: different texts, enough and not too long."""
    are_texts = all(isinstance(name, str) and name.strip() and len(name) <= MAX_NAME_CHARS for name in names)
    return are_texts and len(set(names)) == len(names) <= MAX_CLASSES and int(labels.max(initial=-1)) < len(names)


@contextlib.contextmanager
def refuse_damage(name: str, problem: str = "is damaged") -> Iterator[None]:
    """Turn the errors of a block that reads the file `name` into one line: "NAME PROBLEM: reason".

    Raises:
        UserError: the block raised it, or the file is damaged or cannot be read.
    """
    try:
        yield
    except UserError:
        raise
    except (*DAMAGE_ERRORS, *ZIP_ERRORS, OSError) as error:  # gzip raises an OSError without a system's reason
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"cannot read {name}: {error.strerror}") from None
        raise UserError(f"{name} {problem}: {error_reason(error)}") from None


def image_layout(
    shape: Sequence[int], dtype: np.dtype[Any], name: str, value_range: ValueRange | None = None
) -> tuple[Callable[[Array], Array], ImageShape]:
    """Return what turns rows of an array into images uint8 (k, H, W, C), and the (H, W, C) of one image.

    Raises:
        UserError: the array in the file `name` does not have the type or the shape of images.
    """
    if dtype != np.uint8 and not (value_range and dtype.kind in "iufb"):
        raise UserError(
            f"{name} holds {dtype}, not uint8 from 0 to 255: convert it and save it again"
            + (", or give --value-range LOW HIGH" if dtype.kind in "iufb" else "")
        )

    def to_8_bits(rows: Array) -> Array:
        if dtype == np.uint8 or value_range is None:
            return rows
        with refuse_damage(name, "cannot be used"):
            return scale_to_8_bits(rows, value_range)

    check_is_set(shape, name)
    if len(shape) in (3, 4) and 0 not in shape[1:] and max(shape[1:3]) <= MAX_SIDE:
        if len(shape) == 3:
            return lambda rows: to_8_bits(rows)[..., None], (shape[1], shape[2], 1)
        if shape[3] in (1, 3, 4):
            return to_8_bits, (shape[1], shape[2], shape[3])
        if shape[1] in (1, 3, 4):
            return lambda rows: to_8_bits(rows).transpose(0, 2, 3, 1), (shape[2], shape[3], shape[1])
    raise UserError(
        f"{name} has the shape {tuple(shape)}, not (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1, 3 or 4"
    )


def check_is_set(shape: Sequence[int], name: str) -> None:
    """Refuse the array of a single picture (H, W, C), which would be taken as H gray pictures.

    Raises:
        UserError: the last of three dimensions is as short as channels are.
    """
    if len(shape) == 3 and 0 < shape[2] < MIN_LAST_SIDE:
        raise UserError(
            f"{name} has the shape {tuple(shape)}: that is one picture with {shape[2]} channels, not a set of them, "
            "which is (N, H, W), (N, H, W, C) or (N, C, H, W)"
        )


def describe_layout(shape: Sequence[int]) -> tuple[str, ...]:
    """Return a line about a shape that may also mean something else; none if it can mean one thing only."""
    if len(shape) == 3 and shape[0] in (3, 4):
        return (f"the array {tuple(shape)} is taken as {shape[0]} gray pictures, not as one with {shape[0]} channels",)
    if len(shape) == 4 and shape[1] in (1, 3, 4) and shape[3] in (1, 3, 4):
        return (f"the array {tuple(shape)} is taken as (N, H, W, C), not as (N, C, H, W)",)
    return ()


def _used_range(dtype: np.dtype[Any], value_range: ValueRange | None) -> ValueRange | None:
    return None if dtype == np.uint8 else value_range


def read_image_chunks(
    file: IO[bytes],
    shape: Sequence[int],
    arrange: Callable[[Array], Array],
    name: str,
    dtype: np.dtype[Any] = UINT8,
) -> Iterator[Array]:
    """Read an array of this shape, which is all that is left of the file, in chunks of whole images."""
    image_bytes = math.prod(shape[1:]) * dtype.itemsize
    with refuse_damage(name):
        for rows in _chunk_slices(shape[0], image_bytes):
            count = rows.stop - rows.start
            yield arrange(np.frombuffer(read_exactly(file, count * image_bytes), dtype).reshape(count, *shape[1:]))
        check_end(file)


def read_exactly(file: IO[bytes], size: int) -> bytes:
    """Read `size` bytes, with no more memory than the file has bytes, whatever its header says.

    Raises:
        ValueError: the file has fewer bytes.
    """
    chunks = []
    while size:
        chunk = file.read(min(size, MAX_CHUNK_BYTES))
        if not chunk:
            raise ValueError("it ends before its header says")
        chunks.append(chunk)
        size -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def check_end(file: IO[bytes]) -> None:
    """Raise ValueError unless all bytes of a file have been read."""
    if file.read(1):
        raise ValueError("it is longer than its header says")


def _chunk_slices(count: int, image_bytes: int) -> Iterator[slice]:
    """Return the rows of each chunk."""
    step = max(1, MAX_CHUNK_BYTES // max(1, image_bytes))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _read_npz_header(archive: zipfile.ZipFile, key: str, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(f"{key}.npy") as file:
        shape, is_fortran, dtype = _read_npy_header(file)
    if is_fortran and len(shape) > 1:
        raise UserError(f"{name}: the array {printable(key)} is in Fortran order: save np.ascontiguousarray(array)")
    return shape, dtype


def _read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return an array's shape, whether it is in Fortran order, and its type."""
    version = npy_format.read_magic(file)
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    return tuple(shape), is_fortran, dtype


def _read_npz_labels(archive: zipfile.ZipFile, key: str, count: int, name: str) -> Array:
    shape, dtype = _read_npz_header(archive, key, name)
    if dtype.kind not in "iu" or math.prod(shape) != count or len(shape) not in (1, 2):
        raise UserError(
            f"{name}: the labels {printable(key)} are {dtype} {shape}, not a whole number for each "
            f"of the {count} pictures: save them as int64 ({count},), or remove them to train without classes"
        )
    with archive.open(f"{key}.npy") as file:
        _read_npy_header(file)
        labels = np.frombuffer(read_exactly(file, count * dtype.itemsize), dtype).astype(np.int64)
    _check_labels(labels, name)
    return labels


def _read_npz_class_names(archive: zipfile.ZipFile, name: str) -> tuple[str, ...]:
    """Return the texts under `class_names`; none if what is there has another type, which means something else."""
    shape, dtype = _read_npz_header(archive, CLASS_NAMES_KEY, name)
    if dtype.kind != "U" or len(shape) != 1 or shape[0] > MAX_CLASSES or dtype.itemsize > 4 * MAX_NAME_CHARS:
        return ()
    with archive.open(f"{CLASS_NAMES_KEY}.npy") as file:
        _read_npy_header(file)
        texts = np.frombuffer(read_exactly(file, shape[0] * dtype.itemsize), dtype)
    return tuple(map(printable, texts.tolist()))


def _check_labels(labels: Array, name: str) -> None:
    """Refuse labels that are not class numbers."""
    if len(labels) and not (labels.min() >= 0 and labels.max() < MAX_CLASSES):
        raise UserError(
            f"{name}: its labels go from {labels.min()} to {labels.max()}; they must be 0 to {MAX_CLASSES - 1}"
        )
