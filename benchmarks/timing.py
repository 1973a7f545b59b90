"""Clocks that the benchmarks share. torch is not imported here: some benchmarks measure how long that takes."""

import subprocess
import sys
import time
from collections.abc import Callable


def seconds_per_call(call: Callable[[], object], count: int, warm_up: int = 0) -> float:
    """Return the mean time of `count` calls in seconds, after `warm_up` calls that are not timed."""
    for _ in range(warm_up):
        call()
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def run_python(*arguments: str) -> str:
    """Run a Python process with these arguments to its end, and return what it printed on standard output.

    Raises:
        subprocess.CalledProcessError: its exit status is not 0.
    """
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True).stdout


def command_seconds(*arguments: str) -> float:
    """Return the time from the start of a Python process with these arguments to its end, in seconds."""
    return seconds_per_call(lambda: run_python(*arguments), 1)
