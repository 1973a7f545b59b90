"""Several runs of a comparison at once, each in a process of its own."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Literal

import torch

from dcgan.comparison.plan import Plan
from dcgan.comparison.runs import comparison_run, finish_run, is_finished_run
from dcgan.devices.processes import (
    NO_MAIN_GUARD,
    NO_MAIN_GUARD_STATUS,
    TrainingStopped,
    is_windows,
)
from dcgan.devices.signals import catch_stop_signals
from dcgan.errors import UserError

REPORT_INTERVAL_S = 0.5
POLL_INTERVAL_S = 0.2

Message = tuple[Literal["fraction", "finished", "stopped", "error"], str | float]
"""What a process tells: a fraction of its run, or how it ended, with a reason or the number of a signal."""


@dataclass(frozen=True)
class _Job:
    """A run and the process that does it."""

    name: str
    process: SpawnProcess
    messages: "Connection[None, Message]"

    def stop(self) -> None:
        """Ask the process to save its run and to end. It may have been asked by Ctrl-C before."""
        if self.process.pid and not is_windows():  # there, this would end it before it has saved
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)


def finish_runs_at_once(plan: Plan, out: Path, show: Callable[[str, float], None]) -> None:
    """Do what is left of all runs, `plan.jobs` of them at once.

    Args:
        plan: the plan of the comparison.
        out: its folder.
        show: takes the name of a run and the fraction of it that is done.

    Raises:
        UserError: a run failed or its process died. The other runs are saved.
        TrainingStopped: a signal arrived; all runs were saved.
    """
    waiting = []
    for preset, seed in plan.runs:
        if is_finished_run(plan, out, preset, seed):
            show(comparison_run(out, preset, seed).path.name, 1)
        else:
            waiting.append((preset, seed))
    jobs: list[_Job] = []
    failure = ""

    def stop_all() -> None:
        for job in jobs:
            job.stop()

    with catch_stop_signals(stop_all) as signals:
        while jobs or (waiting and not signals and not failure):
            while waiting and len(jobs) < plan.jobs and not signals and not failure:
                jobs.append(_start(plan, out, *waiting.pop(0)))
            for messages in wait([job.messages for job in jobs], POLL_INTERVAL_S):
                job = next(job for job in jobs if job.messages is messages)
                kind, content = _receive(job)
                if kind == "fraction":
                    show(job.name, float(content))
                    continue
                job.process.join()
                jobs.remove(job)
                if kind == "finished":
                    show(job.name, 1)
                elif not failure and not signals:
                    failure = str(content) if kind == "error" else f"{job.name} was stopped"
                    stop_all()
    if signals:
        raise TrainingStopped("stopped and saved; the same command again continues", signals[0])
    if failure:
        raise UserError(failure)


def _start(plan: Plan, out: Path, preset: str, seed: int) -> _Job:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    thread_count = max(1, torch.get_num_threads() // plan.jobs)
    process = context.Process(target=_finish_run, args=(plan, out, preset, seed, thread_count, sender))
    process.start()
    sender.close()  # so that the end of the process is the end of the messages
    return _Job(comparison_run(out, preset, seed).path.name, process, receiver)


def _receive(job: _Job) -> Message:
    """Return the next message of a job, or that its process has died."""
    try:
        return job.messages.recv()
    except EOFError:
        job.process.join()
        status = job.process.exitcode or 0
        if status == NO_MAIN_GUARD_STATUS:
            return "error", f"--jobs {NO_MAIN_GUARD}"
        ending = signal.Signals(-status).name if status < 0 else f"status {status}"
        return "error", f"the process of {job.name} died ({ending}); the same command again continues"


class _Reporter:
    """Sends how far a run is, not more often than anybody can see."""

    def __init__(self, messages: "Connection[Message, None]") -> None:
        self._messages, self._next_report = messages, 0.0

    def show(self, _: str, fraction: float) -> None:
        """Send the fraction of the run that is done."""
        if (now := time.monotonic()) >= self._next_report:
            self._next_report = now + REPORT_INTERVAL_S
            try:
                self._messages.send(("fraction", fraction))
            except OSError:  # whoever asked for the comparison has died: save the run and end
                signal.raise_signal(signal.SIGTERM)


def _finish_run(
    plan: Plan, out: Path, preset: str, seed: int, thread_count: int, messages: "Connection[Message, None]"
) -> None:
    """Do what is left of a run, and tell how it ended: what a new process does."""
    signal.signal(signal.SIGTERM, _interrupt)  # while it trains, the loop catches the signal instead
    torch.set_num_threads(thread_count)
    ending: Message = ("finished", "")
    try:
        finish_run(plan, out, preset, seed, _Reporter(messages).show)
    except KeyboardInterrupt:
        ending = ("stopped", "")
    except UserError as error:
        ending = ("error", str(error))
    except OSError as error:
        ending = ("error", f"{error.filename or 'a file'}: {error.strerror or error}")
    with suppress(OSError):
        messages.send(ending)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
