"""A short queue before the one thread that draws pictures, so that a training beside the studio keeps its core."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from dcgan.lazy import LazyModule
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.trainings import BusyError

if TYPE_CHECKING:
    from dcgan.studio.models import ModelStore
    from dcgan.system import torch_settings
else:  # it imports torch, which the first page does not wait for
    torch_settings = LazyModule("dcgan.system.torch_settings")

Answer = TypeVar("Answer")
MAX_WAITING = 32
"""How many requests may wait or be drawn at the same time; further ones are refused."""
NICENESS_INCREASE = 8
"""By how much the drawing thread's niceness is above the process's: beside a training on every core, the thread gets
about a seventh of one of them."""
MAX_NICENESS = 19


class DrawingQueue:
    """Runs work on a `ModelStore` in one thread, in order.

    That thread imports torch, so that the first page does not wait for it.
    """

    def __init__(self, data_roots: DataRoots) -> None:
        self._data_roots = data_roots
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drawing")
        self._models: ModelStore | None = None
        self._waiting, self._waiting_lock = 0, threading.Lock()
        self._thread.submit(self._prepare_models)

    async def run(self, work: Callable[["ModelStore"], Answer]) -> Answer:
        """Return what `work` returns for the store of models.

        Raises:
            BusyError: `MAX_WAITING` requests are waiting already, or the studio is closing.
            UserError: what `work` raises.
        """
        with self._waiting_lock:
            if self._waiting >= MAX_WAITING:
                raise BusyError("busy: too many pictures are waiting to be drawn; try again in a moment")
            try:
                future = self._thread.submit(self._draw, work)
            except RuntimeError:  # the thread has been shut down
                raise BusyError("the studio is closing") from None
            self._waiting += 1
        future.add_done_callback(self._count_finished)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Cancel the work that waits, and end the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _draw(self, work: Callable[["ModelStore"], Answer]) -> Answer:
        models = self._prepare_models()
        with torch_settings.isolate_torch_settings():  # of the program whose notebook shows the studio
            return work(models)

    def _prepare_models(self) -> "ModelStore":
        if self._models is None:
            # Importing torch takes a core for a second or two: it is done in this thread, after the studio has started.
            from dcgan.studio.models import ModelStore

            self._models = ModelStore(self._data_roots)
            lower_thread_priority()  # after the import, which would otherwise take several times as long
        return self._models

    def _count_finished(self, _: object) -> None:
        with self._waiting_lock:
            self._waiting -= 1


def lower_thread_priority() -> None:
    """Lower this thread's priority, but not the process's, which the trainings that it starts would inherit."""
    if sys.platform == "linux":  # on other systems a priority belongs to the whole process
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS_INCREASE
        os.setpriority(os.PRIO_PROCESS, thread, min(MAX_NICENESS, niceness))
