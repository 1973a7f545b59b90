"""Opening image sets: a name such as `mnist`, a folder or a file becomes one uint8 array."""

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dcgan.cache import expand_user
from dcgan.config import check_value_range, is_joined, split_specs
from dcgan.data import heldout, mnist, stacked
from dcgan.data.arrays import StoredImages, read_npy, read_npz
from dcgan.data.classes import compact_labels, keep_trained_classes
from dcgan.data.decode import ResizeOptions, read_image_size, suggest_size
from dcgan.data.digests import Digests, digest_images
from dcgan.data.find import FILE_KINDS, find_path, list_images
from dcgan.data.idx import find_idx_files, read_idx_files
from dcgan.data.image_set import ImageSet as ImageSet  # callers find what `open_images` returns beside it
from dcgan.data.joined import join_sets
from dcgan.data.listing import ImageFile, Listing
from dcgan.data.location import (
    check_not_empty,
    is_hub_set,
    is_named_set,
    is_path,
)
from dcgan.data.members import read_file_bytes
from dcgan.data.near_duplicates import MAX_COMPARED
from dcgan.data.parts import WHOLE, Part, check_part_file
from dcgan.data.prepare import prepare_arrays, prepare_files, split_rows
from dcgan.data.prepared import PreparedSet
from dcgan.data.resize import resize_images
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1, RULES_WITHOUT_GROUPS, RULES_WITHOUT_UPRIGHT
from dcgan.data.splits import SPLITS
from dcgan.data.torchvision import read_torchvision
from dcgan.data.value_range import ValueRange
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.system.torch_settings import isolate_torch_settings

HEADERS_READ = 1000
"""Image files, spread evenly, whose size is read to suggest one for all; of a larger set up to twice as many."""
FALLBACK_SIZE = (32, 32)
"""Height and width that are suggested if no header can be read."""


@dataclass(frozen=True)
class _Options:
    """The caller's options; what is None follows from the data."""

    size: tuple[int, int] | None
    channels: int | None
    fit: str
    value_range: ValueRange | None
    rules: int
    part: Part

    def for_sizes(self, sizes: Sequence[Sequence[int]]) -> ResizeOptions:
        """Return options with the caller's size, or with one that suits images of `sizes` (N, 2)."""
        height, width = self.size or suggest_size(np.array(sizes))
        turns_tiff_twice = self.rules <= RULES_WITHOUT_UPRIGHT
        return ResizeOptions(height, width, self.channels, self.fit, self.value_range, turns_tiff_twice)


@dataclass(frozen=True)
class _OpenedSet:
    """A prepared set, and what is known of its files besides."""

    prepared: PreparedSet
    notices: tuple[str, ...]
    no_classes_reason: str


@isolate_torch_settings()
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
    part: Part = WHOLE,
) -> ImageSet:
    """Open an image set. Files are prepared on the first call; later calls find them in the cache.

    Args:
        data: `mnist`, `stacked-mnist`, a name of torchvision's, a folder of images, of `.parquet` or `.tar`
            files or of IDX files, a `.zip`, `.tar`, `.parquet`, `.npz` or `.npy` file, or `hf:USER/NAME`; or
            several of them that are joined, see `dcgan.config.join_specs`.
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
        part: which part of a set that is divided among processes: see `parts`. It holds out its own images.

    Raises:
        UserError: the set does not exist or cannot be used.
    """
    check_not_empty(data)
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r} of a set; the splits are {', '.join(SPLITS)}")
    if value_range is not None:
        check_value_range(*value_range)
    options = _Options(size, channels, fit, value_range, rules, part)
    if part != WHOLE and (is_joined(data) or is_named_set(data) or is_hub_set(data)):
        check_part_file(Path(data), part)
    if is_joined(data):
        return _open_joined(data, split, options, seed)
    if is_named_set(data):
        return _open_named_set(data, split, options, seed)
    return replace(_select_split(data, _prepare_path(data, options), split, rules), part=part)


def _open_joined(data: str, split: str, options: _Options, seed: int) -> ImageSet:
    """Open several sets as one. Without a size, it is one that suits the sizes of the sets, each of which counts once.

    Raises:
        UserError: one of them cannot be used, or they cannot be joined.
    """
    specs = split_specs(data)
    places = [os.path.realpath(expand_user(spec)) if is_path(spec) else spec for spec in specs]
    twice = [spec for number, spec in enumerate(specs) if places[number] in places[:number]]
    if twice:
        raise UserError(f"{printable(twice[0])} is named twice: join different sets")
    size = options.size or suggest_size(np.array([_suggest_own_size(spec, options) for spec in specs]))

    def open_part(spec: str, split: str) -> ImageSet:
        # Sets with names have 8 bits: the range of others would change nothing but the key of their content.
        value_range = None if is_named_set(spec) else options.value_range
        return open_images(
            spec,
            split,
            size=size,
            channels=options.channels,
            fit=options.fit,
            seed=seed,
            value_range=value_range,
            rules=options.rules,
        )

    return join_sets(printable(data), specs, split, open_part)


def _suggest_own_size(spec: str, options: _Options) -> tuple[int, int]:
    """Return the (height, width) that suits one set."""
    if is_named_set(spec):
        height, width = _read_named_set(spec, "test", 0, options.rules)[0].shape[-2:]
        return suggest_size(np.array([(height, width)]))
    path = find_path(spec)
    listing = list_images(path, options.rules)
    if listing is not None:
        return suggest_size(np.array(_read_sizes(listing, options.rules)))
    return suggest_size(np.array([part.shape[:2] for part in _read_arrays(path, options)[0]]))


def _open_named_set(name: str, split: str, options: _Options, seed: int) -> ImageSet:
    """Open a set that fits into memory and has its own test split."""
    rules = options.rules
    pixels, labels, classes, source_key = _read_named_set(name, "test" if split == "test" else "train", seed, rules)
    if split == "all":
        test_pixels, test_labels, *_ = _read_named_set(name, "test", seed, rules)
        pixels, labels = torch.cat([pixels, test_pixels]), torch.cat([labels, test_labels])
    if split == "validation":
        splits = heldout.choose_splits(digest_images(pixels.numpy()), labels.numpy(), rules=rules)
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
    array, label_array, classes = read_torchvision(name, split, rules)
    if rules > RULES_OF_0_1 and len(np.unique(label_array)) < len(classes):  # for example `N/A` of emnist-letters
        numbers = np.unique(read_torchvision(name, "train", rules)[1] if split == "test" else label_array)
        label_array, is_known = compact_labels(label_array, numbers)
        array, label_array = array[is_known], label_array[is_known]
        classes = tuple(classes[number] for number in numbers)
    key = hashlib.sha256(array.tobytes() + label_array.tobytes()).hexdigest()
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy()), torch.from_numpy(label_array), classes, key


def _prepare_path(data: str, options: _Options) -> _OpenedSet:
    """Return the prepared set of a folder or a file, which is prepared now if the cache does not have it."""
    path = find_path(data)
    if (listing := list_images(path, options.rules, options.part)) is not None:
        return _prepare_listing(listing, options, printable(data))
    return _prepare_arrays(*_read_arrays(path, options), options, printable(data))


def _read_arrays(path: Path, options: _Options) -> tuple[list[StoredImages], list[Path]]:
    """Return the arrays of IDX files or of NumPy's, and the files that hold them.

    Raises:
        UserError: they are damaged, or the file is of another kind.
    """
    if path.is_dir():
        idx_files = find_idx_files(path)
        return read_idx_files(idx_files, options.rules), sorted(idx_files[0].parent.glob("*ubyte*"))
    readers = {".npy": read_npy, ".npz": read_npz}
    if (read := readers.get(path.suffix.lower())) is None:
        raise UserError(f"{printable(str(path))} is a file of a kind that is not read: give {FILE_KINDS}")
    return [read(path, options.value_range)], [path]


def _prepare_listing(listing: Listing, options: _Options, set_name: str) -> _OpenedSet:
    sizes = [options.size] if options.size else _read_sizes(listing, options.rules)
    prepared = prepare_files(listing, options.for_sizes(sizes), set_name, options.rules)
    range_notice = prepared.metadata.get("range_notice")
    notices = (*listing.notices, *([range_notice] if range_notice else []), *_group_notices(prepared, options.rules))
    return _OpenedSet(prepared, notices, listing.no_classes_reason)


def _group_notices(prepared: PreparedSet, rules: int) -> list[str]:
    """Return a line if near duplicates stand, or may stand, in training and in what is held out."""
    train_end, count = prepared.metadata["parts"]["train"][1], len(prepared.pixels)
    has_own_test = train_end == prepared.metadata["parts"]["test"][0]
    if rules <= RULES_WITHOUT_GROUPS or has_own_test:
        return []
    if count > MAX_COMPARED:
        return [f"{count:,} pictures are too many to search for near duplicates: some may be in training and held out"]
    groups = prepared.columns["groups"]
    divided_count = int(np.isin(groups[train_end:], groups[:train_end]).sum())
    if not divided_count:
        return []
    return [
        f"{divided_count:,} of {count - train_end:,} held-out pictures have near duplicates in training, because whole "
        "groups of them are too large to be held out: what is measured with them flatters the model"
    ]


def _prepare_arrays(parts: list[StoredImages], files: list[Path], options: _Options, set_name: str) -> _OpenedSet:
    parts, classes, notices = keep_trained_classes(parts, options.rules)
    options_of_sizes = options.for_sizes([part.shape[:2] for part in parts])
    prepared = prepare_arrays(parts, files, options_of_sizes, set_name, classes, options.rules)
    layout_notices = dict.fromkeys(notice for part in parts for notice in part.notices)
    group_notices = _group_notices(prepared, options.rules)
    return _OpenedSet(prepared, (*layout_notices, *notices, *group_notices), "" if classes else "it has no labels")


def _read_sizes(listing: Listing, rules: int) -> list[tuple[int, int]]:
    """Return (height, width) of files of a listing from their headers, as many as `HEADERS_READ` says."""
    sizes: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in listing.files[:: max(1, len(listing.files) // HEADERS_READ)]:
            with contextlib.suppress(Exception):  # damaged files are named when they are decoded
                sizes.append(_read_size(file, is_upright=rules > RULES_WITHOUT_UPRIGHT))
    return sizes or [FALLBACK_SIZE]


def _read_size(file: ImageFile, *, is_upright: bool) -> tuple[int, int]:
    source = file.path if file.member is None else io.BytesIO(read_file_bytes(file.path, file.member))
    return read_image_size(source, is_upright=is_upright)


def _select_split(data: str, opened: _OpenedSet, split: str, rules: int) -> ImageSet:
    prepared = opened.prepared
    rows = split_rows(prepared, split)
    columns = {name: column[rows] for name, column in prepared.columns.items()}
    labels = torch.from_numpy(columns.pop("labels"))
    sizes = prepared.columns["sizes"]
    areas = sizes.prod(axis=1, dtype=np.int64)
    smallest, largest = ("x".join(map(str, sizes[row].tolist())) for row in (areas.argmin(), areas.argmax()))
    metadata = prepared.metadata
    return ImageSet(
        name=printable(data),
        pixels=torch.from_numpy(prepared.pixels[rows]),
        labels=labels if metadata["classes"] else None,
        classes=tuple(metadata["classes"]),
        content_key=str(metadata["key"]),
        original_size=smallest if (sizes == sizes[0]).all() else f"{smallest} to {largest}",
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
