"""Samples written to disk: a grid, an `.npz`, a folder of pictures, an animation or a strip."""

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


MAX_CLASS_ROWS = 10
"""A grid has a row for each class if there are at most this many."""


def grid_sample_count(classes: int) -> int:
    """How many samples a grid of a training holds: a row for each class, or a square."""
    return GRID_COLUMNS * (classes if 1 < classes <= MAX_CLASS_ROWS else GRID_COLUMNS)


def sample_grid(pixels: Pixels, classes: int) -> Pixels:
    """Samples of every class in turn (N, H, W, C) as a grid, a row for each class where there are few."""
    return make_grid(pixels, rows=classes if 1 < classes <= MAX_CLASS_ROWS else None)


def check_output_path(out: Path, kinds: tuple[str, ...] = (".png", ".npz", "")) -> None:
    """Refuse a place that could not be written to, before any work is done.

    Args:
        out: a file, or a folder for the samples of `write`.
        kinds: the endings that can be written; the empty one stands for a folder.

    Raises:
        UserError: a file type that is not written, or a folder that holds other files.
    """
    suffix = out.suffix.lower()
    if suffix in kinds and suffix:
        if out.is_dir():
            raise UserError(f"{out} is a folder: give a file name")
    elif "" not in kinds or (re.fullmatch(r"\.[a-z]{2,4}\d?", suffix) and not out.is_dir()):
        raise UserError(f"cannot write {out}: give {' or '.join(_KINDS[kind] for kind in kinds)}")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: give another --out")


_KINDS = {
    ".png": "a .png (one picture)",
    ".npz": "an .npz",
    ".gif": "a .gif (an animation)",
    "": "a folder",
}


def write_frames(pixels: Pixels, out: Path) -> None:
    """Write the frames of a walk: `.gif` an animation, `.png` a strip.

    Raises:
        UserError: `out` is neither, or cannot be written.
    """
    check_output_path(out, (".gif", ".png"))
    with _writing(out):
        if out.suffix.lower() == ".gif":
            save_gif(pixels, out)
        else:
            save_png(make_grid(pixels, columns=len(pixels)), out)


def write_samples(pixels: Pixels, out: Path, labels: Tensor | None = None, *, rows: int = 0) -> None:
    """Write samples: `.png` a grid, `.npz` the array `arr_0`, anything else a folder with a PNG a sample.

    Args:
        pixels: uint8 (N, H, W, C).
        out: where to.
        labels: of the samples, (N,): `arr_1` of an `.npz`.
        rows: how many classes the samples go through in turn, if they do: see `sheet`.

    Raises:
        UserError: `out` cannot be written, or is a folder that holds other files.
    """
    check_output_path(out)
    with _writing(out):
        if out.suffix.lower() == ".png":
            save_png(sample_grid(pixels, rows), out)
        elif out.suffix.lower() == ".npz":
            arrays = {"arr_0": pixels} | ({} if labels is None else {"arr_1": labels.numpy()})
            with atomic_file(out) as aside, aside.open("wb") as file:
                np.savez(file, **arrays)
        else:
            out.mkdir(exist_ok=True)
            for i, picture in enumerate(pixels):
                save_png(picture, out / f"{i:06d}.png")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Make the folder that `out` lies in; a system's refusal becomes one line."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
