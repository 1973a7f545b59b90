"""Pictures that come as arrays: `.npy`, `.npz` and IDX files. They are read a piece at a time, whatever their size."""

import gzip
import lzma
import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from dcgan.errors import UserError
from dcgan.files import printable

MAX_READ_BYTES = 2**22
"""Bytes that are read at a time, at least one picture."""
MAX_CLASSES = 65_536
IMAGE_KEYS, LABEL_KEYS = ("arr_0", "images", "x", "x_train", "data"), ("arr_1", "labels", "y", "y_train")
UNPACK: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
DAMAGE = (
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

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ArrayPart:
    """Pictures of one shape, not yet read.

    Attributes:
        count: how many.
        shape: (H, W, C) of each, C 1, 3 or 4.
        pieces: reads them in order as uint8 (k, H, W, C); raises UserError where the file is damaged.
        labels: int64 (N,), or None.
        is_test: they are the set's own test part.
    """

    count: int
    shape: tuple[int, int, int]
    pieces: Callable[[], Iterator[Array]]
    labels: Array | None = None
    is_test: bool = False


def read_npy(path: Path) -> list[ArrayPart]:
    """A `.npy` file: uint8 (N, H, W), (N, H, W, C) or (N, C, H, W).

    Raises:
        UserError: it is damaged, or of another type or shape.
    """
    shown = printable(str(path))
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UserError(f"cannot read {shown}: {error.strerror or error}") from None
    except DAMAGE as error:
        raise UserError(f"{shown} is damaged, or no array of numbers: {_first_line(error)}") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{shown} holds no array: name it .npz if it is one")
    arrange, shape = _layout(array.shape, array.dtype, shown)

    def pieces() -> Iterator[Array]:
        step = max(1, MAX_READ_BYTES // max(1, math.prod(shape)))
        for start in range(0, len(array), step):
            yield arrange(np.asarray(array[start : start + step]))

    return [ArrayPart(len(array), shape, pieces)]


def read_npz(path: Path) -> list[ArrayPart]:
    """An `.npz` file: pictures under `arr_0` or `images`, labels (N,) under `arr_1` or `labels`.

    Raises:
        UserError: it is damaged, or an array is of another type or shape.
    """
    shown = printable(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            key = next((k for k in IMAGE_KEYS if k in keys), keys[0] if len(keys) == 1 else None)
            if key is None:
                raise UserError(f"{shown} names its pictures neither arr_0 nor images: it holds {_listed(keys)}")
            shape, dtype = _npz_header(archive, key, shown)
            label_key = next((k for k in LABEL_KEYS if k in keys), None)
            labels = _npz_labels(archive, label_key, shape[0], shown) if label_key and shape else None
    except OSError as error:
        raise UserError(f"cannot read {shown}: {error.strerror or error}") from None
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{shown} is damaged, or no .npz: {_first_line(error)}") from None
    arrange, one = _layout(shape, dtype, shown)

    def pieces() -> Iterator[Array]:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            _header(file)
            yield from _pieces(file, shape, arrange, shown)

    return [ArrayPart(shape[0], one, pieces, labels)]


def _npz_header(archive: zipfile.ZipFile, key: str, shown: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(f"{key}.npy") as file:
        shape, fortran, dtype = _header(file)
    if fortran and len(shape) > 1:
        raise UserError(f"{shown}: the array {printable(key)} is in Fortran order: save np.ascontiguousarray(array)")
    return shape, dtype


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return tuple(shape), fortran, dtype


def _npz_labels(archive: zipfile.ZipFile, key: str, count: int, shown: str) -> Array:
    shape, dtype = _npz_header(archive, key, shown)
    if dtype.kind not in "iu" or math.prod(shape) != count or len(shape) not in (1, 2):
        raise UserError(
            f"{shown}: the labels {printable(key)} are {dtype} {shape}, not a whole number for each "
            f"of the {count} pictures"
        )
    with archive.open(f"{key}.npy") as file:
        _header(file)
        labels = np.frombuffer(_read(file, count * dtype.itemsize), dtype).astype(np.int64)
    return checked_labels(labels, shown)


def checked_labels(labels: Array, shown: str) -> Array:
    """Labels as they are, if they are class numbers."""
    if len(labels) and not (labels.min() >= 0 and labels.max() < MAX_CLASSES):
        raise UserError(
            f"{shown}: its labels go from {labels.min()} to {labels.max()}; they must be 0 to {MAX_CLASSES}"
        )
    return labels


def _layout(
    shape: tuple[int, ...], dtype: np.dtype[Any], shown: str
) -> tuple[Callable[[Array], Array], tuple[int, int, int]]:
    """How an array of this shape becomes (N, H, W, C), and the (H, W, C) of each picture."""
    if dtype != np.uint8:
        raise UserError(f"{shown} holds {dtype}, not uint8 from 0 to 255: convert it and save it again")
    wanted = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C 1, 3 or 4"
    if len(shape) not in (3, 4) or 0 in shape[1:] or max(shape[1:3]) > 16_384:
        raise UserError(f"{shown} has the shape {shape}, not {wanted}")
    if len(shape) == 3:
        return lambda rows: rows[..., None], (shape[1], shape[2], 1)
    if shape[3] in (1, 3, 4):
        return lambda rows: rows, (shape[1], shape[2], shape[3])
    if shape[1] in (1, 3, 4):
        return lambda rows: rows.transpose(0, 2, 3, 1), (shape[2], shape[3], shape[1])
    raise UserError(f"{shown} has the shape {shape}, not {wanted}")


def _pieces(file: IO[bytes], shape: tuple[int, ...], arrange: Callable[[Array], Array], shown: str) -> Iterator[Array]:
    """Read `shape` bytes in pieces of whole pictures."""
    one = math.prod(shape[1:])
    step = max(1, MAX_READ_BYTES // one)
    try:
        for start in range(0, shape[0], step):
            count = min(step, shape[0] - start)
            yield arrange(np.frombuffer(_read(file, count * one), np.uint8).reshape(count, *shape[1:]))
        if file.read(1):
            raise ValueError("it is longer than its header says")
    except UserError:
        raise
    except (*DAMAGE, OSError) as error:
        raise UserError(f"{shown} is damaged: {_first_line(error)}") from None


def _read(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise ValueError("it ends before its header says")
    return content


IDX_IMAGES = re.compile(r"(?P<stem>.*)images?[-.]idx[34]-ubyte(?P<pack>\.gz|\.xz)?", re.IGNORECASE)


def find_idx(folder: Path) -> list[Path]:
    """The IDX files of pictures in a folder, or in the folder `raw` below it as torchvision lays them out."""
    for place in (folder, folder / "raw"):
        if place.is_dir():
            found = sorted(p for p in place.iterdir() if IDX_IMAGES.fullmatch(p.name) and p.is_file())
            plain = {p.name for p in found}
            # Packed and unpacked side by side is one set, not two.
            found = [p for p in found if not (p.suffix in UNPACK and p.stem in plain)]
            if found:
                return found
    return []


def read_idx(paths: list[Path]) -> list[ArrayPart]:
    """IDX files of pictures: with their labels where those lie beside them, `t10k` and `test` as the test part.

    Raises:
        UserError: several sets in one folder, or a file that is damaged or no IDX of uint8.
    """
    parts = [_idx_rows(path) for path in paths]
    shown = printable(str(paths[0].parent))
    for is_test in (False, True):
        names = [path.name for path, part in zip(paths, parts, strict=True) if part.is_test == is_test]
        if len(names) > 1:
            raise UserError(f"{shown} holds several sets, {_listed(names)}: put one set in a folder of its own")
    if len(parts) == 2 and (parts[0].labels is None) != (parts[1].labels is None):
        raise UserError(f"{shown} has labels for one of its two parts only: add or remove a labels file")
    return sorted(
        (ArrayPart(p.count, p.shape, p.pieces, p.labels, p.is_test and len(parts) > 1) for p in parts), key=_last
    )


def _last(part: ArrayPart) -> bool:
    return part.is_test


def _idx_rows(path: Path) -> ArrayPart:
    shown = printable(str(path))
    shape = _idx_shape(path)
    arrange, one = _layout(shape, np.dtype(np.uint8), shown)

    def pieces() -> Iterator[Array]:
        with _opened(path) as file:
            file.read(4 + 4 * len(shape))
            yield from _pieces(file, shape, arrange, shown)

    is_test = bool(re.search("t10k|test", path.name, re.IGNORECASE))
    return ArrayPart(shape[0], one, pieces, _idx_labels(path, shape[0]), is_test)


def _opened(path: Path) -> Any:
    return UNPACK[path.suffix](path) if path.suffix in UNPACK else path.open("rb")


def _idx_shape(path: Path) -> tuple[int, ...]:
    """The shape in an IDX file's header: 0, 0, type, rank, then each size as a big-endian number."""
    shown = printable(str(path))
    try:
        with _opened(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08":
                raise UserError(f"{shown} is not an IDX file of uint8")
            sizes = _read(file, 4 * head[3])
    except UserError:
        raise
    except (*DAMAGE, OSError) as error:
        raise UserError(f"{shown} is damaged: {_first_line(error)}") from None
    return tuple(np.frombuffer(sizes, ">u4").tolist())


def _idx_labels(path: Path, count: int) -> Array | None:
    """The labels beside a file of pictures, packed or not."""
    match = IDX_IMAGES.fullmatch(path.name)
    stem = re.escape(match["stem"]) if match else ""
    named = re.compile(rf"{stem}labels?[-.]idx1-ubyte(\.gz|\.xz)?", re.IGNORECASE)
    beside = sorted(p for p in path.parent.iterdir() if named.fullmatch(p.name))
    if not beside:
        return None
    shown, shape = printable(str(beside[0])), _idx_shape(beside[0])
    if shape != (count,):
        raise UserError(f"{shown} has labels of the shape {shape}, but there are {count} pictures in {path.name}")
    with _opened(beside[0]) as file:
        file.read(8)
        [labels] = list(_pieces(file, (1, count), lambda rows: rows, shown)) if count else [np.zeros((1, 0))]
    return np.asarray(labels[0], np.int64)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return printable(text.splitlines()[0][:200])


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(printable, names[:4]))
    return f"{shown}, …" if len(names) > 4 else shown or "nothing"
