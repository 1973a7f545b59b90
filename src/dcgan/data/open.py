"""Opening image sets: a name such as `mnist`, a folder or a file becomes one uint8 array."""

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dcgan.config import check_value_range
from dcgan.data import heldout, mnist, stacked
from dcgan.data.arrays import StoredImages, read_npy, read_npz
from dcgan.data.classes import compact_labels, keep_trained_classes
from dcgan.data.decode import ResizeOptions, read_image_size, suggest_size
from dcgan.data.digests import Digests, digest_images
from dcgan.data.folder import list_folder, list_zip
from dcgan.data.hub import fetch_hub_set
from dcgan.data.idx import find_idx_files, read_idx_files
from dcgan.data.listing import ImageFile, Listing
from dcgan.data.location import BUILT_IN_SETS, check_not_empty, is_hub_set, is_named_set, path_exists
from dcgan.data.members import read_file_bytes
from dcgan.data.near_duplicates import MAX_COMPARED
from dcgan.data.parquet import list_parquet
from dcgan.data.prepare import prepare_arrays, prepare_files, split_rows
from dcgan.data.prepared import PreparedSet
from dcgan.data.resize import resize_images
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1, RULES_WITHOUT_GROUPS
from dcgan.data.shards import SHARD_SUFFIXES, check_plain_files, find_shards
from dcgan.data.torchvision import TORCHVISION_SETS, read_torchvision
from dcgan.data.value_range import ValueRange
from dcgan.data.webdataset import list_tar
from dcgan.errors import UserError, did_you_mean
from dcgan.files import printable

FILE_KINDS = "a folder, a .zip, .tar, .parquet, .npz or .npy"
SPLITS = ("train", "validation", "test", "all")
MAX_HEADERS_READ = 1000
"""Image files whose size is read, spread evenly, to suggest a size for all."""
FALLBACK_SIZE = (32, 32)
"""Height and width that are suggested if no header can be read."""


@dataclass(frozen=True)
class ImageSet:
    """A split of an image set.

    Attributes:
        name: what the set was opened by: its name or path, printable.
        pixels: uint8 (N, C, H, W). The pixels of a folder or a file are mapped from the cache, so they may be larger
            than memory.
        labels: int64 (N,), or None without classes.
        classes: a printable name for each label; empty without classes.
        content_key: stands for the content and for how it was prepared: sets with equal keys have equal images in
            equal order.
        original_size: the size of the images before, height first, such as `64x48` or `16x16 to 640x480`.
        skipped_files: (name, reason) of each file that cannot be used.
        columns: arrays with one row for each image: `digests`, original `sizes`, `modes`, and `indices` (position in
            the listing or in the array); empty for sets that are opened by name.
        mode_names: names for the numbers in `columns["modes"]`.
        pictures_key: stands for the images of all splits, however they are labeled and prepared; empty for sets that
            are opened by name.
        value_range: the values that became 0 and 255 in images of more than 8 bits; None if there are no such images.
        notices: lines about what was guessed and what was passed over.
        no_classes_reason: why there are no classes; empty if there are.
        rules: see `rules`.
    """

    name: str
    pixels: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    content_key: str = ""
    original_size: str = ""
    skipped_files: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    mode_names: tuple[str, ...] = ()
    pictures_key: str = ""
    value_range: ValueRange | None = None
    notices: tuple[str, ...] = ()
    no_classes_reason: str = ""
    rules: int = CURRENT_RULES

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class _Options:
    """The caller's options; what is None follows from the data."""

    size: tuple[int, int] | None
    channels: int | None
    fit: str
    value_range: ValueRange | None
    rules: int

    def for_sizes(self, sizes: Sequence[Sequence[int]]) -> ResizeOptions:
        """Return options with the caller's size, or with one that suits images of `sizes` (N, 2)."""
        height, width = self.size or suggest_size(np.array(sizes))
        return ResizeOptions(height, width, self.channels, self.fit, self.value_range)


@dataclass(frozen=True)
class _OpenedSet:
    """A prepared set, and what is known of its files besides."""

    prepared: PreparedSet
    notices: tuple[str, ...]
    no_classes_reason: str


def open_images(
    data: str,
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    seed: int = 0,
    value_range: ValueRange | None = None,
    rules: int = CURRENT_RULES,
) -> ImageSet:
    """Open an image set. Files are prepared on the first call; later calls find them in the cache.

    Args:
        data: `mnist`, `stacked-mnist`, a name of torchvision's, a folder of images, of `.parquet` or `.tar`
            files or of IDX files, a `.zip`, `.tar`, `.parquet`, `.npz` or `.npy` file, or `hf:USER/NAME`.
        split: `train`, `validation`, `test` or `all`. A set that has its own test split uses that, and its validation
            split is a part of `train`. Any other set holds a tenth of its images out of `train`: one half of it is the
            validation split, the other half is the test split.
        size: (height, width) of the images; without it they keep their size if it is the same for all and small enough.
        channels: 1, 3 or 4; without it the fewest channels that lose nothing.
        fit: `crop`, `pad` or `stretch` images of another aspect ratio.
        seed: for the random stacks of `stacked-mnist`.
        value_range: the values that become black and white in images of 16 or 32 bits or of floats; without it they
            follow from all images of the set. Images of 8 bits do not change.
        rules: by which the set is read, see `rules`; a run that is resumed has those with which it began.

    Raises:
        UserError: the set does not exist or cannot be used.
    """
    check_not_empty(data)
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r} of a set; the splits are {', '.join(SPLITS)}")
    if value_range is not None:
        check_value_range(*value_range)
    options = _Options(size, channels, fit, value_range, rules)
    if is_named_set(data):
        return _open_named_set(data, split, options, seed)
    return _select_split(data, _prepare_path(data, options), split, rules)


def list_file_names(data: str) -> list[str]:
    """Return the printable names of the files of a folder or a packed file, or no names for other sets.

    `columns["indices"]` of an image set are indices into this list.
    """
    if is_named_set(data):
        return []
    path = fetch_hub_set(data) if is_hub_set(data) else Path(data).expanduser()
    listing = _list_images(path, CURRENT_RULES)
    return [] if listing is None else [printable(file.name) for file in listing.files]


def _list_images(path: Path, rules: int) -> Listing | None:
    """Return the image files of a folder or of a packed file; None for arrays."""
    suffix = path.suffix.lower()
    if path.is_dir():
        if find_idx_files(path):
            return None
        if shards := find_shards(path):
            return _list_packed(shards, path)
        return list_folder(path, rules)
    if suffix == ".zip":
        return list_zip(path, rules)
    return _list_packed([path], path) if suffix in SHARD_SUFFIXES else None


def _list_packed(files: list[Path], root: Path) -> Listing:
    check_plain_files(files)
    return list_parquet(files, root) if files[0].suffix.lower() == ".parquet" else list_tar(files, root)


def _open_named_set(name: str, split: str, options: _Options, seed: int) -> ImageSet:
    """Open a set that fits into memory and has its own test split."""
    rules = options.rules
    pixels, labels, classes, source_key = _read_named_set(name, "test" if split == "test" else "train", seed, rules)
    if split == "all":
        test_pixels, test_labels, *_ = _read_named_set(name, "test", seed, rules)
        pixels, labels = torch.cat([pixels, test_pixels]), torch.cat([labels, test_labels])
    if split == "validation":
        splits = heldout.choose_splits(digest_images(pixels.numpy()), labels.numpy())
        rows = torch.from_numpy(splits == heldout.VALIDATION)
        pixels, labels = pixels[rows], labels[rows]
    height, width = pixels.shape[-2:]
    resize_options = options.for_sizes([(height, width)])
    pixels = torch.from_numpy(resize_images(pixels.numpy(), resize_options))
    content_key = hashlib.sha256(f"{source_key} {split} {resize_options.key_text()}".encode()).hexdigest()
    return ImageSet(name, pixels, labels, classes, content_key, f"{height}x{width}", rules=rules)


def _read_named_set(name: str, split: str, seed: int, rules: int) -> tuple[Tensor, Tensor, tuple[str, ...], str]:
    """Return pixels (N, C, H, W), labels (N,), classes, and a key of the content of the split `train` or `test`."""
    if name == "mnist":  # the package holds its bytes, so the name is enough as a key
        pixels, labels = mnist.read_mnist(split)
        return pixels.unsqueeze(1), labels.long(), mnist.CLASS_NAMES, "mnist"
    if name == "stacked-mnist":
        return *stacked.read_stacked(split, seed), stacked.CLASS_NAMES, f"stacked-mnist {seed}"
    array, label_array, classes = read_torchvision(name, split)
    if rules > RULES_OF_0_1 and len(np.unique(label_array)) < len(classes):  # for example `N/A` of emnist-letters
        numbers = np.unique(read_torchvision(name, "train")[1] if split == "test" else label_array)
        label_array, is_known = compact_labels(label_array, numbers)
        array, label_array = array[is_known], label_array[is_known]
        classes = tuple(classes[number] for number in numbers)
    key = hashlib.sha256(array.tobytes() + label_array.tobytes()).hexdigest()
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy()), torch.from_numpy(label_array), classes, key


def _prepare_path(data: str, options: _Options) -> _OpenedSet:
    """Return the prepared set of a folder or a file, which is prepared now if the cache does not have it."""
    set_name, values = printable(data), options.value_range
    path = fetch_hub_set(data) if is_hub_set(data) else Path(data).expanduser()
    if not path_exists(path):
        raise UserError(f"there is no data {data!r}{_suggestion(path)}")
    if (listing := _list_images(path, options.rules)) is not None:
        return _prepare_listing(listing, options, set_name)
    suffix = path.suffix.lower()
    if path.is_dir():
        idx_files = find_idx_files(path)
        files = sorted(idx_files[0].parent.glob("*ubyte*"))
        return _prepare_arrays(read_idx_files(idx_files), files, options, set_name)
    if suffix == ".npy":
        return _prepare_arrays([read_npy(path, values)], [path], options, set_name)
    if suffix == ".npz":
        return _prepare_arrays([read_npz(path, values)], [path], options, set_name)
    raise UserError(f"{set_name} is a file of a kind that is not read: give {FILE_KINDS}")


def _prepare_listing(listing: Listing, options: _Options, set_name: str) -> _OpenedSet:
    sizes = [options.size] if options.size else _read_sizes(listing)
    prepared = prepare_files(listing, options.for_sizes(sizes), set_name, options.rules)
    range_notice = prepared.metadata.get("range_notice")
    notices = (*listing.notices, *([range_notice] if range_notice else []), *_group_notices(prepared, options.rules))
    return _OpenedSet(prepared, notices, listing.no_classes_reason)


def _group_notices(prepared: PreparedSet, rules: int) -> list[str]:
    """Return a line if near duplicates were not searched and may stand in training and in what is held out."""
    has_own_test = prepared.metadata["parts"]["train"][1] == prepared.metadata["parts"]["test"][0]
    count = len(prepared.pixels)
    if rules <= RULES_WITHOUT_GROUPS or count <= MAX_COMPARED or has_own_test:
        return []
    return [f"{count:,} pictures are too many to search for near duplicates: some may be in training and held out"]


def _prepare_arrays(parts: list[StoredImages], files: list[Path], options: _Options, set_name: str) -> _OpenedSet:
    parts, classes, notices = keep_trained_classes(parts, options.rules)
    options_of_sizes = options.for_sizes([part.shape[:2] for part in parts])
    prepared = prepare_arrays(parts, files, options_of_sizes, set_name, classes, options.rules)
    layout_notices = [notice for part in parts for notice in part.notices]
    group_notices = _group_notices(prepared, options.rules)
    return _OpenedSet(prepared, (*layout_notices, *notices, *group_notices), "" if classes else "it has no labels")


def _read_sizes(listing: Listing) -> list[tuple[int, int]]:
    """Return (height, width) of up to `MAX_HEADERS_READ` files, from their headers."""
    sizes: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in listing.files[:: max(1, len(listing.files) // MAX_HEADERS_READ)]:
            with contextlib.suppress(Exception):  # damaged files are named when they are decoded
                sizes.append(_read_size(file))
    return sizes or [FALLBACK_SIZE]


def _read_size(file: ImageFile) -> tuple[int, int]:
    if file.member is None:
        return read_image_size(file.path)
    return read_image_size(io.BytesIO(read_file_bytes(file.path, file.member)))


def _suggestion(path: Path) -> str:
    """Return what may have been meant, for an error line: a known name, or a file in the same folder."""
    names = [*BUILT_IN_SETS, *TORCHVISION_SETS]
    neighbors = [str(path.with_name(name)) for name in _visible_names(path.parent)] if path.name else []
    return f"{did_you_mean(str(path), [*neighbors, *names])}; known: {FILE_KINDS}, hf:USER/NAME, {', '.join(names)}"


def _visible_names(folder: Path) -> Iterator[str]:
    try:
        yield from (entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except (OSError, ValueError):
        return


def _select_split(data: str, opened: _OpenedSet, split: str, rules: int) -> ImageSet:
    prepared = opened.prepared
    rows = split_rows(prepared, split)
    columns = {name: column[rows] for name, column in prepared.columns.items()}
    labels = torch.from_numpy(columns.pop("labels"))
    sizes = prepared.columns["sizes"]
    smallest, largest = ("x".join(map(str, extreme.tolist())) for extreme in (sizes.min(axis=0), sizes.max(axis=0)))
    metadata = prepared.metadata
    return ImageSet(
        name=printable(data),
        pixels=torch.from_numpy(prepared.pixels[rows]),
        labels=labels if metadata["classes"] else None,
        classes=tuple(metadata["classes"]),
        content_key=str(metadata["key"]),
        original_size=smallest if smallest == largest else f"{smallest} to {largest}",
        skipped_files=tuple((name, reason) for name, reason in metadata["skipped"]),
        columns=columns,
        mode_names=tuple(metadata["modes"]),
        pictures_key=_pictures_key(prepared.columns["digests"]),
        value_range=prepared.value_range,
        notices=opened.notices,
        no_classes_reason=opened.no_classes_reason,
        rules=rules,
    )


def _pictures_key(digests: Digests) -> str:
    """Return a hash of the content of all files or images, whatever their order."""
    numbers = np.ascontiguousarray(digests).view(np.uint64)  # (N, 2): rows of two numbers are sorted fast
    return hashlib.sha256(numbers[np.lexsort((numbers[:, 1], numbers[:, 0]))].tobytes()).hexdigest()
