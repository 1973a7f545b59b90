"""What a folder or a zip may hold that is not part of the set: files of the system, runs of ours, other formats."""

import os
from collections import Counter
from functools import lru_cache
from pathlib import PurePosixPath

from dcgan.data.decode import HEIF_SUFFIXES, can_read_heif
from dcgan.data.listing import Listing, describe_skipped
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1
from dcgan.errors import UserError
from dcgan.files import list_names, printable
from dcgan.system.install import install_command

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff", "ppm", "pgm"),
        *("pbm", "pnm", "tga", "ico", "jp2", "j2k", "avif", "mpo"),
    )
)
MAC_OS_FOLDER = "__MACOSX"
"""A folder of metadata that macOS adds to zips."""
SYSTEM_FOLDERS = frozenset(
    (
        *("__macosx", "temporary items", "network trash folder", "icon\r"),  # macOS
        *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000"),  # Windows
        *("@eadir", "#recycle", "#snapshot", "@tmp", "@sharebin", "@synoresource"),  # Synology
        *("@recycle", "@recently-snapshot", "@recently-snapshots", "@thumb"),  # QNAP
        "lost+found",  # Linux
    )
)
"""Lower-case names of the folders in which file systems keep thumbnails, trash and snapshots."""
SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "dataset.json"))
"""Lower-case names of files that are known not to be images."""
RUNS_FOLDER = "runs"
"""Name of the folder that `dcgan` writes runs and contact sheets into."""
CONTACT_SHEET_SUFFIX = "-contact.png"
MAX_NAMES = 3
"""Names of each kind that are listed."""
MAX_SUFFIXES = 5
"""Suffixes of unread files that are listed."""
HELP_BY_SUFFIX = {
    **dict.fromkeys(HEIF_SUFFIXES, install_command("heif")),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"), "raw photos: export as .jpg"),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"), "videos: save their frames as .png"),
    **dict.fromkeys((".zip", ".npz", ".npy", ".parquet", ".tar"), "give each as --data itself"),
    **dict.fromkeys((".svg", ".pdf", ".eps", ".psd", ".exr", ".jxl", ".jxr", ".dds", ".xcf"), "save as .png"),
}
"""What helps with files of a suffix."""


def is_system_folder(name: str) -> bool:
    """Return whether a folder is one of the file system's own."""
    return name.lower() in SYSTEM_FOLDERS


def is_contact_sheet(parts: tuple[str, ...]) -> bool:
    """Return whether a path below the root is where `dcgan data check` writes its contact sheet by default."""
    return len(parts) > 1 and parts[-2] == RUNS_FOLDER and parts[-1].endswith(CONTACT_SHEET_SUFFIX)


class PassedOver:
    """Counts what is passed over, by folder."""

    def __init__(self) -> None:
        self.system: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self.repeated = 0
        self.name_notices: list[str] = []

    def notices(self, other_suffixes: Counter[str]) -> list[str]:
        """Return a line for each kind of files that are passed over; none if there are no such files."""
        lines = [*self.name_notices]
        if self.system.total():
            lines.append(
                f"{_pictures(self.system.total())} in folders of thumbnails, trash or metadata "
                f"{_are(self.system.total())} passed over: {list_names(sorted(self.system), MAX_NAMES)}"
            )
        if self.runs.total():
            lines.append(
                f"{_pictures(self.runs.total())} that dcgan itself wrote {_are(self.runs.total())} passed over: "
                f"{list_names(sorted(self.runs), MAX_NAMES)}"
            )
        if self.repeated:
            lines.append(f"{self.repeated:,} names occur more than once in the zip: the last content of each counts")
        if other_suffixes:
            lines.append(f"not read: {describe_suffixes(other_suffixes)}")
        return lines


@lru_cache(maxsize=2)
def readable_suffixes(rules: int = CURRENT_RULES) -> frozenset[str]:
    """Return the suffixes of the files that are read."""
    return IMAGE_SUFFIXES | set(HEIF_SUFFIXES) if rules > RULES_OF_0_1 and can_read_heif() else IMAGE_SUFFIXES


def is_hidden(name: str) -> bool:
    """Return whether a member of a packed file is hidden, or is metadata that macOS adds."""
    parts = PurePosixPath(name).parts
    return MAC_OS_FOLDER in parts or any(part.startswith(".") for part in parts)


def check_not_outside(name: str, archive_name: str, kind: str) -> None:
    """Refuse a packed file with a member whose name leads out of it.

    Raises:
        UserError: the name is absolute, or has `..` in it.
    """
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        raise UserError(
            f"{archive_name} holds an entry that points outside it: {printable(name)}; make the {kind} again"
        )


def is_other_file(listing: Listing, name: PurePosixPath, passed_over: PassedOver, rules: int) -> bool:
    """Return whether a file is no image of the set, and count it."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in readable_suffixes(rules):
        if rules == RULES_OF_0_1 or name.name.lower() not in SYSTEM_FILES:
            listing.other_suffixes[printable(suffix) or "no suffix"] += 1
        return True
    if rules > RULES_OF_0_1 and is_contact_sheet(name.parts):
        passed_over.runs[str(name)] += 1
        return True
    return False


def is_in_passed_over_folder(name: str, passed_over: PassedOver, own_folders: tuple[str, ...], rules: int) -> bool:
    """Return whether a member of a packed file is in a folder that is not part of the set, and count it."""
    *folders, file = PurePosixPath(name).parts
    is_image = os.path.splitext(file)[1].lower() in readable_suffixes(rules)
    for depth, folder in enumerate(folders):
        if is_system_folder(folder):
            passed_over.system["/".join(folders[: depth + 1]) + "/"] += is_image
            return True
    own_folder = next((folder for folder in own_folders if name.startswith(folder)), None)
    if own_folder is not None:
        passed_over.runs[own_folder] += is_image
    return own_folder is not None


def check_not_empty(listing: Listing, root_name: str) -> Listing:
    """Refuse a listing without images; say what there is instead."""
    if listing.files:
        return listing
    others = describe_suffixes(listing.other_suffixes)
    skipped_files = listing.skipped_files
    content = f": it holds {others}" if others else " in it" if skipped_files else ": it is empty"
    skipped = f"; {describe_skipped(skipped_files, 'read')}" if skipped_files else ""
    notices = [notice for notice in listing.notices if not notice.startswith("not read")]
    content = " in it" if notices and not others else content
    skipped += "".join(f"; {notice}" for notice in notices)
    raise UserError(
        f"{root_name} has no pictures{content}{skipped}; put .png, .jpg, .webp, .gif, .bmp or .tif files there"
    )


def describe_suffixes(suffixes: Counter[str]) -> str:
    """Return the commonest suffixes with their counts and with what helps to read such files."""
    listed = [f"{count:,} {suffix}{_help(suffix)}" for suffix, count in suffixes.most_common(MAX_SUFFIXES)]
    return ", ".join(listed) + ", …" * (len(suffixes) > MAX_SUFFIXES)


def _help(suffix: str) -> str:
    if suffix not in HELP_BY_SUFFIX or (suffix in HEIF_SUFFIXES and can_read_heif()):
        return ""
    return f" ({HELP_BY_SUFFIX[suffix]})"


def _pictures(count: int) -> str:
    return f"{count:,} picture{'s' * (count != 1)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
