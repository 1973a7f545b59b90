"""Files that are there whole or not at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dcgan.errors import UserError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; rename it to `path` when the block ends well, remove it when it does not."""
    aside = path.with_name(f".{path.name}.new")
    try:
        yield aside
        fsync_file(aside)
        os.replace(aside, path)
        fsync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
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
            fsync_file(file)
        fsync_folder(aside)
        recover_interrupted_folder(path)
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        aside.rename(path)
        fsync_folder(path.parent)  # the new one is on the disk under its name before the old one goes
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def recover_interrupted_folder(path: Path) -> None:
    """Finish what a killed `whole_folder` left: the old folder comes back where the new one did not arrive."""
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        old.rename(path)


def sha256(path: Path) -> str:
    """The checksum of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_file(path: Path) -> None:
    """Ask the operating system to put a file's bytes on the disk before its name is changed."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
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


FORMAT_VERSION = 1
"""Of `config.json`, the saved model and the state. Newer versions are refused by name; older ones stay readable."""


MAX_JSON_CHARS = 2**24
"""Characters of a file of settings: ours have some thousands."""


def read_json(path: Path) -> dict[str, Any]:
    """Read one of our JSON objects, refusing what is damaged or written by a newer version."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_JSON_CHARS)  # what is cut off there is no JSON any more
        data = json.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged: it is not JSON") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object")
    version = data.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise UserError(f"{path} was not written by dcgan: it has no format_version")
    if version > FORMAT_VERSION:
        raise UserError(f"{path} was written by a newer dcgan (format {version}): update with pip install -U dcgan")
    return data
