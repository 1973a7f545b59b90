"""The processes of a run, one for each device: how they are started, how they end, and which of them has died.

torchrun and srun start the processes from outside, each with the whole command. Otherwise new processes of this machine
are started (Fabric's `ddp_spawn`): the caller, be it the command or a Python program, stays one process and gets one
result.
"""

import logging
import os
import shlex
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, current_process, get_context
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessExitedException

from dcgan.config import Config
from dcgan.devices.connect import Devices, connect_devices, process_group
from dcgan.devices.launcher import detect_launcher
from dcgan.devices.signals import catch_stop_signals
from dcgan.devices.single import SingleDevice
from dcgan.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ANSWER_TIMEOUT_S = 3.0
"""Time in which a living process answers after another one died."""
POLL_INTERVAL_S = 0.05
NO_MAIN_GUARD_STATUS = 98
"""Exit status of a new process whose script trains as soon as it is imported."""
NO_MAIN_GUARD = (
    "need processes, and each of them runs your script again up to the training: put the training below "
    '`if __name__ == "__main__":`'
)


class LostRankError(UserError):
    """A process of a run has ended before the run did. Its text says which one, and how to continue.

    Args:
        text: what is shown to the user.
        is_reported_here: whether this process is the one that shows it.
    """

    def __init__(self, text: str, *, is_reported_here: bool = True) -> None:
        super().__init__(text)
        self.is_reported_here = is_reported_here


class TrainingStopped(KeyboardInterrupt):
    """A run was stopped by a signal and saved.

    Args:
        text: how to continue.
        signal_number: the signal.
    """

    def __init__(self, text: str, signal_number: int) -> None:
        super().__init__(text)
        self.signal_number = signal_number
        self.exit_status = 128 + signal_number


class RankTask(Protocol):
    """What each process does. It returns the path of the run folder, the same in all of them."""

    def __call__(self, fabric: Devices, announce: Callable[[str], None]) -> str:
        """Do it, and `announce` the run folder as soon as it is known."""
        ...


def run_on_devices(config: Config, task: RankTask, *, custom_names: list[str]) -> str:
    """Run the task in a process for each device: in this one, in those of a launcher, or in new ones.

    Args:
        config: the settings.
        task: a function of a module, so that a new process can import it, with its arguments bound.
        custom_names: the names of the user's own objects among the arguments, which no new process could be given.

    Raises:
        UserError: as the task, or a process died.
        TrainingStopped: as the task.
    """
    if config.devices > 1:
        end_without_main_guard()
    fabric = connect_devices(config)
    if isinstance(fabric, SingleDevice) or config.devices * config.num_nodes == 1:
        return task(fabric, _ignore)
    if detect_launcher():
        path: str = fabric.launch(partial(_run_as_rank, task=task))
        return path
    if custom_names:
        raise UserError(
            f"--devices {config.devices} with your own {custom_names[0]}: start your script with "
            f"torchrun --nproc-per-node {config.devices} SCRIPT"
        )
    return _run_in_new_processes(fabric, config.devices, task)


def end_without_main_guard() -> None:
    """End this process if it is a new one that runs the script of its parent to the same call: its parent says why."""
    if not getattr(current_process(), "_inheriting", False):  # what `multiprocessing` itself asks
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(NO_MAIN_GUARD_STATUS)


def _ignore(path: str) -> None:
    """Do nothing with an announced run folder."""


@dataclass(frozen=True)
class _Register:
    """Notes that every process of a run can write and read, in the store that all of them reach."""

    store: Any
    rank: int
    rank_count: int

    def write(self, key: str, text: str = "") -> None:
        self.store.set(f"{key}/{self.rank}", text)

    def has(self, key: str, rank: int) -> bool:
        is_written: bool = self.store.check([f"{key}/{rank}"])
        return is_written

    def read(self, key: str, rank: int) -> str:
        return str(self.store.get(f"{key}/{rank}").decode()) if self.has(key, rank) else ""


def _run_as_rank(fabric: "Fabric", *, task: RankTask, announce: Callable[[str], None] = _ignore) -> str:
    """Run the task as one of several processes.

    Raises:
        LostRankError: another process has ended; the text names it.
    """
    register = _open_register(fabric)
    register.write("host", socket.gethostname())
    run_path = ""

    def remember(path: str) -> None:
        nonlocal run_path
        run_path = path
        announce(path)

    # torch warns of a memory layout that costs a copy of the first layer's few weights: its one channel has two
    # layouts.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    try:
        return task(fabric, remember)
    except (UserError, TrainingStopped) as error:
        register.write("left", str(error))
        raise
    except RuntimeError as error:
        if not _is_connection_error(error):
            raise
        text, is_reported_here = _find_lost_rank(register)
        raise LostRankError(text + _resume_hint(run_path), is_reported_here=is_reported_here) from None


def _open_register(fabric: "Fabric") -> _Register:
    """Return a new register: a process may train several times."""
    store, rank = dist.distributed_c10d._get_default_store(), fabric.global_rank
    number = store.add(f"dcgan/{rank}", 1)
    return _Register(dist.distributed_c10d.PrefixStore(f"dcgan/{number}", store), rank, fabric.world_size)


def _is_connection_error(error: RuntimeError) -> bool:
    """Return whether an error was caused by the end of another process. gloo's errors have no type of their own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _find_lost_rank(register: _Register) -> tuple[str, bool]:
    """Return which process has ended, and whether this one is the first of those that are left."""
    try:
        register.write("here")
        # A process that waits for this one, and not for the one that ended, is woken up by its connections closing.
        dist.destroy_process_group(process_group(dist.group.WORLD))
        silent, deadline = set(range(register.rank_count)), time.monotonic() + ANSWER_TIMEOUT_S
        while silent and time.monotonic() < deadline:
            silent = {rank for rank in silent if not register.has("here", rank)}
            time.sleep(POLL_INTERVAL_S)
        reasons = {rank: text for rank in silent if (text := register.read("left", rank))}
        lost = min(reasons or silent, default=register.rank)
        first_left = min(set(range(register.rank_count)) - silent, default=register.rank)
        ending = f"has left: {reasons[lost]}" if reasons else "died"
        text = f"rank {lost} of {register.rank_count}, on {register.read('host', lost)}, {ending}"
        return text, register.rank == first_left
    except dist.DistError:  # the store ended with the process that held it
        return f"rank 0 of {register.rank_count}, on {os.environ['MASTER_ADDR']}, died", True


def _resume_hint(run_path: str) -> str:
    return f"; continue from the last checkpoint with: dcgan resume {shlex.quote(run_path)}" if run_path else ""


def is_windows() -> bool:
    """Return whether signals cannot be sent to other processes here: `os.kill` would end them at once."""
    return os.name == "nt"


def _run_in_new_processes(fabric: "Fabric", count: int, task: RankTask) -> str:
    """Run the task in new processes of this machine, and wait for them.

    A child process must not be asked to stop twice. From a terminal it gets Ctrl-C as this process does, so what is
    forwarded is SIGTERM.
    """
    run_paths, other_children = get_context("spawn").SimpleQueue(), active_children()

    def forward() -> None:
        if is_windows():  # `os.kill` would end the children before they have saved; they get Ctrl-C themselves
            return
        for child in active_children():
            if child not in other_children and child.pid:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)

    # torch would log that it ends the other processes after one has ended.
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    # Without the log level c10d writes a stack trace to the terminal each time that it finds a connection closed.
    with catch_stop_signals(forward) as stop_signals, _environment(TORCH_CPP_LOG_LEVEL="ERROR"):
        try:
            outcome = fabric.launch(partial(_run_and_report, task=task, run_paths=run_paths))
        except ProcessExitedException as error:
            if stop_signals:
                raise TrainingStopped("stopped before anything was saved", stop_signals[0]) from None
            if error.exit_code == NO_MAIN_GUARD_STATUS:
                raise UserError(f"several devices {NO_MAIN_GUARD}") from None
            ending = error.signal_name or f"status {error.exit_code}"
            run_path = "" if run_paths.empty() else run_paths.get()
            text = f"rank {error.error_index} of {count}, on {socket.gethostname()}, died ({ending})"
            raise LostRankError(text + _resume_hint(run_path)) from None
    if "error" in outcome:
        raise UserError(outcome["error"])
    if "stopped" in outcome:
        raise TrainingStopped(outcome["stopped"], stop_signals[0] if stop_signals else outcome["signal_number"])
    return str(outcome["run_path"])


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables for new processes. Fabric sets more, and the next run must not find those."""
    previous = dict(os.environ)
    os.environ.update(variables | previous)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(previous)


def _run_and_report(fabric: "Fabric", *, task: RankTask, run_paths: "SimpleQueue[str]") -> dict[str, Any]:
    """Run the task in a new process. Its outcome is returned as plain data, which any process can unpickle."""
    try:
        announce = run_paths.put if fabric.is_global_zero else _ignore
        return {"run_path": _run_as_rank(fabric, task=task, announce=announce)}
    except TrainingStopped as stop:
        return {"stopped": str(stop), "signal_number": stop.signal_number}
    except UserError as error:
        return {"error": str(error)}
    except OSError as error:
        return {"error": f"{error.filename or 'a file'}: {error.strerror or error}"}
    finally:
        # The threads of the connections end here, before the interpreter does. Fabric sees to that for NCCL only.
        if dist.is_initialized() and dist.get_backend() == dist.Backend.GLOO:
            dist.destroy_process_group()
