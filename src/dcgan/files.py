"""Files that are there whole or not at all."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; rename it to `path` when the block ends well, remove it when it does not."""
    aside = path.with_name(f".{path.name}.new")
    try:
        yield aside
        flush(aside)
        os.replace(aside, path)
        flush_names(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; put it in the place of `path` when the block ends well.

    A folder cannot be replaced in one step everywhere: the old one is moved to `.NAME.old` first, and
    `recover_folder` puts it back if the program died between the two steps.
    """
    aside, old = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        for file in aside.iterdir():
            file.chmod(aside.stat().st_mode & 0o666)  # safetensors lets nobody but the owner read
            flush(file)
        flush_names(aside)
        recover_folder(path)
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        aside.rename(path)
        flush_names(path.parent)  # the new one is on the disk under its name before the old one goes
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Finish what a killed `whole_folder` left: the old folder comes back where the new one did not arrive."""
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        old.rename(path)


def sha256(path: Path) -> str:
    """The checksum of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Ask the operating system to put a file's bytes on the disk before its name is changed."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_names(folder: Path) -> None:
    """Ask the operating system to put a folder's list of names on the disk: a rename is there only then."""
    if os.name == "nt":  # which opens no folder, and writes names in order
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def printable(text: str) -> str:
    """A file's name as it may be shown or kept: control characters and bytes that are no text become escapes.

    Names come from anywhere. One with a newline or a terminal's escape code must not break a line, a JSON file or
    a screen.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
