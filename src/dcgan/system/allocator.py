"""The memory that is free inside this process: whether the C library keeps it or gives it back to the system.

Each step frees its tensors, and the next one asks for as many again. glibc gives large blocks back at once, and the
system clears every page before it hands it out again, which can take a quarter of a step (docs/experiments.md).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""Parameters of `mallopt`, see malloc.h."""
KEEP_ALL = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1}
"""No block is mapped by itself, and the free end of the heap is not given back."""
USUAL = {MMAP_MAX: 65_536, MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26}
"""What glibc comes to by itself in a program that frees large blocks; it has no function that tells the values."""
USER_SETTINGS = ("MALLOC_MMAP_", "MALLOC_TRIM_", "GLIBC_TUNABLES")
"""Beginnings of the variables of the environment with which users choose such values."""


class _KeptMemory:
    """The blocks that are running, in all threads: the values are those of the whole process."""

    def __init__(self) -> None:
        self._lock, self._block_count = threading.Lock(), 0

    def enter(self) -> None:
        with self._lock:
            self._block_count += 1
            if self._block_count == 1:
                _set_parameters(KEEP_ALL)

    def leave(self) -> None:
        with self._lock:
            self._block_count -= 1
            if self._block_count == 0:
                _set_parameters(USUAL)
                release_memory()


_kept_memory = _KeptMemory()


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """In the block, keep freed memory for the next tensors where the C library can do that; afterwards give it back.

    Nothing changes where the user has chosen with a variable of the environment how memory is kept.
    """
    if any(name.startswith(USER_SETTINGS) for name in os.environ):
        yield
        return
    _kept_memory.enter()
    try:
        yield
    finally:
        _kept_memory.leave()


def release_memory() -> None:
    """Give memory that is free inside this process back to the system, where the C library can do that."""
    import ctypes  # only here, for the start-up time of the command line

    with suppress(OSError, AttributeError, TypeError):  # glibc alone has the function
        ctypes.CDLL(None).malloc_trim(0)


def _set_parameters(values: dict[int, int]) -> None:
    import ctypes  # only here, for the start-up time of the command line

    with suppress(OSError, AttributeError, TypeError):  # Windows and macOS do not have the function
        for parameter, value in values.items():
            ctypes.CDLL(None).mallopt(parameter, value)
