"""A short queue in front of the one thread that computes: a training beside the studio keeps its core."""

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from dcgan.studio.trainings import BusyError

if TYPE_CHECKING:
    from dcgan.studio.models import ModelStore

MOST_WAITING = 32
NICER = 8
"""How much the drawing thread stands back: beside a training on every core it gets about a seventh of one of them."""


class DrawingQueue:
    """Runs the methods of an `Easel` in its thread, in order. torch is imported there: the first page does not wait."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="easel")
        self._easel: ModelStore | None = None
        self._count, self._guard = 0, threading.Lock()
        self._thread.submit(self._prepare)

    async def do(self, method: str, *arguments: Any) -> Any:
        """What a method of the easel returns.

        Raises:
            Busy: too much is waiting already.
            UserError: what the method raises.
        """
        with self._guard:
            if self._count >= MOST_WAITING:
                raise BusyError("busy: too many pictures are waiting to be drawn; try again in a moment")
            self._count += 1
        future = self._thread.submit(self._run, method, arguments)
        future.add_done_callback(self._left)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let what waits go, and end the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self._prepare(), method)(*arguments)

    def _prepare(self) -> "ModelStore":
        if self._easel is None:
            from dcgan.studio.models import ModelStore

            self._easel = ModelStore()
            lower_thread_priority()  # only now: importing torch takes a core for a second or two
        return self._easel

    def _left(self, _: object) -> None:
        with self._guard:
            self._count -= 1


def lower_thread_priority() -> None:
    """Lower this thread's priority. Not the process's: the trainings that it starts would inherit it."""
    if sys.platform == "linux":  # elsewhere a priority is a whole process's
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICER))
