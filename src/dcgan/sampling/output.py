"""Samples as files: a grid, an `.npz`, a folder of pictures, a film or a strip."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.data.arrays import CLASS_NAMES_KEY
from dcgan.errors import UserError
from dcgan.files import atomic_file, fsync_folder, write_reason
from dcgan.images import Pixels, make_grid, save_png, write_png
from dcgan.sampling.film import FILM_SUFFIXES, FilmFormat, is_film, write_film
from dcgan.sampling.generate import SampleStream
from dcgan.system.allocator import keep_freed_memory
from dcgan.system.resources import check_disk, check_memory

GRID_COLUMNS = 8
"""Columns of the grid of samples that a run writes."""
MAX_CLASS_ROWS = 10
"""A grid has one row for each class if there are at most this many classes."""
GRID_COPIES = 3
"""Copies of all samples that are in memory while a grid is made: the samples, the grid, and what Pillow encodes."""
LABEL_BYTES, LABEL_BLOCK_SIZE = 8, 65_536
MIN_PNG_BYTES = 67
"""Size of the smallest PNG, of one gray pixel."""
MIN_NAME_DIGITS = 6
"""Pictures of a folder are numbered with at least so many digits, so that their names are in order."""
FILE_KINDS = {
    ".png": "a .png (one picture)",
    ".npz": "an .npz",
    ".gif": "a .gif (an animation)",
    ".webp": "a .webp (an animation)",
    ".mp4": "an .mp4 (a film)",
    "": "a folder",
}
"""File types by their ending, as an error line names them."""
WALK_SUFFIXES = (*FILM_SUFFIXES, ".png")
"""What a walk can be written as."""
DEFAULT_FILM_FORMAT = FilmFormat()


def grid_sample_count(classes: int) -> int:
    """Return how many samples the grid of a run has: a row for each class, or a square."""
    return GRID_COLUMNS * (classes if 1 < classes <= MAX_CLASS_ROWS else GRID_COLUMNS)


def make_sample_grid(pixels: Pixels, classes: int) -> Pixels:
    """Return samples (N, H, W, C), of all classes in turn, as one grid, with a row for each class if there are few."""
    return make_grid(pixels, rows=classes if 1 < classes <= MAX_CLASS_ROWS else None)


def check_output_path(out: Path, kinds: tuple[str, ...] = (".png", ".npz", "")) -> None:
    """Check that an output path can be written, before any work is done for it.

    Args:
        out: a file, or a folder.
        kinds: the file endings that can be written, from `FILE_KINDS`; the empty one stands for a folder.

    Raises:
        UserError: the path has another ending, or is a folder that holds other files or has no name, such as `.`.
    """
    suffix = out.suffix.lower()
    if suffix in kinds and suffix:
        if out.is_dir():
            raise UserError(f"{out} is a folder: give a file name")
    elif "" not in kinds or (re.fullmatch(r"\.[a-z]{2,4}\d?", suffix) and not out.is_dir()):
        raise UserError(f"cannot write {out}: give {' or '.join(FILE_KINDS[kind] for kind in kinds)}")
    elif kinds == ("",) and out.name in ("", ".."):  # renamed into its place as a whole, which these cannot be
        raise UserError(f"{out} has no name of its own: give a new folder as --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: give another --out")


def write_frames(
    pixels: Pixels, out: Path, film_format: FilmFormat = DEFAULT_FILM_FORMAT, *, default_size: int | None = None
) -> None:
    """Write the frames of a walk, uint8 (F, H, W, C): a strip into a `.png`, otherwise a film.

    Args:
        pixels: the frames.
        out: a `.png`, `.gif`, `.webp` or `.mp4`.
        film_format: size and speed of a film.
        default_size: see `write_film`.

    Raises:
        UserError: `out` is none of these, or cannot be written.
    """
    check_output_path(out, WALK_SUFFIXES)
    with writable_parent(out):
        if is_film(out):
            write_film(pixels, len(pixels), out, film_format, default_size=default_size)
        else:
            save_png(make_grid(pixels, columns=len(pixels)), out)


@keep_freed_memory()
def write_sample_stream(stream: SampleStream, out: Path, *, rows: int = 0) -> None:
    """Write samples: a grid into a `.png`, the array `arr_0` into an `.npz`, otherwise a folder with a PNG for each.

    Array and folder are written while the samples are drawn. The output is written as a whole or not at all.

    Args:
        stream: the samples, and their labels, which become `arr_1` of an `.npz`, with their names as `class_names`.
        out: the file or folder.
        rows: number of classes if the samples have all classes in turn, see `make_sample_grid`.

    Raises:
        UserError: `out` cannot be written, is a folder that holds other files, or there is too little memory or disk.
    """
    check_output_path(out)
    with writable_parent(out):
        if out.suffix.lower() == ".png":
            _write_grid(stream, out, rows)
        elif out.suffix.lower() == ".npz":
            _write_arrays(stream, out)
        else:
            _write_folder(stream, out)


def _write_grid(stream: SampleStream, out: Path, rows: int) -> None:
    purpose = f"{stream.n:,} samples in one picture"
    check_memory(GRID_COPIES * stream.byte_count, purpose, "lower --n, or write an .npz or a folder")
    save_png(make_sample_grid(np.concatenate(list(stream.batches)), rows), out)


def _write_arrays(stream: SampleStream, out: Path) -> None:
    """Write what `np.savez` would write, without having the arrays in memory."""
    has_labels = stream.labels(0, 1) is not None
    needed = stream.byte_count + (LABEL_BYTES * stream.n if has_labels else 0)
    check_disk(needed, out, f"{stream.n:,} samples", "lower --n")
    with atomic_file(out) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as file:
        _write_array(file, "arr_0", (stream.n, *stream.picture_shape), np.dtype(np.uint8), stream.batches)
        if has_labels:
            _write_array(file, "arr_1", (stream.n,), np.dtype(np.int64), _label_batches(stream))
            names = np.array(stream.classes)
            _write_array(file, CLASS_NAMES_KEY, names.shape, names.dtype, [names])


def _write_array(
    file: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], batches: Iterable[npt.NDArray[Any]]
) -> None:
    """Write an array into an `.npz`, batch after batch."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with file.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for batch in batches:
            member.write(np.ascontiguousarray(batch, dtype).data)


def _label_batches(stream: SampleStream) -> Iterator[npt.NDArray[np.int64]]:
    for first in range(0, stream.n, LABEL_BLOCK_SIZE):
        labels = stream.labels(first, min(LABEL_BLOCK_SIZE, stream.n - first))
        assert labels is not None
        yield labels.numpy()


def _write_folder(stream: SampleStream, out: Path) -> None:
    """Write a PNG for each sample. The disk is waited for once, at the end."""
    purpose, advice = f"{stream.n:,} pictures", "lower --n, or write an .npz"
    check_disk(MIN_PNG_BYTES * stream.n, out, purpose, advice)
    is_new, digits, written = not out.exists(), max(MIN_NAME_DIGITS, len(str(stream.n - 1))), 0
    out.mkdir(exist_ok=True)
    try:
        for batch in stream.batches:
            byte_count = 0
            for picture in batch:
                path = out / f"{written:0{digits}d}.png"
                written += 1
                write_png(picture, path)
                byte_count += path.stat().st_size
            check_disk(byte_count // len(batch) * (stream.n - written), out, purpose, advice)
        fsync_folder(out)
    except BaseException:
        for number in range(written):
            (out / f"{number:0{digits}d}.png").unlink(missing_ok=True)
        if is_new:
            out.rmdir()
        raise


@contextmanager
def writable_parent(out: Path) -> Iterator[None]:
    """Create the parent folder of `out`, then run the block; a system error in it becomes one line for the user."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot write {out}: {write_reason(error)}") from None
