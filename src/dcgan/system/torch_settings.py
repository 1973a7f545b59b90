"""torch's settings while the package computes: its own, not those that the calling program chose for all of torch."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch

AUTOCAST_DEVICES = ("cpu", "cuda", "mps")
"""The kinds of devices that the package computes on. For each of them torch may round to half precision by itself."""
T = TypeVar("T")


@contextmanager
def isolate_torch_settings() -> Iterator[None]:
    """Let the block compute as in a new program: with gradients, float32, CPU tensors by default, and no autocast.

    Afterwards the caller has its own settings again, and what the block changed is undone.
    """
    with (
        _default_dtype.as_float32(),  # of the whole process, see there; all others belong to this thread
        _no_autocast(),
        _cpu_by_default(),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
    ):
        yield


def isolate_iteration(iterator: Iterator[T]) -> Iterator[T]:
    """Yield the items of an iterator that computes as in a new program. Between two items, the caller's settings hold.

    A block of `isolate_torch_settings` around a `yield` would change the settings of the program that reads the items.
    """
    end = object()
    while True:
        with isolate_torch_settings():
            item: Any = next(iterator, end)
        if item is end:
            return
        yield item


def undo_changed_settings() -> None:
    """Inside a block of `isolate_torch_settings`, undo what code of the user's, such as a callback, has changed.

    Where nothing has changed this takes some microseconds: a block of its own would take ten times as long.
    """
    probe = torch.empty(0)
    is_default = probe.dtype == torch.float32 and probe.device.type == "cpu"
    if is_default and torch.is_grad_enabled() and not any(map(torch.is_autocast_enabled, AUTOCAST_DEVICES)):
        return
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    _set_autocast([False] * len(AUTOCAST_DEVICES))


class _DefaultDtype:
    """The default dtype, which torch has once for the whole process.

    While any thread is in a block, all threads have float32, also those of the caller that are in none. The last one
    that leaves its block restores the caller's dtype: an earlier one would change it in the middle of another's work.
    """

    def __init__(self) -> None:
        self._lock, self._block_count = threading.Lock(), 0
        self._callers: Any = None

    @contextmanager
    def as_float32(self) -> Iterator[None]:
        with self._lock:
            if not self._block_count:
                self._callers = torch.get_default_dtype()
            self._block_count += 1
            torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            with self._lock:
                self._block_count -= 1
                torch.set_default_dtype(torch.float32 if self._block_count else self._callers)


_default_dtype = _DefaultDtype()


@contextmanager
def _no_autocast() -> Iterator[None]:
    before = [torch.is_autocast_enabled(device) for device in AUTOCAST_DEVICES]
    _set_autocast([False] * len(before))
    try:
        yield
    finally:
        _set_autocast(before)


def _set_autocast(wanted: list[bool]) -> None:
    for device, is_wanted in zip(AUTOCAST_DEVICES, wanted, strict=True):
        if torch.is_autocast_enabled(device) != is_wanted:
            torch.set_autocast_enabled(device, is_wanted)


@contextmanager
def _cpu_by_default() -> Iterator[None]:
    """Make tensors on the CPU by default. Where that is so already nothing is set: it would slow down every operation.

    A default is either set for the thread, and then taken away, or by a block `with torch.device(...)`, in which only
    another such block changes it.
    """
    before = torch.get_default_device()
    if before.type != "cpu":
        torch.set_default_device(None)
    with nullcontext() if _is_cpu_default() else torch.device("cpu"):
        try:
            yield
        finally:
            if not _is_cpu_default():
                torch.set_default_device(None)
    if torch.get_default_device() != before:
        torch.set_default_device(before)


def _is_cpu_default() -> bool:
    return bool(torch.get_default_device().type == "cpu")
