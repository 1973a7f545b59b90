"""Samples as files: a grid, an `.npz`, a folder of pictures, an animation or a strip."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torch import Tensor

from dcgan.errors import UserError
from dcgan.files import atomic_file
from dcgan.images import Pixels, make_grid, save_gif, save_png

GRID_COLUMNS = 8
"""Columns of the grid of samples that a run writes."""
MAX_CLASS_ROWS = 10
"""A grid has one row for each class if there are at most this many classes."""
FILE_KINDS = {
    ".png": "a .png (one picture)",
    ".npz": "an .npz",
    ".gif": "a .gif (an animation)",
    "": "a folder",
}
"""File types by their ending, as an error line names them."""


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
        UserError: the path has another ending, or is a folder that holds other files.
    """
    suffix = out.suffix.lower()
    if suffix in kinds and suffix:
        if out.is_dir():
            raise UserError(f"{out} is a folder: give a file name")
    elif "" not in kinds or (re.fullmatch(r"\.[a-z]{2,4}\d?", suffix) and not out.is_dir()):
        raise UserError(f"cannot write {out}: give {' or '.join(FILE_KINDS[kind] for kind in kinds)}")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: give another --out")


def write_frames(pixels: Pixels, out: Path) -> None:
    """Write the frames of a walk, uint8 (F, H, W, C): an animation into a `.gif`, a strip into a `.png`.

    Raises:
        UserError: `out` is neither of both, or cannot be written.
    """
    check_output_path(out, (".gif", ".png"))
    with _parent_folder(out):
        if out.suffix.lower() == ".gif":
            save_gif(pixels, out)
        else:
            save_png(make_grid(pixels, columns=len(pixels)), out)


def write_samples(pixels: Pixels, out: Path, labels: Tensor | None = None, *, rows: int = 0) -> None:
    """Write samples: a grid into a `.png`, the array `arr_0` into an `.npz`, otherwise a folder with a PNG for each.

    Args:
        pixels: uint8 (N, H, W, C).
        out: the file or folder.
        labels: of the samples, (N,); they become `arr_1` of an `.npz`.
        rows: number of classes if the samples have all classes in turn, see `make_sample_grid`.

    Raises:
        UserError: `out` cannot be written, or is a folder that holds other files.
    """
    check_output_path(out)
    with _parent_folder(out):
        if out.suffix.lower() == ".png":
            save_png(make_sample_grid(pixels, rows), out)
        elif out.suffix.lower() == ".npz":
            arrays = {"arr_0": pixels} | ({} if labels is None else {"arr_1": labels.numpy()})
            with atomic_file(out) as temporary, temporary.open("wb") as file:
                np.savez(file, **arrays)
        else:
            out.mkdir(exist_ok=True)
            for i, picture in enumerate(pixels):
                save_png(picture, out / f"{i:06d}.png")


@contextmanager
def _parent_folder(out: Path) -> Iterator[None]:
    """Create the parent folder of `out`, then run the block; a system error in it becomes one line for the user."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
