"""What a folder or a packed file holds: its image files, their classes, and what is said about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dcgan.files import printable

SkippedFile = tuple[str, str]
"""Name and reason."""
Label = int | str
"""The number or the name of a class."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image file.

    Attributes:
        name: the path below the set's root, with slashes, as it is on the disk.
        path: the path of the file, or of the packed file that holds it.
        member: the name in a zip, the place in a tar or the row of a parquet file; None for a file.
        fingerprint: size and modification time of the file, also of a tar or a parquet file; of a member of a zip its
            size and checksum.
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
        other_suffixes: the number of files of each suffix that are not read.
        notices: lines about what was guessed and what was passed over.
        no_classes_reason: why there are no classes; empty if there are.
    """

    files: list[ImageFile]
    classes: tuple[str, ...]
    skipped_files: list[SkippedFile]
    other_suffixes: Counter[str]
    notices: list[str] = field(default_factory=list)
    no_classes_reason: str = ""


def empty_listing(files: Sequence[ImageFile] = (), notices: Sequence[str] = ()) -> Listing:
    """Return a listing without classes."""
    return Listing(list(files), (), [], Counter(), list(notices))


def describe_skipped(skipped_files: Sequence[SkippedFile], verb: str = "used") -> str:
    """Return how many files cannot be used (or `read`), and the first of them with its reason."""
    name, reason = skipped_files[0]
    count = len(skipped_files)
    return f"{count:,} file{'s' * (count != 1)} cannot be {verb}, such as {printable(name)} ({reason})"
