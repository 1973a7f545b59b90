"""The folders and files below the data roots, as the start form lists them."""

import itertools
import os
import re
from pathlib import Path
from typing import Any

from dcgan.config import is_joined
from dcgan.data.location import BUILT_IN_SETS, is_named_set
from dcgan.data.passed_over import IMAGE_SUFFIXES
from dcgan.data.torchvision import TORCHVISION_SETS
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.studio.allowed_paths import DataRoots, data_spec
from dcgan.studio.runs import MAX_NAME_CHARS, NotFoundError

PACKED_SUFFIXES = frozenset((".zip", ".npz", ".npy", ".parquet", ".tar"))
"""Files that are a set by themselves."""
MAX_ENTRIES = 500
"""How many entries of a folder are listed."""
MAX_SCANNED = 20_000
"""How many entries of a folder are looked at, so that a huge one keeps nobody waiting."""
UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no request can name: control characters, and bytes that are no UTF-8, which Python reads as surrogates."""


def list_data(roots: DataRoots, folder: str) -> dict[str, Any]:
    """Return what may be chosen as data: `sets` with a name, `folders`, `files`, and how many `pictures` are here.

    Args:
        roots: the folders below which data may be read.
        folder: one of them or below; empty for the roots themselves.

    Raises:
        UserError: the folder is not below a root, or cannot be read.
        NotFoundError: it is no folder.
    """
    if not folder:
        folders = [_entry(root.absolute().name or str(root), root) for root in _nameable_roots(roots)]
        return {
            "sets": [*BUILT_IN_SETS, *TORCHVISION_SETS],
            "folders": folders,
            "files": [],
            "pictures": 0,
            "parent": None,
        }
    is_set = is_named_set(folder) or is_joined(folder)  # it may be read, but a folder of the same name may not
    if not is_set:
        roots.check(folder)
    path = Path(os.path.expanduser(folder))  # as the check of the roots reads it
    if is_set or not path.is_dir():
        raise NotFoundError(f"there is no folder {printable(folder)[:MAX_NAME_CHARS]!r}")
    return {"sets": [], **_list_entries(path), "parent": _parent(roots, path)}


def _list_entries(path: Path) -> dict[str, Any]:
    folders, files, picture_count = [], [], 0
    try:
        with os.scandir(path) as scanned:
            entries = sorted(itertools.islice(scanned, MAX_SCANNED), key=lambda entry: entry.name.lower())
    except OSError as error:
        raise UserError(f"the folder cannot be read: {error.strerror}") from None
    for entry in entries:
        if entry.name.startswith(".") or entry.is_symlink():  # a link may lead anywhere
            continue
        suffix = Path(entry.name).suffix.lower()
        picture_count += suffix in IMAGE_SUFFIXES
        if UNNAMEABLE.search(entry.name):
            continue
        if entry.is_dir():
            folders.append(_entry(entry.name, path / entry.name))
        elif suffix in PACKED_SUFFIXES:
            files.append(_entry(entry.name, path / entry.name))
    return {"folders": folders[:MAX_ENTRIES], "files": files[:MAX_ENTRIES], "pictures": picture_count}


def _nameable_roots(roots: DataRoots) -> list[Path]:
    return [root for root in roots.paths if root.is_dir() and not UNNAMEABLE.search(data_spec(root))]


def _entry(name: str, path: Path) -> dict[str, str]:
    return {"name": printable(name), "data": data_spec(path)}


def _parent(roots: DataRoots, path: Path) -> str:
    """Return the folder above, or an empty text if that is not below a root."""
    is_root = any(os.path.realpath(path) == os.path.realpath(root) for root in roots.paths)
    return "" if is_root else data_spec(path.parent)
