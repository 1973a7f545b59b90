"""A lock on a folder: two processes never write to one run. It dies with its process, however that dies."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dcgan.errors import UserError
from dcgan.files import printable

LOCK_NAME = ".lock"
PLACE_OF_NUMBER = 1
"""Where the number of the process stands in the file: Windows lets nobody read the first byte, which is locked."""


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder while the block runs.

    The operating system keeps the lock, on an open file: a killed process has none, whatever file it left behind.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    path = folder / LOCK_NAME
    try:
        file = _opened(path)
    except BlockingIOError:
        raise UserError(f"another process is training in {printable(str(folder))}: wait until it ends") from None
    except OSError as error:
        raise UserError(f"cannot write to {printable(str(folder))}: {error.strerror}") from None
    try:
        os.lseek(file, PLACE_OF_NUMBER, os.SEEK_SET)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file; the next process locks the one that is there
            path.unlink()
        os.close(file)


def lock_holder(folder: Path) -> int | None:
    """The number of the process that holds the lock of a folder; None if nobody does."""
    path = folder / LOCK_NAME
    try:
        number = int(path.read_bytes()[PLACE_OF_NUMBER:])
        os.kill(number, 0)
        file = os.open(path, os.O_RDWR)
    except (OSError, ValueError, OverflowError):
        return None
    try:
        _lock(file)  # it can be had: whoever wrote the number is gone, and another process bears it now
    except BlockingIOError:
        return number
    finally:
        os.close(file)
    return None


def _opened(path: Path) -> int:
    """The lock file, opened and locked. Whoever held it may have removed it meanwhile: then it is made again."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            _lock(file)
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(file)
            raise
        os.close(file)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
