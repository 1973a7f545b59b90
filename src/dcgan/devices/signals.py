"""Signals that ask a program to stop. They are collected, so that the program can stop where its files are complete."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
"""Ctrl-C, a polite kill, a terminal or connection that is closed, and Ctrl-Break. Not every system has all of them."""
UNCONDITIONAL_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""They are caught even if they are ignored: a shell lets what it starts in the background ignore SIGINT."""


@contextmanager
def catch_stop_signals(forward: Callable[[], None] = lambda: None) -> Iterator[list[int]]:
    """Collect `STOP_SIGNALS` instead of being ended by them. A second Ctrl-C ends the program at once.

    A hangup that is ignored stays ignored: `nohup` lets a program go on after its terminal is closed.

    Python delivers signals to the main thread only. In another thread, for example of a server, nothing is caught.

    Args:
        forward: called at each signal, to pass it on to the processes that do the work if this one does not.

    Yields:
        The numbers of the signals, in the order in which they arrive.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        forward()

    previous_handlers: dict[signal.Signals, Any] = {}
    try:
        for number in STOP_SIGNALS:
            if number not in UNCONDITIONAL_SIGNALS and signal.getsignal(number) == signal.SIG_IGN:
                continue
            previous_handlers[number] = signal.signal(number, remember)
    except ValueError:  # this is not the main thread
        pass
    try:
        yield received
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
