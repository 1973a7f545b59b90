"""Which pictures are in a folder or a zip, what class each has, and which of them the maker set aside for testing."""

import json
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from dcgan.errors import UserError
from dcgan.files import printable

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff", "ppm", "pgm"),
        *("pbm", "pnm", "tga", "ico", "jp2", "j2k", "avif", "mpo"),
    )
)
TRAIN, TEST = {"train", "training"}, {"test", "testing", "val", "valid", "validation"}
MAX_LABELS = 64 * 2**20
"""Bytes of a `dataset.json` that are read."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One picture file.

    Attributes:
        name: the path below the set's root, with slashes, as it is on the disk.
        path: of the file, or of the zip that holds it.
        member: its name in the zip; None for a file.
        stamp: size and modification time, or in a zip size and checksum.
        label: the class's number, -1 without classes.
        is_test: it lies in the set's own test part.
    """

    name: str
    path: str
    member: str | None
    stamp: tuple[int, int]
    label: int = -1
    is_test: bool = False


@dataclass(frozen=True)
class Listing:
    """What was found.

    Attributes:
        entries: the pictures, in an order that follows from their names, the set's own test part last.
        classes: a printable name for each label; empty without classes.
        skipped: (name, reason) of what is no readable picture though it should be one.
        others: how many files are no pictures, by suffix.
    """

    entries: list[ImageFile]
    classes: tuple[str, ...]
    skipped: list[tuple[str, str]]
    others: Counter[str]


def list_folder(root: Path) -> Listing:
    """List the pictures below a folder. Hidden files are passed over; links are followed, each folder once.

    Raises:
        UserError: the folder cannot be read, or holds no picture.
    """
    found = Listing([], (), [], Counter())
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UserError(f"cannot read {printable(str(root))}: {error.strerror}") from None
    for path, about in _walk(root, found.skipped):
        _take(found, root, path, about)
    return _sorted_out(found, printable(str(root)))


def _walk(root: Path, skipped: list[tuple[str, str]]) -> Iterator[tuple[str, os.stat_result | OSError]]:
    """Every visible file below a folder, with what the system says of it: a folder's files, then its folders."""
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        try:
            about = os.stat(folder)
            if (about.st_dev, about.st_ino) in seen:
                continue  # a link that leads back up, or two links to one folder
            seen.add((about.st_dev, about.st_ino))
            with os.scandir(folder) as scan:
                children = sorted((child for child in scan if not child.name.startswith(".")), key=lambda c: c.name)
        except OSError as error:
            skipped.append((_name(root, folder) + "/", f"the folder cannot be read: {error.strerror}"))
            continue
        folders = [child.path for child in children if _is_folder(child)]
        waiting += [path for path in reversed(folders) if os.path.basename(path) != "__MACOSX"]
        for child in children:
            if not _is_folder(child):
                try:
                    yield child.path, child.stat()
                except OSError as error:
                    yield child.path, error


def _is_folder(child: "os.DirEntry[str]") -> bool:
    try:
        return child.is_dir()
    except OSError:  # a link in a circle
        return False


def _name(root: Path, path: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _take(found: Listing, root: Path, path: str, about: os.stat_result | OSError) -> None:
    suffix = os.path.splitext(path)[1].lower()
    name = _name(root, path)
    if suffix not in IMAGE_SUFFIXES:
        found.others[printable(suffix) or "no suffix"] += 1
    elif isinstance(about, OSError):
        is_link = os.path.islink(path)
        found.skipped.append((name, "a link to a file that is not there" if is_link else str(about.strerror)))
    elif not stat.S_ISREG(about.st_mode):
        found.skipped.append((name, "not a plain file"))
    else:
        found.entries.append(ImageFile(name, path, None, (about.st_size, about.st_mtime_ns)))


def list_zip(path: Path) -> Listing:
    """List the pictures in a zip, with StyleGAN's `dataset.json` labels where it has one.

    Raises:
        UserError: it is damaged, holds no picture, an entry points outside it, or its labels cannot be read.
    """
    shown = printable(str(path))
    found = Listing([], (), [], Counter())
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            for member in sorted(members, key=lambda m: m.filename):
                _take_member(found, path, member)
            labels = _stylegan_labels(archive, shown)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{shown} is damaged, or no zip: {printable(str(error))}") from None
    except OSError as error:
        raise UserError(f"cannot read {shown}: {error.strerror or error}") from None
    if labels is None:
        return _sorted_out(found, shown)
    return _labelled(found, labels, shown)


def _take_member(found: Listing, path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        raise UserError(
            f"{printable(str(path))} holds an entry that points outside it: {printable(name)}; make the zip anew"
        )
    if "__MACOSX" in parts or any(part.startswith(".") for part in parts):
        return
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        found.others[printable(suffix) or "no suffix"] += 1
    elif stat.S_ISLNK(member.external_attr >> 16):
        found.skipped.append((name, "a link inside a zip"))
    elif member.flag_bits & 1:
        found.skipped.append((name, "encrypted"))
    else:
        found.entries.append(ImageFile(name, os.fspath(path), member.filename, (member.file_size, member.CRC)))


def _stylegan_labels(archive: zipfile.ZipFile, shown: str) -> dict[str, Any] | None:
    """`{"labels": [["00000/img00000000.png", 6], ...]}` as a dict, None where there are no labels."""
    if "dataset.json" not in archive.namelist():
        return None
    with archive.open("dataset.json") as file:
        content = file.read(MAX_LABELS + 1)
    try:
        if len(content) > MAX_LABELS:
            raise ValueError
        labels = json.loads(content)["labels"]
        return None if labels is None else {str(name).replace("\\", "/"): label for name, label in labels}
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UserError(
            f'{shown}: its dataset.json is damaged: it needs {{"labels": [["NAME", NUMBER], ...]}}'
        ) from None


def _labelled(found: Listing, labels: dict[str, Any], shown: str) -> Listing:
    entries, skipped = [], list(found.skipped)
    for entry in found.entries:
        label = labels.get(entry.name)
        if isinstance(label, list) and all(value in (0, 1) for value in label) and sum(label) == 1:
            label = label.index(1)  # one-hot, as some tools write it
        if label is None:
            skipped.append((entry.name, "dataset.json has no label for it"))
        elif isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < 65_536:
            raise UserError(f"{shown}: the label of {printable(entry.name)} in dataset.json is no class number")
        else:
            entries.append(replace(entry, label=label))
    classes = tuple(str(i) for i in range(1 + max((entry.label for entry in entries), default=-1)))
    return _checked(replace(found, entries=entries, skipped=skipped, classes=classes), shown)


def _sorted_out(found: Listing, shown: str) -> Listing:
    """Find classes and parts in the folders' names."""
    depth = _shared_depth([entry.name.split("/") for entry in found.entries])
    tops = {entry.name.split("/")[depth] for entry in found.entries if entry.name.count("/") > depth}
    flat = any(entry.name.count("/") == depth for entry in found.entries)
    lowered = {top.lower() for top in tops}
    has_parts = not flat and lowered & TRAIN and lowered & TEST and lowered <= TRAIN | TEST
    tests = {top for top in tops if top.lower() in TEST} if has_parts else set()
    level = depth + 1 if has_parts else depth
    named = [_class_of(entry.name.split("/"), level) for entry in found.entries]
    names = sorted({name for name in named if name is not None}) if None not in named else []
    numbers: dict[str | None, int] = {name: i for i, name in enumerate(names)} if len(names) > 1 else {}
    entries = [
        replace(entry, label=numbers.get(name, -1), is_test=bool(tests) and entry.name.split("/")[depth] in tests)
        for entry, name in zip(found.entries, named, strict=True)
    ]
    entries.sort(key=lambda entry: entry.is_test)  # stable: by name within each part
    return _checked(replace(found, entries=entries, classes=tuple(map(printable, names)) if numbers else ()), shown)


def _class_of(parts: Sequence[str], level: int) -> str | None:
    """The folder that names the class; None for a picture that lies in no folder."""
    return parts[level] if len(parts) > level + 1 else None


def _shared_depth(paths: list[list[str]]) -> int:
    """How many folders all pictures share: `pictures.zip` often holds one folder `pictures/` with everything."""
    if not paths:
        return 0
    first, last = min(paths), max(paths)
    depth = 0
    while depth < min(len(first), len(last)) - 1 and first[depth] == last[depth]:
        depth += 1
    return depth


def _checked(found: Listing, shown: str) -> Listing:
    if not found.entries:
        held = ", ".join(f"{n} {suffix}" for suffix, n in found.others.most_common(3))
        why = f": it holds {held}" if held else " in it" if found.skipped else ": it is empty"
        broken = f"; {len(found.skipped)} cannot be read, such as {_example(found.skipped)}" if found.skipped else ""
        raise UserError(f"{shown} has no pictures{why}{broken}; put .png, .jpg, .webp, .gif, .bmp or .tif files there")
    return found


def _example(skipped: Sequence[tuple[str, str]]) -> str:
    name, reason = skipped[0]
    return f"{printable(name)} ({reason})"
