"""The lock of a run folder: two processes never write to one run.

The operating system keeps the lock on an open file (`filelock`), so it ends with its process, however that ends. Which
process holds it stands in a second file, for people and for the studio; that file alone locks nothing.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dcgan.errors import UserError
from dcgan.files import name_in_errors, printable

LOCK_NAME, HOLDER_NAME = ".lock", ".lock-holder.json"
WAIT_S = 1.0
"""How long a new run waits for the lock: `lock_holder` in another process may have it for a moment."""
MAX_HOLDER_CHARS = 1000


@dataclass(frozen=True)
class LockHolder:
    """The process that holds the lock of a run folder."""

    process_id: int
    host: str

    def __str__(self) -> str:
        return f"process {self.process_id} on {printable(self.host)}" if self.host else "another process"


UNKNOWN_HOLDER = LockHolder(process_id=0, host="")
"""The lock is held, but the file that says by which process is missing or damaged."""


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder while the block runs.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    holder_path, shown = folder / HOLDER_NAME, printable(str(folder))
    lock = _lock(folder)
    try:
        lock.acquire(timeout=WAIT_S)
    except Timeout:
        raise UserError(f"{_read_holder(holder_path)} is training in {shown}: wait until it ends") from None
    except OSError as error:
        raise UserError(f"cannot write to {shown}: {error.strerror}") from None
    try:
        holder = asdict(LockHolder(os.getpid(), socket.gethostname()))
        with name_in_errors(holder_path):
            holder_path.write_text(json.dumps(holder), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder_path.unlink(missing_ok=True)
        lock.release()


def lock_holder(folder: Path) -> LockHolder | None:
    """Return the process that holds the lock of a run folder; None if no process does.

    It is `UNKNOWN_HOLDER` for a moment after a process took the lock.
    """
    if not (folder / LOCK_NAME).is_file():
        return None
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _read_holder(folder / HOLDER_NAME)
    except OSError:
        return None
    lock.release()
    return None


def _lock(folder: Path) -> FileLock:
    # One lock for the whole process: a training is started in one thread and may be watched from another.
    return FileLock(folder / LOCK_NAME, thread_local=False)


def _read_holder(path: Path) -> LockHolder:
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(MAX_HOLDER_CHARS))
        holder = LockHolder(int(content["process_id"]), str(content["host"]))
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN_HOLDER
    # A signal to the number 0 or to a negative one would reach other processes too.
    return holder if holder.process_id > 0 else UNKNOWN_HOLDER
