"""Pictures to learn from: a spec such as `mnist`, a folder or a file becomes one uint8 array.

Nothing heavy is imported here: the processes that decode import this package too.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgan.errors import UserError, did_you_mean
from dcgan.files import printable

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from dcgan.data.decode import ResizeOptions
    from dcgan.data.prepared import PreparedSet

BUILT_IN_SETS = ("mnist", "stacked-mnist")
SPLITS = ("train", "validation", "test", "all")
MIN_SIDE, MAX_SIDE = 16, 256
"""Pixels of a side."""


@dataclass(frozen=True)
class ImageSet:
    """A part of a set of pictures.

    Attributes:
        name: the spec it was opened from.
        pixels: uint8 (N, C, H, W); of a folder or file mapped from the cache, so that it may be larger than memory.
        labels: int64 (N,), or None without classes.
        classes: a printable name for each label; empty without classes.
        key: of the content and of how it was prepared: equal keys, equal pictures in equal order.
        original: the pictures' size before, such as `64x48` or `16x16 to 640x480`, height first.
        skipped: (name, reason) of each file that cannot be used.
        about: an array a picture of what it was: `digests`, `sizes`, `modes`, `indices` (its place in the listing or
            the array); empty for the sets that go by a name.
        modes: names for the numbers in `about["modes"]`.
    """

    name: str
    pixels: "Tensor"
    labels: "Tensor | None"
    classes: tuple[str, ...]
    key: str = ""
    original: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    about: Mapping[str, "npt.NDArray[Any]"] = field(default_factory=dict)
    modes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)


def open_images(
    spec: str,
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    seed: int = 0,
) -> ImageSet:
    """Open a set of pictures. Files are prepared on the first call and found in the cache afterwards.

    Args:
        spec: `mnist`, `stacked-mnist`, a name of torchvision's, a folder of pictures or of IDX files, or a `.zip`,
            `.npz` or `.npy`.
        split: `train`, or one of the held-out parts `validation` and `test`, or `all` of it. A set with a test part of
            its own uses that, and its validation part is in `train` too; any other keeps a tenth out of `train`.
        size: (height, width) to resize to; by default the pictures' own where they are equal and small enough.
        channels: 1, 3 or 4; by default the fewest that lose nothing.
        fit: `crop`, `pad` or `stretch` where the aspect is another.
        seed: which stacks `stacked-mnist` draws.

    Raises:
        UserError: there is no such set, or it cannot be used.
    """
    from dcgan.data.torchvision import TORCHVISION_SETS

    if split not in SPLITS:
        raise UserError(f"there is no part {split!r} of a set; the parts are {', '.join(SPLITS)}")
    if spec in BUILT_IN_SETS or spec in TORCHVISION_SETS:
        return _named(spec, split, size, channels, fit, seed)
    return _part(spec, _prepared(spec, size, channels, fit), split)


def list_file_names(spec: str) -> list[str]:
    """Printable names of the files of a folder or a zip, by `about["indices"]`; none for what comes as arrays."""
    from dcgan.data import arrays
    from dcgan.data import folder as folder_module

    path = Path(spec).expanduser()
    if path.is_dir() and not arrays.find_idx(path):
        return [printable(entry.name) for entry in folder_module.list_folder(path).entries]
    if path.suffix.lower() == ".zip":
        return [printable(entry.name) for entry in folder_module.list_zip(path).entries]
    return []


def _named(spec: str, split: str, size: tuple[int, int] | None, channels: int | None, fit: str, seed: int) -> ImageSet:
    """A set that comes as arrays and fits into memory."""
    import torch

    from dcgan.data import heldout
    from dcgan.data.decode import ResizeOptions, suggested_size
    from dcgan.data.resize import resize_images

    pixels, labels, classes, key = _arrays(spec, "test" if split == "test" else "train", seed)
    if split == "all":
        more = _arrays(spec, "test", seed)
        pixels, labels = torch.cat([pixels, more[0]]), torch.cat([labels, more[1]])
    if split == "validation":
        digests = _digests(pixels.numpy())
        rows = torch.from_numpy(heldout.choose_split(digests, labels.numpy()) == heldout.VALIDATION)
        pixels, labels = pixels[rows], labels[rows]
    height, width = pixels.shape[-2:]
    if size is None:
        import numpy as np

        size = suggested_size(np.array([[height, width]]))
    options = ResizeOptions(*size, channels, fit)
    if (channels or pixels.shape[1], *size) != tuple(pixels.shape[1:]):
        pixels = torch.from_numpy(resize_images(pixels.numpy(), options))
    key = hashlib.sha256(f"{key} {split} {options}".encode()).hexdigest()
    return ImageSet(spec, pixels, labels, classes, key, f"{height}x{width}")


def _arrays(spec: str, part: str, seed: int) -> tuple["Tensor", "Tensor", tuple[str, ...], str]:
    """Pixels (N, C, H, W), labels, classes and a content key."""
    import torch

    if spec == "mnist":  # its bytes come with the package, so the name is key enough
        from dcgan.data import mnist

        pixels, labels = mnist.read_mnist(part)
        return pixels.unsqueeze(1), labels.long(), tuple("0123456789"), "mnist"
    if spec == "stacked-mnist":
        from dcgan.data import stacked

        return *stacked.read_stacked(part, seed), tuple(f"{i:03d}" for i in range(1000)), f"stacked-mnist {seed}"
    from dcgan.data import torchvision

    array, numbers, classes = torchvision.read_torchvision(spec, part)
    key = hashlib.sha256(array.tobytes() + numbers.tobytes()).hexdigest()
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy()), torch.from_numpy(numbers), classes, key


def _digests(pixels: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    import numpy as np

    rows = (hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest() for row in pixels)
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(pixels), 16)


def _prepared(spec: str, size: tuple[int, int] | None, channels: int | None, fit: str) -> "PreparedSet":
    """The cache's entry of a folder or a file, made now if there is none."""
    from dcgan.data import arrays, prepare
    from dcgan.data import folder as folder_module

    path, shown = Path(spec).expanduser(), printable(spec)
    if not _is_there(path):
        raise UserError(f"there is no data {spec!r}{_nearest(spec, path)}")
    suffix = path.suffix.lower()
    if path.is_dir() and not (idx := arrays.find_idx(path)):
        listing = folder_module.list_folder(path)
        return prepare.prepare_files(listing, _options(size or _listing_size(listing), channels, fit), shown)
    if path.is_dir():
        parts, stamped = arrays.read_idx(idx), sorted(idx[0].parent.glob("*ubyte*"))
    elif suffix == ".zip":
        listing = folder_module.list_zip(path)
        return prepare.prepare_files(listing, _options(size or _listing_size(listing), channels, fit), shown)
    elif suffix in (".npy", ".npz"):
        parts, stamped = (arrays.read_npy if suffix == ".npy" else arrays.read_npz)(path), [path]
    else:
        raise UserError(f"{shown} is a file of a kind that is not read: give a folder, a .zip, an .npz or an .npy")
    stamp = [(os.path.abspath(file), file.stat().st_size, file.stat().st_mtime_ns) for file in stamped]
    return prepare.prepare_arrays(parts, stamp, _options(size or _rows_size(parts), channels, fit), shown)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return False


def _options(size: tuple[int, int], channels: int | None, fit: str) -> "ResizeOptions":
    from dcgan.data.decode import ResizeOptions

    return ResizeOptions(*size, channels, fit)


def _listing_size(listing: Any) -> tuple[int, int]:
    """The size to prepare at, from the headers of up to a thousand files spread evenly."""
    import contextlib
    import io
    import warnings

    import numpy as np

    from dcgan.data.decode import native_size, read_file_bytes, suggested_size

    sizes: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for entry in listing.entries[:: max(1, len(listing.entries) // 1000)]:
            with contextlib.suppress(Exception):  # broken files are named when they are decoded
                sizes.append(
                    native_size(io.BytesIO(read_file_bytes(entry.path, entry.member)) if entry.member else entry.path)
                )
    return suggested_size(np.array(sizes or [(32, 32)]))


def _rows_size(parts: Any) -> tuple[int, int]:
    import numpy as np

    from dcgan.data.decode import suggested_size

    return suggested_size(np.array([part.shape[:2] for part in parts]))


def _nearest(spec: str, path: Path) -> str:
    """What was meant: a known name, or a file beside where the path leads."""
    from dcgan.data.torchvision import TORCHVISION_SETS

    names = [*BUILT_IN_SETS, *TORCHVISION_SETS]
    beside = [str(path.with_name(name)) for name in _names_in(path.parent)] if path.name else []
    near = did_you_mean(str(path), [*beside, *names])
    return f"{near}; known: a folder, a .zip, .npz or .npy, {', '.join(names)}"


def _names_in(folder: Path) -> Iterator[str]:
    try:
        yield from (entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except (OSError, ValueError):
        return


def _part(spec: str, kept: "PreparedSet", split: str) -> ImageSet:
    import torch

    from dcgan.data.prepare import split_rows

    rows = split_rows(kept, split)
    about = {name: column[rows] for name, column in kept.about.items()}
    labels = torch.from_numpy(about.pop("labels")) if kept.meta["classes"] else None
    sizes = kept.about["sizes"]
    low, high = ("x".join(map(str, f(axis=0).tolist())) for f in (sizes.min, sizes.max))
    return ImageSet(
        printable(spec),
        torch.from_numpy(kept.pixels[rows]),
        labels,
        tuple(kept.meta["classes"]),
        str(kept.meta["key"]),
        low if low == high else f"{low} to {high}",
        tuple((name, why) for name, why in kept.meta["skipped"]),
        about,
        tuple(kept.meta["modes"]),
    )
