"""Bars for what is prepared before a training or an evaluation, where the user is shown progress.

A set of thousands of pictures takes minutes there. What is prepared lies deep below the call that knows whether
progress is shown, so that call says it for everything below it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

from dcgan.system.console import standard_error

DELAY_S = 2
"""What takes less time than this shows no bar."""
TERMINAL_INTERVAL_S, FILE_INTERVAL_S = 0.5, 10
"""Time between two updates of a bar: short on a terminal, long in a log file, where every update is a line."""

_is_shown: ContextVar[bool | None] = ContextVar("_is_shown", default=None)


@contextmanager
def show_preparations(is_shown: bool) -> Iterator[None]:
    """Let the block show what it prepares on standard error, or not."""
    token = _is_shown.set(is_shown)
    try:
        yield
    finally:
        _is_shown.reset(token)


def preparation_bar(description: str, total: int | None, *, by_default: bool = False) -> "tqdm[Any]":
    """Return a bar for pictures, to be used as a context. It appears once they have taken `DELAY_S`.

    Args:
        description: what is prepared.
        total: number of pictures, if it is known.
        by_default: whether it is shown outside of a block of `show_preparations`.
    """
    is_asked_for = _is_shown.get()
    return tqdm(
        desc=description,
        total=total,
        unit="img",
        delay=DELAY_S,
        mininterval=TERMINAL_INTERVAL_S if os.isatty(2) else FILE_INTERVAL_S,
        disable=not (by_default if is_asked_for is None else is_asked_for),
        file=standard_error(),
    )
