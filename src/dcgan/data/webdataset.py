"""WebDataset's `.tar` files: `KEY.jpg` with `KEY.cls` or `KEY.json`."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dcgan.data.labels import clean_label, use_labels
from dcgan.data.layout import find_classes, find_test_split, without_labels
from dcgan.data.listing import ImageFile, Listing, empty_listing
from dcgan.data.members import file_version, tar_member
from dcgan.data.passed_over import (
    PassedOver,
    check_not_empty,
    is_hidden,
    is_in_passed_over_folder,
    is_other_file,
    readable_suffixes,
)
from dcgan.data.rules import CURRENT_RULES
from dcgan.data.shards import split_shards
from dcgan.data.tar_members import TarMember, read_members
from dcgan.errors import UserError
from dcgan.files import MAX_JSON_CHARS, printable
from dcgan.run.folder import SETTINGS_FILES, is_own_output

LABEL_KEYS = ("label", "cls", "class")
"""Names that the label may have in a `.json` member."""
MAX_LABEL_BYTES = 2**20
"""A larger member holds no label."""
REPLACED = "\N{REPLACEMENT CHARACTER}"
"""What stands for bytes that are not UTF-8."""
LABEL_SOURCE = "its .cls or .json member"

Key = tuple[int, str]
"""The number of an archive, and what the names of the members of one sample have in common."""


class _Reader:
    """Reads the archives of a set one after another.

    Attributes:
        listing: what is found.
        keys: the key of each file of the listing.
        labels: the label of each key that has one.
        companions: the keys that have members besides images, which makes them samples of WebDataset.
    """

    def __init__(self) -> None:
        self.listing, self.passed_over = empty_listing(), PassedOver()
        self.keys: list[Key] = []
        self.labels: dict[Key, Any] = {}
        self.companions: set[Key] = set()

    def add(self, path: Path, version: tuple[int, int], number: int, archive_name: str) -> None:
        """Add the members of an archive; its name is empty for the only one."""
        skipped, label = self.listing.skipped_files, archive_name or path.name
        members = {m.name: m for m in read_members(path, lambda line: skipped.append((label, line)))}
        prefix = f"{archive_name}/" if archive_name else ""
        with path.open("rb") as file:
            own_folders = _own_folders(members, file)
            for name, member in members.items():
                if is_hidden(name) or is_in_passed_over_folder(name, self.passed_over, own_folders, CURRENT_RULES):
                    continue
                key, suffix = (number, sample_key(name)), os.path.splitext(name)[1].lower()
                if suffix not in readable_suffixes():
                    self.companions.add(key)
                    if self._add_label(key, suffix, member, file):
                        continue
                if is_other_file(self.listing, PurePosixPath(name), self.passed_over, CURRENT_RULES):
                    continue
                if member.obstacle:
                    skipped.append((prefix + name, member.obstacle))
                    continue
                place = tar_member(member.offset, member.size)
                self.listing.files.append(ImageFile(prefix + name, os.fspath(path), place, version))
                self.keys.append(key)

    def _add_label(self, key: Key, suffix: str, member: TarMember, file: IO[bytes]) -> bool:
        """Return whether a member holds a label, which is added; that of a `.cls` counts more."""
        if suffix not in (".cls", ".json") or member.obstacle or member.size > MAX_LABEL_BYTES:
            return False
        text = _read(member, file, MAX_LABEL_BYTES).decode(errors="replace")
        label = text.strip() if suffix == ".cls" else _label_in_json(text)
        if label is None:
            return False
        if REPLACED in str(label):
            archive = printable(Path(file.name).name)
            raise UserError(f"{archive}: its {printable(member.name)} has a label that is not UTF-8: save it as UTF-8")
        if suffix == ".cls":
            self.labels[key] = label
        else:
            self.labels.setdefault(key, label)
        return True


def list_tar(paths: Sequence[Path], root: Path) -> Listing:
    """List the images of one or several archives.

    Args:
        paths: the archives.
        root: the folder that holds them, or the only archive.

    Raises:
        UserError: an archive is none, cannot be read, or has a member that points outside of it; there is no image;
            or a label is not UTF-8, or neither a number nor a name.
    """
    return _list_versions(tuple(paths), root, tuple(map(file_version, paths)))


@lru_cache(maxsize=1)  # a training opens its set for each split, and reading a million headers takes minutes
def _list_versions(paths: tuple[Path, ...], root: Path, versions: tuple[tuple[int, int], ...]) -> Listing:
    root_name, reader = printable(str(root)), _Reader()
    names = ["" if path == root else path.relative_to(root).as_posix() for path in paths]
    splits, notices = split_shards(names)
    for number, (path, name, split, version) in enumerate(zip(paths, names, splits, versions, strict=True)):
        if split is not None:
            reader.add(path, version, number, name)
    listing, keys = _one_of_each_sample(reader)
    if len(paths) > 1:
        is_test = [bool(splits[number]) for number, _ in keys]
    else:
        is_test, _ = find_test_split([file.name.split("/") for file in listing.files])
    if any(clean_label(label) is not None for label in reader.labels.values()):
        labels = [reader.labels.get(key) for key in keys]
        listing = use_labels(listing, labels, is_test, source=LABEL_SOURCE, root_name=root_name)
    elif len(paths) > 1:
        listing = without_labels(listing, "there are no .cls members, and no labels in .json members", is_test)
    else:
        listing = find_classes(listing)
    notices += reader.passed_over.notices(listing.other_suffixes)
    return check_not_empty(replace(listing, notices=[*notices, *listing.notices]), root_name)


def sample_key(name: str) -> str:
    """Return what the members of one sample have in common: the name up to its first dot, with its folders."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _one_of_each_sample(reader: _Reader) -> tuple[Listing, list[Key]]:
    """Return one image of each sample, that with the shortest ending: `KEY.jpg` and not `KEY.mask.png`."""
    by_key: dict[Key, list[ImageFile]] = defaultdict(list)
    for key, file in zip(reader.keys, reader.listing.files, strict=True):
        by_key[key].append(file)
    pairs, left_out = [], 0
    for key, files in by_key.items():
        if key in reader.companions and len(files) > 1:
            left_out += len(files) - 1
            files = [min(files, key=lambda file: file.name.count("."))]
        pairs += [(file, key) for file in files]
    notices = list(reader.listing.notices)
    if left_out:
        more = f"{left_out:,} more picture{'s are' if left_out != 1 else ' is'}"
        notices.append(f"of each sample the picture with the shortest ending is used; {more} left out")
    pairs.sort(key=lambda pair: pair[0].name)
    files, keys = [file for file, _ in pairs], [key for _, key in pairs]
    return replace(reader.listing, files=files, notices=notices), keys


def _own_folders(members: dict[str, TarMember], file: IO[bytes]) -> tuple[str, ...]:
    """Return the folders of an archive, each with a slash at its end, that are runs or comparisons of ours."""
    folders = []
    for path, member in members.items():
        folder, _, name = path.rpartition("/")
        is_candidate = folder and name in SETTINGS_FILES and not member.obstacle
        if is_candidate and is_own_output(name, _read(member, file, MAX_JSON_CHARS)):
            folders.append(f"{folder}/")
    return tuple(folders)


def _label_in_json(text: str) -> Any:
    """Return the label in a JSON object; None if there is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return next((content[key] for key in LABEL_KEYS if content.get(key) is not None), None)


def _read(member: TarMember, file: IO[bytes], max_bytes: int) -> bytes:
    file.seek(member.offset)
    return file.read(min(member.size, max_bytes))
