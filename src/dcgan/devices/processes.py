"""The processes of a run, one a device: how they are started, how they end, and who of them has died.

torchrun and srun start them from outside, each with the whole command. Else they are new processes of this machine
(Fabric's `ddp_spawn`): the caller, be it the command or a Python program, stays one and gets one answer.
"""

import os
import shlex
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, get_context
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessExitedException

from dcgan.config import Config
from dcgan.devices.connect import Devices, connect_devices, process_group
from dcgan.devices.launcher import detect_launcher
from dcgan.devices.signals import stop_signals
from dcgan.devices.single import SingleDevice
from dcgan.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ROLL_CALL_S = 3.0
"""Seconds in which a process that lives answers."""


class LostRankError(UserError):
    """A process of a run has ended before the run did. Its text says which, and how to go on.

    Args:
        text: that.
        is_heard: this process is the one that says it to the user.
    """

    def __init__(self, text: str, *, is_heard: bool = True) -> None:
        super().__init__(text)
        self.is_heard = is_heard


class TrainingStopped(KeyboardInterrupt):
    """A run was stopped by a signal and saved. Its text says how to go on."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.number = number
        self.status = 128 + number


class RankTask(Protocol):
    """What each process does. It returns the run folder's path, the same on all."""

    def __call__(self, fabric: Devices, tell: Callable[[str], None]) -> str:
        """Do it, and `tell` the folder as soon as it is known."""
        ...


def run_on_devices(config: Config, work: RankTask, *, own: list[str]) -> str:
    """Do the work in a process for each device: in this one, in those of a launcher, or in new ones.

    Args:
        config: the settings.
        work: what to do; a function of a module, so that a new process finds it, with its arguments bound.
        own: the names of the user's own objects in it, which no new process could be given.

    Raises:
        UserError: as the work, or a process died.
        Stopped: as the work.
    """
    fabric = connect_devices(config)
    if isinstance(fabric, SingleDevice) or config.devices * config.num_nodes == 1:
        return work(fabric, _ignore)
    if detect_launcher():
        found: str = fabric.launch(partial(_together, work=work))
        return found
    if own:
        raise UserError(
            f"--devices {config.devices} with your own {own[0]}: start your script with "
            f"torchrun --nproc-per-node {config.devices} SCRIPT"
        )
    return _in_new_processes(fabric, config.devices, work)


def _ignore(folder: str) -> None:
    """Where nobody waits to be told."""


@dataclass(frozen=True)
class _Register:
    """The store that all processes of a run reach, under names of this run."""

    store: Any
    rank: int
    ranks: int

    def set(self, what: str, text: str = "") -> None:
        self.store.set(f"{what}/{self.rank}", text)

    def has(self, what: str, rank: int) -> bool:
        found: bool = self.store.check([f"{what}/{rank}"])
        return found

    def get(self, what: str, rank: int) -> str:
        return str(self.store.get(f"{what}/{rank}").decode()) if self.has(what, rank) else ""


def _together(fabric: "Fabric", *, work: RankTask, tell: Callable[[str], None] = _ignore) -> str:
    """Do the work as one of many, and name who is gone if another is.

    Raises:
        LostRankError: it is.
    """
    register = _register(fabric)
    register.set("host", socket.gethostname())
    folder = ""

    def known(path: str) -> None:
        nonlocal folder
        folder = path
        tell(path)

    # torch warns of an order of bytes that costs a copy: of the first layer's few weights, whose one channel has two.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    try:
        return work(fabric, known)
    except (UserError, TrainingStopped) as error:
        register.set("left", str(error))
        raise
    except RuntimeError as error:
        if not _is_of_another(error):
            raise
        gone, is_heard = _roll_call(register)
        raise LostRankError(gone + _way_on(folder), is_heard=is_heard) from None


def _register(fabric: "Fabric") -> _Register:
    """A new page of the store: a process may train several times."""
    store, rank = dist.distributed_c10d._get_default_store(), fabric.global_rank
    page = store.add(f"dcgan/{rank}", 1)
    return _Register(dist.distributed_c10d.PrefixStore(f"dcgan/{page}", store), rank, fabric.world_size)


def _is_of_another(error: RuntimeError) -> bool:
    """Whether this was caused by a process that is gone. gloo's errors have no type of their own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _roll_call(register: _Register) -> tuple[str, bool]:
    """Say who is gone, and whether this is the first of those who are left."""
    try:
        register.set("here")
        # Whoever waits for this process, and not for the one that is gone, is woken up by its connections closing.
        dist.destroy_process_group(process_group(dist.group.WORLD))
        gone, end = set(range(register.ranks)), time.monotonic() + ROLL_CALL_S
        while gone and time.monotonic() < end:
            gone = {rank for rank in gone if not register.has("here", rank)}
            time.sleep(0.05)
        said = {rank: text for rank in gone if (text := register.get("left", rank))}
        rank = min(said or gone, default=register.rank)
        left = min(set(range(register.ranks)) - gone, default=register.rank)
        how = f"has left: {said[rank]}" if said else "died"
        return f"rank {rank} of {register.ranks}, on {register.get('host', rank)}, {how}", register.rank == left
    except dist.DistError:  # the store went with the process that held it
        return f"rank 0 of {register.ranks}, on {os.environ['MASTER_ADDR']}, died", True


def _way_on(folder: str) -> str:
    return f"; go on from the last saved state with: dcgan resume {shlex.quote(folder)}" if folder else ""


def _in_new_processes(fabric: "Fabric", count: int, work: RankTask) -> str:
    """Do the work in processes of its own on this machine, and wait for them.

    A child may not be told to stop twice: from a terminal it gets Ctrl-C as this process does, so what is passed on
    is SIGTERM.
    """
    told, others = get_context("spawn").SimpleQueue(), active_children()

    def pass_on() -> None:
        for child in active_children():
            if child not in others and child.pid:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)

    # c10d would write the whole stack to the terminal each time that a connection is found closed.
    with stop_signals(pass_on) as received, _environment(TORCH_CPP_LOG_LEVEL="ERROR"):
        try:
            outcome = fabric.launch(partial(_one_of_many, work=work, told=told))
        except ProcessExitedException as error:
            if received:
                raise TrainingStopped("stopped before anything was saved", received[0]) from None
            how = error.signal_name or f"status {error.exit_code}"
            folder = "" if told.empty() else told.get()
            what = f"rank {error.error_index} of {count}, on {socket.gethostname()}, died ({how})"
            raise LostRankError(what + _way_on(folder)) from None
    if "wrong" in outcome:
        raise UserError(outcome["wrong"])
    if "stopped" in outcome:
        raise TrainingStopped(outcome["stopped"], received[0] if received else outcome["number"])
    return str(outcome["folder"])


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """What new processes find in their environment. Fabric adds to it, and the next run must not find that."""
    kept = dict(os.environ)
    os.environ.update(variables | kept)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _one_of_many(fabric: "Fabric", *, work: RankTask, told: "SimpleQueue[str]") -> dict[str, Any]:
    """What a new process does. How it ended goes back as plain data: its own errors are not known there."""
    try:
        return {"folder": _together(fabric, work=work, tell=told.put if fabric.is_global_zero else _ignore)}
    except TrainingStopped as stop:
        return {"stopped": str(stop), "number": stop.number}
    except UserError as error:
        return {"wrong": str(error)}
    except OSError as error:
        return {"wrong": f"{error.filename or 'a file'}: {error.strerror or error}"}
