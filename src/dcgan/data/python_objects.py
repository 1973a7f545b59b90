"""Pictures that are Python objects become a file in the cache: arrays, a torch `Dataset`, a `DataLoader`, any iterable.

A run then knows its pictures by that file, so it can be resumed, evaluated and divided among processes like any other.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import length_hint
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    default_collate,
)

from dcgan.cache import cache_folder, cache_key, new_cache_entry
from dcgan.config import join_specs
from dcgan.data.arrays import CLASS_NAMES_KEY, can_name_classes, check_is_set
from dcgan.data.parts import WHOLE, Part, part_file_name
from dcgan.errors import UserError
from dcgan.system.resources import check_memory

Array = npt.NDArray[Any]
CHANNELS = (1, 3, 4)
MIN_PICTURE_DIMENSIONS = 2
COPIES_IN_MEMORY = 3
"""Copies of all pictures that are in memory at once: as they came, joined, and as uint8."""
LAYOUTS = "(H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels"


def data_path(data: object, part: Part | None = WHOLE) -> str:
    """Return what `--data` takes: a name or a path as it is, and for other objects the path of a file in the cache.

    Args:
        data: a name, a path, a list of names and paths of sets that are joined, or pictures: an array or a tensor
            (N, H, W), (N, H, W, C) or (N, C, H, W); a pair of such an array and labels (N,); a `Dataset`, a
            `DataLoader` or another iterable of pictures or of pairs of a picture and a label. Pictures are uint8, or
            floats that are all in [0, 1] or all in [-1, 1], or Pillow's. The attribute `classes` of a `Dataset` names
            its labels 0, 1, 2, ... if it is a list of different texts, as torchvision's sets have it.
            They are read once: what a transform or a sampler draws at random is drawn once.
        part: which of the pictures this process reads: number r of n reads those at r, r + n, r + 2n, .... None if the
            set is to be divided, but no launcher says how.

    Raises:
        UserError: the pictures cannot be used; it names the first of them.
    """
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    if isinstance(data, list | tuple) and any(isinstance(spec, str | os.PathLike) for spec in data):
        return _join_paths(data)
    data = _source(data)
    name = re.sub(r"\W+", "_", type(data).__name__)
    if part != WHOLE:
        data = _take_part(data, part)
    pictures, labels = _collect(data, name)
    pixels = _to_uint8(pictures, name)
    digest = hashlib.sha256(pixels.tobytes() + (b"" if labels is None else labels.tobytes())).hexdigest()
    class_names = () if labels is None else _class_names(data, labels)
    file_name = part_file_name(name, part or WHOLE)
    key = cache_key(
        *("python object", file_name.removesuffix(".npz"), pixels.shape, labels is not None, digest),
        *([class_names] if class_names else []),
    )
    path = cache_folder() / key / file_name
    if not path.is_file():
        arrays: dict[str, Any] = {"images": pixels} | ({} if labels is None else {"labels": labels})
        arrays |= {CLASS_NAMES_KEY: np.array(class_names)} if class_names else {}
        with new_cache_entry(key) as entry:
            np.savez(entry / path.name, **arrays)
    return str(path)


def _join_paths(specs: Sequence[object]) -> str:
    """Return the text that names several sets by their names and paths."""
    others = [spec for spec in specs if not isinstance(spec, str | os.PathLike)]
    if others:
        raise UserError(
            f"data must be names and paths only, or pictures only: a list of both has a {type(others[0]).__name__}"
        )
    return join_specs([os.fspath(cast(str, spec)) for spec in specs])


class _PartOf(Dataset[Any]):
    """Every n-th item of a set, which is read when it is asked for."""

    def __init__(self, data: Any, part: Part) -> None:
        self.data, self.indices = data, range(part[0], len(data), part[1])
        self.classes = _named_classes(data)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.data[self.indices[index]]


def _take_part(data: object, part: Part | None) -> object:
    """Return the pictures that this process reads.

    Raises:
        UserError: they cannot be read one by one, or nobody says which process this is.
    """
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")) or isinstance(data, tuple):
        raise UserError(
            f"split_data divides a Dataset, which has a length and is indexed, not {type(data).__name__}: give one, or "
            "a folder of .tar or .parquet files"
        )
    if part is None:
        raise UserError("split_data with your own Dataset: start your script with torchrun --nproc-per-node N SCRIPT")
    return _PartOf(data, part)


def _source(data: object) -> object:
    """Return the set behind a loader, or what its sampler selects of it, in the order of the set; else the object.

    Raises:
        UserError: nobody knows how many pictures the sampler draws.
    """
    if not isinstance(data, DataLoader) or data.collate_fn is not default_collate:
        return data
    if isinstance(data.dataset, IterableDataset):
        return data
    batches: Any = data.batch_sampler
    has_plain_batches = batches is None or type(batches) is BatchSampler
    sampler: Any = getattr(batches, "sampler", data.sampler) if has_plain_batches else batches
    if _draws_all(sampler, len(cast(Any, data.dataset))):
        return data.dataset
    if not hasattr(sampler, "__len__"):
        raise UserError(
            f"a DataLoader with the sampler {type(sampler).__name__}, which has no length, may draw without end: give "
            "its Dataset, or a Subset of it"
        )
    drawn = itertools.islice(sampler, len(sampler))
    return Subset(data.dataset, sorted(drawn if has_plain_batches else itertools.chain.from_iterable(drawn)))


def _draws_all(sampler: object, count: int) -> bool:
    """Return whether a sampler draws all `count` pictures of a set, in whatever order, or its share in each process."""
    if type(sampler) in (SequentialSampler, RandomSampler):
        return len(cast(Any, sampler).data_source) == count
    return type(sampler) is DistributedSampler and len(cast(Any, sampler).dataset) == count


def _named_classes(data: object) -> Any:
    """Return the attribute `classes` of a set, or of the set that a subset or a loader is of; nothing without one."""
    while isinstance(data, DataLoader | Subset):
        data = data.dataset
    return getattr(data, "classes", ())


def _class_names(data: object, labels: Array) -> tuple[str, ...]:
    """Return the names that a set has for its labels; none if it has no list of different names for all of them."""
    names = _named_classes(data)
    return tuple(names) if isinstance(names, list | tuple) and can_name_classes(names, labels) else ()


def _collect(data: object, name: str) -> tuple[Array, Array | None]:
    """Return all pictures (N, H, W, C), of the type that they have, and their labels int64 (N,) if they have any."""
    if (arrays := _as_arrays(data)) is not None:
        check_is_set(arrays[0].shape, name)
        pictures, labels = _arrange(arrays[0], name), arrays[1]
        if labels is not None and labels.shape != (len(pictures),):
            raise UserError(f"{name}: {len(pictures)} pictures need as many labels, not an array {labels.shape}")
        return pictures, None if labels is None else _check_labels(labels, name)
    parts: list[Array] = []
    found_labels: list[Any] = []
    for number, (picture, label) in enumerate(_items(data, name)):
        part = _arrange(picture, f"{name}, picture {number}")
        if parts and (part.shape[1:] != parts[0].shape[1:] or part.dtype != parts[0].dtype):
            raise UserError(
                f"{name}: picture {number} is {_describe(part)} and the first one {_describe(parts[0])}: let all have "
                "one size and one type"
            )
        if not parts:
            count = length_hint(data, 0)  # 0 where that is not known
            check_memory(
                COPIES_IN_MEMORY * part.nbytes * count, f"{count:,} pictures", "save them as files, or as .npy"
            )
        parts.append(part)
        found_labels.append(label)
    if not parts:
        raise UserError(f"{name} holds no pictures")
    return np.concatenate(parts), _join_labels(found_labels, name)


def _as_arrays(data: object) -> tuple[Array, Array | None] | None:
    """Return an array of pictures, and one of labels if there are any; None for other objects."""
    if isinstance(data, np.ndarray | Tensor):
        return _to_array(data), None
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(part, np.ndarray | Tensor) for part in data):
        return _to_array(data[0]), _to_array(data[1])
    return None


def _items(data: object, name: str) -> Iterator[tuple[Array, Any]]:
    """Yield each picture as an array (1, ...) with its label, or None."""
    if isinstance(data, DataLoader):
        yield from _batch_items(data, name)
        return
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, Mapping):
        items: Iterable[Any] = (data[i] for i in range(len(data)))
    elif isinstance(data, Iterable) and not isinstance(data, Mapping):
        items = data
    else:
        raise UserError(
            f"data must be a name, a path, an array, a Dataset, a DataLoader or another iterable, not {name}"
        )
    for item in items:
        picture, label = _split(item, name)
        yield _to_array(picture)[None], label


def _batch_items(loader: Iterable[Any], name: str) -> Iterator[tuple[Array, Any]]:
    """Yield what batches hold, picture by picture."""
    for batch in loader:
        pictures, labels = _split(batch, name)
        for i, picture in enumerate(_to_array(pictures)):
            yield picture[None], None if labels is None else labels[i]


def _split(item: Any, name: str) -> tuple[Any, Any]:
    """Return the picture and the label of an item, which may be a picture alone."""
    if isinstance(item, tuple | list):
        if len(item) not in (1, 2):
            raise UserError(f"{name}: an item must be a picture, or a picture and a label, not {len(item)} values")
        return item[0], item[1] if len(item) == 2 else None
    if isinstance(item, dict):
        raise UserError(f"{name}: an item must be a picture, or a picture and a label, not a dict of {', '.join(item)}")
    return item, None


def _to_array(value: Any) -> Array:
    if isinstance(value, Image.Image):
        is_plain = value.mode in ("L", "RGB", "RGBA")
        return np.asarray(value if is_plain else value.convert("RGBA" if value.has_transparency_data else "RGB"))
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return np.asarray((value.float() if value.dtype == torch.bfloat16 else value).numpy())
    return np.asarray(value)


def _arrange(pictures: Array, name: str) -> Array:
    """Return pictures (N, H, W), (N, H, W, C) or (N, C, H, W) as (N, H, W, C).

    Raises:
        UserError: they have another shape, or their type or shape leaves open what the values mean.
    """
    if pictures.dtype != np.uint8 and not np.issubdtype(pictures.dtype, np.floating):
        raise UserError(f"{name}: values must be uint8, or floats in [0, 1] or [-1, 1], not {pictures.dtype}")
    shape = pictures.shape[1:]
    if len(shape) == MIN_PICTURE_DIMENSIONS:
        return pictures[..., None]
    is_last, is_first = (len(shape) == 3 and shape[axis] in CHANNELS for axis in (2, 0))
    if is_last == is_first:
        problem = "may have its channels first or last" if is_last else "is no picture"
        raise UserError(f"{name}: an array {shape} {problem}: pictures are {LAYOUTS}")
    return pictures if is_last else np.moveaxis(pictures, 1, -1)


def _to_uint8(pictures: Array, name: str) -> npt.NDArray[np.uint8]:
    """Return pictures of any accepted type as uint8; floats are in [-1, 1] if any of them is below 0, else in [0, 1].

    Raises:
        UserError: floats are outside of both.
    """
    if pictures.dtype == np.uint8:
        return np.ascontiguousarray(pictures)
    low, high = float(pictures.min(initial=np.inf)), float(pictures.max(initial=-np.inf))
    if not (low >= -1 and high <= 1):  # also where one is not a number
        raise UserError(
            f"{name}: floats must be in [0, 1] or [-1, 1], and these are from {low:g} to {high:g}: scale them, or give "
            "uint8"
        )
    scaled = (pictures + 1) * 127.5 if low < 0 else pictures * 255
    pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(scaled.round().astype(np.uint8))
    return pixels


def _join_labels(labels: list[Any], name: str) -> Array | None:
    """Return the labels of all pictures, int64 (N,), or None if no picture has one."""
    missing = [number for number, label in enumerate(labels) if label is None]
    if len(missing) == len(labels):
        return None
    if missing:
        raise UserError(f"{name}: picture {missing[0]} has no label, and others have one")
    arrays = [_to_array(label) for label in labels]
    if any(array.size != 1 for array in arrays):
        raise UserError(f"{name}: a label must be one whole number, the class")
    return _check_labels(np.stack([array.reshape(()) for array in arrays]), name)


def _check_labels(labels: Array, name: str) -> Array:
    if not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        example = labels[labels < 0][:1] if np.issubdtype(labels.dtype, np.integer) else labels[:1]
        raise UserError(f"{name}: labels must be whole numbers from 0, not {', '.join(map(str, example.tolist()))}")
    return labels.astype(np.int64)


def _describe(part: Array) -> str:
    _, height, width, channels = part.shape
    return f"{height}x{width}x{channels} {part.dtype}"
