"""Signals that ask a program to stop, collected so that it can stop where it is whole."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_signals(pass_on: Callable[[], None] = lambda: None) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of being ended by them; a second Ctrl-C ends at once.

    Python delivers signals to the main thread only; in another thread (a server's, say) nothing is caught.

    Args:
        pass_on: tells those who do the work, where that is not this process.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        pass_on()

    kept: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            kept[number] = signal.signal(number, remember)
    except ValueError:  # not in the main thread
        pass
    try:
        yield received
    finally:
        for caught, handler in kept.items():
            signal.signal(caught, handler)
