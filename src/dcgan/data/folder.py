"""The image files in a folder or a zip: their classes, and which of them are the set's own test split."""

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dcgan.data.arrays import refuse_damage
from dcgan.data.layout import find_classes, number_classes, without_labels
from dcgan.data.layout_0_1 import find_classes_of_0_1, number_classes_of_0_1
from dcgan.data.listing import ImageFile, Listing, SkippedFile, empty_listing
from dcgan.data.metadata import MAX_METADATA_BYTES, METADATA_FILES, Rows, match_metadata, parse_metadata
from dcgan.data.passed_over import (
    MAC_OS_FOLDER,
    PassedOver,
    check_not_empty,
    check_not_outside,
    is_hidden,
    is_in_passed_over_folder,
    is_other_file,
    is_system_folder,
    readable_suffixes,
)
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1, RULES_OF_CP437_NAMES, RULES_WITHOUT_METADATA
from dcgan.data.stylegan import LABELS_FILE, MAX_LABELS_BYTES, match_labels, merge_labels
from dcgan.data.zip_names import readable_names
from dcgan.errors import UserError
from dcgan.files import MAX_JSON_CHARS, list_names, printable
from dcgan.run.folder import SETTINGS_FILES, holds_own_output, is_own_output


def list_folder(root: Path, rules: int = CURRENT_RULES) -> Listing:
    """List the images below a folder, with the labels of `dataset.json` or of `metadata.csv` if there is one.

    Hidden files, folders of the file system, and runs of ours are left out; links are followed, and each folder is
    read once.

    Args:
        root: the folder.
        rules: see `rules`.

    Raises:
        UserError: the folder cannot be read, holds no image, or is a run of ours; or its labels cannot be read.
    """
    name, listing, passed_over = printable(str(root)), empty_listing(), PassedOver()
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}") from None
    if rules > RULES_OF_0_1 and holds_own_output(root):
        raise UserError(f"{name} is a run of dcgan, not a set of pictures: give the folder of the pictures")
    metadata: dict[str, Rows] = {}
    for path, status in _walk(root, listing.skipped_files, passed_over, rules):
        if rules > RULES_WITHOUT_METADATA and (rows := _read_metadata(root, path, status, name)) is not None:
            metadata[_relative_name(root, path)] = rows
        else:
            _add_file(listing, root, path, status, passed_over, rules)
    label_files = _read_label_files(root) if rules > RULES_OF_0_1 else {}
    return _finish(listing, label_files, metadata, name, passed_over, rules)


def list_zip(path: Path, rules: int = CURRENT_RULES) -> Listing:
    """List the images in a zip, with the labels of `dataset.json` or of `metadata.csv` if there is one.

    Args:
        path: the zip.
        rules: see `rules`.

    Raises:
        UserError: the zip is damaged, holds no image, has an entry that points outside it, or its labels cannot be
            read.
    """
    zip_name = printable(str(path))
    listing, passed_over = empty_listing(), PassedOver()
    with refuse_damage(zip_name, "is damaged, or no zip"), zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if rules > RULES_OF_0_1:
            infos = _last_contents(infos, passed_over)
        members = _name_members(infos, passed_over) if rules > RULES_OF_CP437_NAMES else _by_standard_names(infos)
        own_folders = _own_folders(archive, members, zip_name) if rules > RULES_OF_0_1 else ()
        metadata = _read_zip_metadata(archive, members, zip_name) if rules > RULES_WITHOUT_METADATA else {}
        for member in sorted(members, key=lambda m: m.name):
            if member.name not in metadata:
                _add_zip_member(listing, path, member, passed_over, own_folders, rules)
        label_files = {
            folder: _read_member(archive, member, MAX_LABELS_BYTES + 1, zip_name)
            for folder, member in _find_label_members(members)
            if not folder or rules > RULES_OF_0_1
        }
    return _finish(listing, label_files, metadata, zip_name, passed_over, rules)


def _finish(
    listing: Listing,
    label_files: Mapping[str, bytes],
    metadata: Mapping[str, Rows],
    root_name: str,
    passed_over: PassedOver,
    rules: int,
) -> Listing:
    """Return the listing with its classes, its test split, and what is to be said about it."""
    is_old = rules == RULES_OF_0_1
    labels = merge_labels(label_files, root_name)
    if labels is not None:
        listing, numbers = match_labels(listing, labels, root_name)
        listing = number_classes_of_0_1(listing, numbers) if is_old else number_classes(listing, numbers)
    elif is_old:
        listing = find_classes_of_0_1(listing)
    elif label_files:
        listing = without_labels(listing, "its dataset.json says that there are no labels")
    elif metadata:
        listing = match_metadata(listing, metadata, root_name)
    else:
        listing = find_classes(listing)
    if not is_old:
        notices = [*passed_over.notices(listing.other_suffixes), *listing.notices]
        if label_files and metadata:
            notices.append(f"{list_names(sorted(metadata))} is not used, because there is a dataset.json")
        listing = replace(listing, notices=notices)
    return check_not_empty(listing, root_name)


def _read_label_files(root: Path) -> dict[str, bytes]:
    """Return the content of the `dataset.json` of a folder, or of those one folder down, by the folder's name."""
    contents = {}
    try:
        folders = sorted(child.name for child in os.scandir(root) if _is_folder(child) and child.name[0] != ".")
    except OSError:
        folders = []
    for folder in ("", *(f"{name}/" for name in folders)):
        try:
            with (root / folder / LABELS_FILE).open("rb") as file:
                contents[folder] = file.read(MAX_LABELS_BYTES + 1)
        except OSError:  # there is none
            continue
    return contents


def _read_metadata(root: Path, path: str, status: os.stat_result | OSError, root_name: str) -> Rows | None:
    """Return the rows of a metadata file; None if a file is not one."""
    is_plain = isinstance(status, os.stat_result) and stat.S_ISREG(status.st_mode)
    if os.path.basename(path) not in METADATA_FILES or not is_plain:
        return None
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_METADATA_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {printable(path)}: {error.strerror}") from None
    return parse_metadata(_relative_name(root, path), content, root_name)


@dataclass(frozen=True)
class _Member:
    """A file in a zip: its name with letters that people read, which `zipfile` does not know it by, and its entry."""

    name: str
    info: zipfile.ZipInfo


def _by_standard_names(infos: list[zipfile.ZipInfo]) -> list[_Member]:
    return [_Member(info.filename, info) for info in infos]


def _name_members(infos: list[zipfile.ZipInfo], passed_over: PassedOver) -> list[_Member]:
    names, passed_over.name_notices = readable_names(infos)
    return [_Member(names[info.filename], info) for info in infos]


def _read_zip_metadata(archive: zipfile.ZipFile, members: list[_Member], zip_name: str) -> dict[str, Rows]:
    """Return the rows of the metadata files of a zip, by their names."""
    sources = {}
    for member in members:
        *folders, name = member.name.replace("\\", "/").removeprefix("./").split("/")
        if name in METADATA_FILES and not any(f.startswith(".") for f in folders):
            content = _read_member(archive, member, MAX_METADATA_BYTES + 1, zip_name)
            rows = parse_metadata(member.name, content, zip_name)
            if rows is not None:
                sources[member.name] = rows
    return sources


def _read_member(archive: zipfile.ZipFile, member: _Member, most_bytes: int, zip_name: str) -> bytes:
    """Return the first bytes of a text in a zip.

    Raises:
        UserError: it is encrypted or damaged, or packed by a method that is not known.
    """
    name = f"{printable(member.name)} in {zip_name}"
    if member.info.flag_bits & 1:
        raise UserError(f"{name} is encrypted: make the zip again without a password")
    with refuse_damage(name, "cannot be unpacked, make the zip again"), archive.open(member.info) as file:
        return file.read(most_bytes)


def _find_label_members(members: list[_Member]) -> list[tuple[str, _Member]]:
    """Return the `dataset.json` of a zip and those one folder down, each with its folder."""
    found = []
    for member in members:
        folder, slash, name = member.name.replace("\\", "/").removeprefix("./").rpartition("/")
        if name == LABELS_FILE and "/" not in folder:
            found.append((folder + slash, member))
    return found


def _last_contents(members: list[zipfile.ZipInfo], passed_over: PassedOver) -> list[zipfile.ZipInfo]:
    """Return the members of a zip that are found by their names: of equal names the last."""
    by_name = {member.filename: member for member in members}
    passed_over.repeated = sum(count > 1 for count in Counter(m.filename for m in members).values())
    return list(by_name.values())


def _own_folders(archive: zipfile.ZipFile, members: list[_Member], zip_name: str) -> tuple[str, ...]:
    """Return the folders of a zip, each with a slash at its end, that are runs or comparisons of ours."""
    folders = []
    for member in members:
        folder, _, name = member.name.replace("\\", "/").rpartition("/")
        is_candidate = folder and name in SETTINGS_FILES and not member.info.flag_bits & 1
        if is_candidate and is_own_output(name, _read_member(archive, member, MAX_JSON_CHARS, zip_name)):
            folders.append(f"{folder}/")
    return tuple(folders)


def _walk(
    root: Path, skipped_files: list[SkippedFile], passed_over: PassedOver, rules: int
) -> Iterator[tuple[str, os.stat_result | OSError]]:
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
        pending += [path for path in reversed(folders) if not _is_passed_over(root, path, passed_over, rules)]
        for child in children:
            if not _is_folder(child):
                try:
                    yield child.path, child.stat()
                except OSError as error:
                    yield child.path, error


def _is_passed_over(root: Path, folder: str, passed_over: PassedOver, rules: int) -> bool:
    """Return whether a folder is not part of the set, and count the images in it."""
    name = os.path.basename(folder)
    if rules == RULES_OF_0_1:
        return name == MAC_OS_FOLDER
    is_system = is_system_folder(name)
    if not is_system and not holds_own_output(Path(folder)):
        return False
    counts = passed_over.system if is_system else passed_over.runs
    suffixes = readable_suffixes(rules)
    counts[_relative_name(root, folder) + "/"] += sum(
        os.path.splitext(file)[1].lower() in suffixes for _, _, files in os.walk(folder) for file in files
    )
    return True


def _is_folder(child: "os.DirEntry[str]") -> bool:
    try:
        return child.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _relative_name(root: Path, path: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _add_file(
    listing: Listing, root: Path, path: str, status: os.stat_result | OSError, passed_over: PassedOver, rules: int
) -> None:
    """Add a file to the listing: to the images, to the skipped files or to the others."""
    name = _relative_name(root, path)
    if is_other_file(listing, PurePosixPath(name), passed_over, rules):
        return
    if isinstance(status, OSError):
        is_link = os.path.islink(path)
        reason = "a link to a file that is not there" if is_link else str(status.strerror)
        listing.skipped_files.append((name, reason))
    elif not stat.S_ISREG(status.st_mode):
        listing.skipped_files.append((name, "not a plain file"))
    else:
        listing.files.append(ImageFile(name, path, None, (status.st_size, status.st_mtime_ns)))


def _add_zip_member(
    listing: Listing,
    path: Path,
    member: _Member,
    passed_over: PassedOver,
    own_folders: tuple[str, ...],
    rules: int,
) -> None:
    """Add an entry of a zip to the listing: to the images, to the skipped files or to the others."""
    name = member.name.replace("\\", "/")
    check_not_outside(name, printable(str(path)), "zip")
    if is_hidden(name):
        return
    if rules > RULES_OF_0_1 and is_in_passed_over_folder(name, passed_over, own_folders, rules):
        return
    if is_other_file(listing, PurePosixPath(name), passed_over, rules):
        return
    if stat.S_ISLNK(member.info.external_attr >> 16):
        listing.skipped_files.append((name, "a link inside a zip"))
    elif member.info.flag_bits & 1:
        listing.skipped_files.append((name, "encrypted"))
    else:
        listing.files.append(
            ImageFile(name, os.fspath(path), member.info.filename, (member.info.file_size, member.info.CRC))
        )
