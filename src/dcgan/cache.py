"""The cache folder: where it is, how its entries are named, and how an entry is written as a whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dcgan.errors import UserError
from dcgan.files import fsync_file

CACHE_VERSION = 1
"""It is part of every key. It is raised when the same inputs would be cached with another content."""
MAX_LEFTOVER_AGE_S = 24 * 3600
"""An unfinished entry that is older than this is removed, whichever machine wrote it."""
CANNOT_WRITE = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST)
"""System errors that mean that the cache folder cannot be written."""


def cache_folder() -> Path:
    """Return the cache folder: DCGAN_CACHE if it is set, else where the platform keeps caches."""
    if given := os.environ.get("DCGAN_CACHE"):
        return expand_user(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "dcgan" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dcgan"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dcgan"


def expand_user(path: str | os.PathLike[str]) -> Path:
    """Return a path with a home folder in the place of `~` or `~NAME`.

    A path that begins with `~` and means no home, such as `./~`, becomes absolute: `Path` forgets the `./`, and without
    it the path would mean a home the next time it is expanded.
    """
    expanded = Path(os.path.expanduser(path))  # Path.expanduser raises a RuntimeError where this leaves the text
    return expanded.absolute() if expanded.parts[:1] and expanded.parts[0].startswith("~") else expanded


def cache_key(*parts: object) -> str:
    """Return the name of an entry: a hash of everything that its content depends on."""
    text = json.dumps([CACHE_VERSION, *parts], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def new_cache_entry(name: str, is_valid: Callable[[str], bool] = lambda name: False) -> Iterator[Path]:
    """Give a folder to write a new entry into.

    The folder gets the entry's name when the block ends without an error, and is removed when it does not.

    Args:
        name: of the entry, see `cache_key`.
        is_valid: whether an entry of this name that another process wrote meanwhile is complete. Such an entry is
            kept; any other is replaced.

    Raises:
        UserError: the cache cannot be written.
    """
    folder = cache_folder()
    try:
        with _unfinished_folder(folder, name) as unfinished:
            yield unfinished
            _move_into_place(unfinished, folder / name, is_valid)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        raise UserError(
            f"cannot write the cache {folder}: {error.strerror}; make room, or set DCGAN_CACHE to another folder"
        ) from None


@contextmanager
def _unfinished_folder(folder: Path, name: str) -> Iterator[Path]:
    """Give a new folder with a name that no other process or thread has, and remove what is left of it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    # The first part has no dot, which is where `_remove_leftovers` finds the machine and the process.
    own_name = f"{name.replace('.', '-')}-{threading.get_native_id()}"
    unfinished = folder / f".{own_name}.{socket.gethostname()}.{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)  # of an ended process, whose numbers this thread has now
    unfinished.mkdir()
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move_into_place(unfinished: Path, final: Path, is_valid: Callable[[str], bool]) -> None:
    """Give a finished entry its name, unless a valid entry has it already."""
    for file in unfinished.iterdir():
        fsync_file(file)
    if final.exists() and is_valid(final.name):
        return
    if final.exists():
        damaged = unfinished.with_name(unfinished.name + ".old")
        with contextlib.suppress(FileNotFoundError):  # another thread or process has moved it away
            final.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        unfinished.rename(final)
    except OSError as error:  # another process gave its own entry this name in the meantime
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _remove_leftovers(folder: Path) -> None:
    """Remove unfinished entries: those of processes of this machine that have ended, and all that are a day old."""
    for leftover in folder.glob(".*.*.*"):
        name = leftover.name.removesuffix(".old")
        host, process_id = name.split(".", 2)[-1].rsplit(".", 1)
        with contextlib.suppress(OSError, ValueError):
            is_old = time.time() - leftover.stat().st_mtime > MAX_LEFTOVER_AGE_S
            has_ended = os.name == "posix" and host == socket.gethostname() and not _is_running(int(process_id))
            if is_old or has_ended:
                shutil.rmtree(leftover, ignore_errors=True)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as another user
        return True
    return True
