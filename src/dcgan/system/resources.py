"""Cores, memory and disk: how much there is, and one line for the user when it is not enough."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dcgan.errors import UserError

CGROUP_FILES = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit and use of memory of this container, by version 2 and 1 of the kernel's interface: the folder, two files in it,
and the line of `memory.stat` that says how much of the use are files that the kernel gives up when memory is needed."""
MEMORY_ERRORS = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|unable to allocate|bad_alloc"
    r"|bad allocation|can't start new thread|could not create a memory|failed to allocate",
    re.IGNORECASE,
)
"""How torch, oneDNN, NumPy, C++ and the operating system say that there is too little memory."""
REQUESTED_SIZE = re.compile(r"(?:allocate|Unable to allocate) ([\d.]+) ?(bytes|[KMGTP]iB)", re.IGNORECASE)
UNIT_BYTES = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50}


def usable_core_count() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def format_bytes(count: float) -> str:
    """Return a number of bytes with a unit, such as `1.2 GB`."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if count < 999.5 or unit == "PB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" or count >= 99.5 else f"{count:.1f} {unit}"


def available_memory() -> int:
    """Return how many bytes of memory this process can still get.

    It is the least of what the machine has left and what the limits of the container and of the process leave.
    """
    return min(max(0, total - used) for total, used in _memory_limits())


def total_memory() -> int:
    """Return how many bytes of memory this process can have in all."""
    return min(total for total, _ in _memory_limits())


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has held; None if the system does not say."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    return None


def reset_peak_memory() -> bool:
    """Let `peak_memory` begin anew from what is held now; return whether the system can do that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return peak_memory() is not None
    return False


def available_disk(path: Path) -> int:
    """Return how many bytes can be written to the disk on which a path is, or will be."""
    folder = path.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_memory(needed: int, purpose: str, advice: str) -> None:
    """Refuse what needs more memory than there is.

    Args:
        needed: bytes.
        purpose: what needs it, in the plural.
        advice: what to do instead.

    Raises:
        UserError: there is less memory.
    """
    available = available_memory()
    if needed > available:
        raise UserError(
            f"{purpose} need {format_bytes(needed)} of memory, {format_bytes(available)} are free: {advice}"
        )


def check_disk(needed: int, path: Path, purpose: str, advice: str) -> None:
    """Refuse what needs more of the disk than is free.

    Args:
        needed: bytes.
        path: where they will be written.
        purpose: what needs it, in the plural.
        advice: what to do instead.

    Raises:
        UserError: less is free.
    """
    available = available_disk(path)
    if needed > available:
        raise UserError(
            f"{purpose} need {format_bytes(needed)} on the disk of {path}, {format_bytes(available)} are free: {advice}"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that there is too little memory, whichever library raised it."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and MEMORY_ERRORS.search(str(error)) is not None


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Raise a `UserError` of one line for each error in the block that means too little memory.

    Args:
        advice: what the user can lower.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(out_of_memory_text(error, advice)) from None


def out_of_memory_text(error: BaseException, advice: str) -> str:
    """Return one line that says what was needed, what there is, and what to do."""
    match, total = REQUESTED_SIZE.search(str(error)), total_memory()
    needed = f"{format_bytes(float(match[1]) * UNIT_BYTES[match[2].lower()])} more were needed" if match else ""
    is_gpu = any(name in str(error) for name in ("CUDA", "MPS"))
    # What is free is not said: it was less at the moment of the error, and most of it is free again now.
    limit = "" if is_gpu else f"this process can have {format_bytes(total)} in all"
    details = ", ".join(filter(None, [needed, limit]))
    where = " of the GPU" if is_gpu else ""
    return f"there is not enough memory{where}{f' ({details})' if details else ''}: {advice}"


def _memory_limits() -> Iterator[tuple[int, int]]:
    """Yield (bytes in all, bytes used) of the machine, of the container and of the process, as far as they say."""
    yield _machine_memory()
    if (memory := _process_memory()) is not None:
        yield memory
    for folder, limit, use, cached in CGROUP_FILES:
        with suppress(OSError, ValueError):  # version 2 writes the word `max` where there is no limit
            used = int((folder / use).read_text()) - _read_statistic(folder / "memory.stat", cached)
            yield int((folder / limit).read_text()), max(0, used)


def _read_statistic(path: Path, name: str) -> int:
    """Return the number in the line `NAME NUMBER` of a file; 0 if there is none."""
    with suppress(OSError, ValueError):
        return int(dict(line.split() for line in path.read_text().splitlines())[name])
    return 0


def _machine_memory() -> tuple[int, int]:
    import psutil  # only here, for the start-up time of the command line

    memory = psutil.virtual_memory()
    return memory.total, memory.total - memory.available


def _process_memory() -> tuple[int, int] | None:
    """Return the limit of the address space (`ulimit -v`) and what is used of it; None without a limit."""
    try:
        import resource  # Windows has no such module
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    with suppress(OSError, ValueError, IndexError):
        used_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return limit, used_pages * os.sysconf("SC_PAGE_SIZE")
    return limit, 0
