"""Finding an image set: its path and its image files, before any picture is read."""

import os
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from dcgan.cache import expand_user
from dcgan.config import is_joined, split_specs
from dcgan.data.folder import list_folder, list_zip
from dcgan.data.hub import fetch_hub_set
from dcgan.data.idx import find_idx_files
from dcgan.data.listing import Listing
from dcgan.data.location import BUILT_IN_SETS, is_hub_set, is_named_set, path_exists, public_data_name
from dcgan.data.parquet import list_parquet
from dcgan.data.parts import WHOLE, Part, check_part_file, select_part
from dcgan.data.rules import CURRENT_RULES
from dcgan.data.shards import SHARD_SUFFIXES, check_plain_files, find_shards
from dcgan.data.torchvision import TORCHVISION_SETS
from dcgan.data.webdataset import list_tar
from dcgan.errors import UserError, did_you_mean
from dcgan.files import printable

FILE_KINDS = "a folder, a .zip, .tar, .parquet, .npz or .npy"


def list_file_names(data: str, part: Part = WHOLE, rules: int = CURRENT_RULES) -> list[str]:
    """Return the printable names of the files of a folder or a packed file, or no names for other sets.

    `columns["indices"]` of an image set are indices into this list, if the part and the rules are those of the set.
    """
    if is_joined(data):
        specs = split_specs(data)
        lists = [
            [f"{printable(public_data_name(spec))}: {name}" for name in list_file_names(spec, rules=rules)]
            for spec in specs
        ]
        # The indices of joined sets take turns, see `dcgan.data.joined`; arrays have no names.
        rows = zip_longest(*lists, fillvalue="") if all(lists) else ()
        return [name for row in rows for name in row]
    if is_named_set(data):
        return []
    listing = list_images(find_path(data), rules, part)
    return [] if listing is None else [printable(file.name) for file in listing.files]


def find_path(data: str) -> Path:
    """Return the path of a set that has no name of its own; a set of the Hub is in the cache.

    Raises:
        UserError: there is nothing.
    """
    path = fetch_hub_set(data) if is_hub_set(data) else expand_user(data)
    if not path_exists(path):
        raise UserError(f"there is no data {data!r}{_suggestion(path)}")
    return path


def list_images(path: Path, rules: int, part: Part = WHOLE) -> Listing | None:
    """Return the image files of a folder or of a packed file; None for arrays."""
    if part != WHOLE:
        return _list_part(path, part)
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


def can_be_divided(data: str, part: Part) -> bool:
    """Return whether a set has this part."""
    if is_joined(data) or is_named_set(data) or is_hub_set(data):
        return False
    try:
        _list_part(find_path(data), part)
    except UserError:
        return False
    return True


def _list_part(path: Path, part: Part) -> Listing | None:
    """Return the image files of a part of a folder of packed files; None for a file that holds that part as arrays.

    Raises:
        UserError: nothing there is divided into such parts.
    """
    if path.is_dir() and (shards := find_shards(path)):
        return _list_packed(select_part(shards, path, part), path)
    check_part_file(path, part)
    return None


def _list_packed(files: list[Path], root: Path) -> Listing:
    check_plain_files(files)
    return list_parquet(files, root) if files[0].suffix.lower() == ".parquet" else list_tar(files, root)


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
