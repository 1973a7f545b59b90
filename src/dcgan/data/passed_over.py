"""What a folder or a zip may hold that is not part of the set: files of the system, runs of ours, other formats."""

from collections import Counter
from collections.abc import Iterable

from dcgan.data.decode import HEIF_SUFFIXES, can_read_heif
from dcgan.files import printable
from dcgan.system.install import install_command

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
HELP = {
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

    def notices(self, other_suffixes: Counter[str]) -> list[str]:
        """Return a line for each kind of files that are passed over; none if there are no such files."""
        lines = []
        if self.system.total():
            lines.append(
                f"{_pictures(self.system.total())} in folders of thumbnails, trash or metadata "
                f"{_are(self.system.total())} passed over: {_list_names(self.system)}"
            )
        if self.runs.total():
            lines.append(
                f"{_pictures(self.runs.total())} that dcgan itself wrote {_are(self.runs.total())} passed over: "
                f"{_list_names(self.runs)}"
            )
        if self.repeated:
            lines.append(f"{self.repeated:,} names occur more than once in the zip: the last content of each counts")
        if other_suffixes:
            lines.append(f"not read: {describe_suffixes(other_suffixes)}")
        return lines


def describe_suffixes(suffixes: Counter[str]) -> str:
    """Return the commonest suffixes with their counts and with what helps to read such files."""
    listed = [f"{count:,} {suffix}{_help(suffix)}" for suffix, count in suffixes.most_common(MAX_SUFFIXES)]
    return ", ".join(listed) + ", …" * (len(suffixes) > MAX_SUFFIXES)


def _help(suffix: str) -> str:
    if suffix not in HELP or (suffix in HEIF_SUFFIXES and can_read_heif()):
        return ""
    return f" ({HELP[suffix]})"


def _pictures(count: int) -> str:
    return f"{count:,} picture{'s' * (count != 1)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _list_names(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(map(printable, ordered[:MAX_NAMES])) + ", …" * (len(ordered) > MAX_NAMES)
