"""Other programs that keep the processor busy, beside which a training with many threads is slow."""

import time
from collections.abc import Callable

import psutil
import torch

from dcgan.training.callbacks import LogEvent

MIN_INTERVAL_S = 5.0
"""The load of the processor is a mean over at least this time: a page that opens is no reason for a message."""
MIN_BUSY_CORES = 0.7
"""Less than this is what every desktop does all the time."""


class LoadWatch:
    """A callback that tells the user, once, that other programs slow the training down.

    After each piece of work the threads of torch wait for the slowest of them. If one shares its core with another
    program, all of them wait: on two cores, beside one busy program, two threads of `fast` did 849 images a second and
    one thread 1,794 (`docs/experiments.md`). The message says what to do. The number of threads is not changed here,
    because the bits of the result depend on it.

    Args:
        send: what the message is given to.
    """

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send, self._is_sent = send, False
        self._start()

    def on_log(self, _: LogEvent) -> None:
        """Look at the load since the last look, and send the message if it is high."""
        wall_s = time.monotonic() - self._start_s
        if self._is_sent or wall_s < MIN_INTERVAL_S:
            return
        own_cores = (time.process_time() - self._start_cpu_s) / wall_s
        core_count = psutil.cpu_count() or 1
        self._look(psutil.cpu_percent() / 100 * core_count - own_cores, core_count)
        self._start()

    def _start(self) -> None:
        psutil.cpu_percent()  # the next call returns the mean since this one
        self._start_s, self._start_cpu_s = time.monotonic(), time.process_time()

    def _look(self, other_cores: float, core_count: int) -> None:
        threads = torch.get_num_threads()
        free_cores = core_count - other_cores
        if threads == 1 or other_cores < MIN_BUSY_CORES or threads < free_cores + MIN_BUSY_CORES:
            return
        advised = max(1, round(free_cores))
        self._is_sent = True
        self._send(
            f"other programs keep {other_cores:.1f} of {core_count} cores busy: the {threads} threads of this training "
            f"wait for each other there, and {advised} may be faster. End the other programs, or stop this one with "
            f"Ctrl-C and continue it with the environment variable OMP_NUM_THREADS={advised} (docs/runs.md)"
        )
