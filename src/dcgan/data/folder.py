"""The image files in a folder or a zip: their classes, and which of them are the set's own test split."""

import json
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from dcgan.data.arrays import MAX_CLASSES
from dcgan.errors import UserError
from dcgan.files import printable

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff", "ppm", "pgm"),
        *("pbm", "pnm", "tga", "ico", "jp2", "j2k", "avif", "mpo"),
    )
)
TRAIN_FOLDERS = {"train", "training"}
"""Names of the folder of a set's training split."""
TEST_FOLDERS = {"test", "testing", "val", "valid", "validation"}
"""Names of the folder of a set's test split."""
MAC_OS_FOLDER = "__MACOSX"
"""A folder of metadata that macOS adds to zips."""
MAX_LABELS_BYTES = 64 * 2**20
"""Bytes of a `dataset.json` that are read."""

SkippedFile = tuple[str, str]
"""Name and reason."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image file.

    Attributes:
        name: the path below the set's root, with slashes, as it is on the disk.
        path: the path of the file, or of the zip that holds it.
        member: the name in the zip; None for a file.
        fingerprint: size and modification time of a file, size and checksum of a member of a zip.
        label: the number of the class, -1 without classes.
        is_test: whether the image is in the set's own test split.
    """

    name: str
    path: str
    member: str | None
    fingerprint: tuple[int, int]
    label: int = -1
    is_test: bool = False


@dataclass(frozen=True)
class Listing:
    """What a folder or a zip holds.

    Attributes:
        files: the images, in an order that follows from their names, the set's own test split last.
        classes: a printable name for each label; empty without classes.
        skipped_files: (name, reason) of each file that should be a readable image and is not.
        other_suffixes: the number of files of each suffix that are not images.
    """

    files: list[ImageFile]
    classes: tuple[str, ...]
    skipped_files: list[SkippedFile]
    other_suffixes: Counter[str]


def list_folder(root: Path) -> Listing:
    """List the images below a folder. Hidden files are left out; links are followed, and each folder is read once.

    Raises:
        UserError: the folder cannot be read, or holds no image.
    """
    listing = Listing([], (), [], Counter())
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UserError(f"cannot read {printable(str(root))}: {error.strerror}") from None
    for path, status in _walk(root, listing.skipped_files):
        _add_file(listing, root, path, status)
    return _find_classes(listing, printable(str(root)))


def list_zip(path: Path) -> Listing:
    """List the images in a zip, with the labels of StyleGAN's `dataset.json` if there is one.

    Raises:
        UserError: the zip is damaged, holds no image, has an entry that points outside it, or its labels cannot be
            read.
    """
    zip_name = printable(str(path))
    listing = Listing([], (), [], Counter())
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            for member in sorted(members, key=lambda m: m.filename):
                _add_zip_member(listing, path, member)
            labels = _read_stylegan_labels(archive, zip_name)
    except UserError:
        raise
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise UserError(f"{zip_name} is damaged, or no zip: {printable(str(error))}") from None
    except OSError as error:
        raise UserError(f"cannot read {zip_name}: {error.strerror or error}") from None
    if labels is None:
        return _find_classes(listing, zip_name)
    return _add_labels(listing, labels, zip_name)


def _walk(root: Path, skipped_files: list[SkippedFile]) -> Iterator[tuple[str, os.stat_result | OSError]]:
    """Return every visible file below a folder with its status: first the files of a folder, then its folders."""
    visited: set[tuple[int, int]] = set()
    pending = [os.fspath(root)]
    while pending:
        folder = pending.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in visited:
                continue  # a link to a folder above, or the second link to one folder
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as scan:
                children = sorted((child for child in scan if not child.name.startswith(".")), key=lambda c: c.name)
        except OSError as error:
            skipped_files.append((_relative_name(root, folder) + "/", f"the folder cannot be read: {error.strerror}"))
            continue
        folders = [child.path for child in children if _is_folder(child)]
        pending += [path for path in reversed(folders) if os.path.basename(path) != MAC_OS_FOLDER]
        for child in children:
            if not _is_folder(child):
                try:
                    yield child.path, child.stat()
                except OSError as error:
                    yield child.path, error


def _is_folder(child: "os.DirEntry[str]") -> bool:
    try:
        return child.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _relative_name(root: Path, path: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _add_file(listing: Listing, root: Path, path: str, status: os.stat_result | OSError) -> None:
    """Add a file to the listing: to the images, to the skipped files or to the others."""
    suffix = os.path.splitext(path)[1].lower()
    name = _relative_name(root, path)
    if suffix not in IMAGE_SUFFIXES:
        listing.other_suffixes[printable(suffix) or "no suffix"] += 1
    elif isinstance(status, OSError):
        is_link = os.path.islink(path)
        reason = "a link to a file that is not there" if is_link else str(status.strerror)
        listing.skipped_files.append((name, reason))
    elif not stat.S_ISREG(status.st_mode):
        listing.skipped_files.append((name, "not a plain file"))
    else:
        listing.files.append(ImageFile(name, path, None, (status.st_size, status.st_mtime_ns)))


def _add_zip_member(listing: Listing, path: Path, member: zipfile.ZipInfo) -> None:
    """Add an entry of a zip to the listing: to the images, to the skipped files or to the others."""
    name = member.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        raise UserError(
            f"{printable(str(path))} holds an entry that points outside it: {printable(name)}; make the zip again"
        )
    if MAC_OS_FOLDER in parts or any(part.startswith(".") for part in parts):
        return
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        listing.other_suffixes[printable(suffix) or "no suffix"] += 1
    elif stat.S_ISLNK(member.external_attr >> 16):
        listing.skipped_files.append((name, "a link inside a zip"))
    elif member.flag_bits & 1:
        listing.skipped_files.append((name, "encrypted"))
    else:
        listing.files.append(ImageFile(name, os.fspath(path), member.filename, (member.file_size, member.CRC)))


def _read_stylegan_labels(archive: zipfile.ZipFile, zip_name: str) -> dict[str, Any] | None:
    """Return `{"labels": [["00000/img00000000.png", 6], ...]}` as a dict; None if there are no labels."""
    if "dataset.json" not in archive.namelist():
        return None
    with archive.open("dataset.json") as file:
        content = file.read(MAX_LABELS_BYTES + 1)
    try:
        if len(content) > MAX_LABELS_BYTES:
            raise ValueError
        labels = json.loads(content)["labels"]
        return None if labels is None else {str(name).replace("\\", "/"): label for name, label in labels}
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UserError(
            f'{zip_name}: its dataset.json is damaged: it needs {{"labels": [["NAME", NUMBER], ...]}}'
        ) from None


def _add_labels(listing: Listing, labels: dict[str, Any], zip_name: str) -> Listing:
    """Return the listing with the labels of a `dataset.json`; a file without a label is skipped."""
    files, skipped_files = [], list(listing.skipped_files)
    for file in listing.files:
        label = labels.get(file.name)
        if isinstance(label, list) and all(value in (0, 1) for value in label) and sum(label) == 1:
            label = label.index(1)  # one-hot, which some tools write
        if label is None:
            skipped_files.append((file.name, "dataset.json has no label for it"))
        elif isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < MAX_CLASSES:
            raise UserError(f"{zip_name}: the label of {printable(file.name)} in dataset.json is no class number")
        else:
            files.append(replace(file, label=label))
    classes = tuple(str(i) for i in range(1 + max((file.label for file in files), default=-1)))
    return _check_not_empty(replace(listing, files=files, skipped_files=skipped_files, classes=classes), zip_name)


def _find_classes(listing: Listing, root_name: str) -> Listing:
    """Return the listing with the classes and the test split that the names of the folders say."""
    paths = [file.name.split("/") for file in listing.files]
    depth = _common_depth(paths)
    test_folders = _find_test_folders(paths, depth)
    class_depth = depth + 1 if test_folders else depth
    class_names = [_class_name(path, class_depth) for path in paths]
    names = sorted({name for name in class_names if name is not None}) if None not in class_names else []
    labels: dict[str | None, int] = {name: i for i, name in enumerate(names)} if len(names) > 1 else {}
    files = [
        replace(file, label=labels.get(name, -1), is_test=bool(test_folders) and path[depth] in test_folders)
        for file, path, name in zip(listing.files, paths, class_names, strict=True)
    ]
    files.sort(key=lambda file: file.is_test)  # the sort is stable: the order by name stays within each split
    classes = tuple(map(printable, names)) if labels else ()
    return _check_not_empty(replace(listing, files=files, classes=classes), root_name)


def _find_test_folders(paths: list[list[str]], depth: int) -> set[str]:
    """Return the folders of a test split, if all images lie in folders of a training or a test split."""
    if any(len(path) == depth + 1 for path in paths):
        return set()
    folders = {path[depth] for path in paths}
    lowered = {folder.lower() for folder in folders}
    if not (lowered & TRAIN_FOLDERS and lowered & TEST_FOLDERS and lowered <= TRAIN_FOLDERS | TEST_FOLDERS):
        return set()
    return {folder for folder in folders if folder.lower() in TEST_FOLDERS}


def _class_name(path: Sequence[str], depth: int) -> str | None:
    """Return the folder that names the class; None for an image that is in no such folder."""
    return path[depth] if len(path) > depth + 1 else None


def _common_depth(paths: list[list[str]]) -> int:
    """Return how many folders all images share: `pictures.zip` often holds everything in one folder `pictures/`."""
    if not paths:
        return 0
    first, last = min(paths), max(paths)
    depth = 0
    while depth < min(len(first), len(last)) - 1 and first[depth] == last[depth]:
        depth += 1
    return depth


def _check_not_empty(listing: Listing, root_name: str) -> Listing:
    """Refuse a listing without images; say what there is instead."""
    if listing.files:
        return listing
    others = ", ".join(f"{count} {suffix}" for suffix, count in listing.other_suffixes.most_common(3))
    skipped_files = listing.skipped_files
    content = f": it holds {others}" if others else " in it" if skipped_files else ": it is empty"
    skipped = ""
    if skipped_files:
        name, reason = skipped_files[0]
        skipped = f"; {len(skipped_files)} cannot be read, such as {printable(name)} ({reason})"
    raise UserError(
        f"{root_name} has no pictures{content}{skipped}; put .png, .jpg, .webp, .gif, .bmp or .tif files there"
    )
