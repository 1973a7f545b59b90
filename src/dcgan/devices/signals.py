"""Signals that ask a program to stop. They are collected, so that the program can stop where its files are complete."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def catch_stop_signals(forward: Callable[[], None] = lambda: None) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of being ended by them. A second Ctrl-C ends the program at once.

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
            previous_handlers[number] = signal.signal(number, remember)
    except ValueError:  # this is not the main thread
        pass
    try:
        yield received
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
