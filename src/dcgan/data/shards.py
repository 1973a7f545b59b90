"""Folders of packed files: `train-00000-of-00002.parquet` or `train-0000.tar`. Their names say the splits."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from dcgan.data.layout import TEST_FOLDERS, TRAIN_FOLDERS
from dcgan.data.passed_over import is_contact_sheet, is_system_folder, readable_suffixes
from dcgan.errors import UserError
from dcgan.files import list_names, printable
from dcgan.run.folder import holds_own_output

SHARD_SUFFIXES = (".parquet", ".tar")


def find_shards(root: Path) -> list[Path]:
    """Return the packed files below a folder, by name; none if there are images too, which are the set then.

    Raises:
        UserError: there are packed files of two kinds.
    """
    shards: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if _may_hold_shards(Path(folder, name)))
        for path in (Path(folder, name) for name in sorted(names) if not name.startswith(".")):
            suffix = path.suffix.lower()
            if suffix in readable_suffixes() and not is_contact_sheet(path.relative_to(root).parts):
                return []
            if suffix in SHARD_SUFFIXES:
                shards.append(path)
    suffixes = {path.suffix.lower() for path in shards}
    if len(suffixes) > 1:
        kinds = " and ".join(sorted(suffixes))
        raise UserError(f"{printable(str(root))} holds {kinds} files: give a folder of one kind")
    return shards


def _may_hold_shards(folder: Path) -> bool:
    """Return whether a folder is neither hidden, nor one of the file system's, nor a run or a comparison of ours."""
    return not (folder.name.startswith(".") or is_system_folder(folder.name) or holds_own_output(folder))


def check_plain_files(paths: Sequence[Path]) -> None:
    """Refuse packed files that cannot be opened, or that would be waited for without end.

    Raises:
        UserError: a path leads to no plain file.
    """
    for path in paths:
        try:
            is_plain = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            raise UserError(f"cannot read {printable(str(path))}: {error.strerror}") from None
        if not is_plain:
            raise UserError(f"{printable(str(path))} is not a plain file")


def split_shards(names: Sequence[str]) -> tuple[list[bool | None], list[str]]:
    """Return whether each file is of the test split, None for one that is of no split; and a line about those.

    Args:
        names: paths below the root, with slashes. If none of them is of the training split, or none of the test
            split, there is no test split.
    """
    splits = [_split_of(name) for name in names]
    if not {True, False} <= set(splits):
        return [False] * len(names), []
    others = [name for name, split in zip(names, splits, strict=True) if split is None]
    if not others:
        return splits, []
    are = "s are" if len(others) != 1 else " is"
    return splits, [f"{len(others):,} file{are} left out, whose name says neither train nor test: {list_names(others)}"]


def _split_of(name: str) -> bool | None:
    """Return whether a file's name, or else the nearest of its folders, says test; None if they say no split."""
    for part in reversed(name.lower().split("/")):
        words = re.split(r"[^a-z]+", part)
        if TRAIN_FOLDERS.intersection(words):
            return False
        if TEST_FOLDERS.intersection(words):
            return True
    return None
