"""Which of several processes this one is, as torchrun or SLURM says. It needs no torch, so a command can ask first."""

import os
from dataclasses import dataclass
from datetime import timedelta

from dcgan.errors import UserError

RANK_TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others, for example while rank 0 evaluates or after a machine was lost silently. A
process that dies is noticed at once, because its connections close."""


@dataclass(frozen=True)
class LaunchedProcess:
    """A process that a launcher started as one of several.

    Attributes:
        rank: its number among all of them.
        devices: processes on each machine, one for each device.
        nodes: number of machines.
    """

    rank: int
    devices: int
    nodes: int


def detect_launcher() -> LaunchedProcess | None:
    """Return what torchrun, or srun with several tasks, has started; None without a launcher.

    Raises:
        UserError: SLURM was not told how many tasks each machine gets.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        local = int(env["LOCAL_WORLD_SIZE"])
        return LaunchedProcess(int(env["RANK"]), local, int(env["WORLD_SIZE"]) // local)
    # A batch script is no step: what it starts without srun is one process, however many tasks the job has.
    if "SLURM_STEP_ID" not in env or int(env.get("SLURM_NTASKS", "1")) == 1:
        return None
    if "SLURM_NTASKS_PER_NODE" not in env:
        raise UserError("srun started several tasks: say how many each machine gets, with --ntasks-per-node")
    return LaunchedProcess(int(env["SLURM_PROCID"]), int(env["SLURM_NTASKS_PER_NODE"]), int(env["SLURM_NNODES"]))


def is_first_process() -> bool:
    """Return whether this process is the one that prints and writes: the only one, or rank 0."""
    launched = detect_launcher()
    return launched is None or launched.rank == 0
