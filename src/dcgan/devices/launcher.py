"""Which of many processes this is, as torchrun or SLURM says it. It needs no torch, so that a command can ask first."""

import os
from dataclasses import dataclass
from datetime import timedelta

from dcgan.errors import UserError

RANK_TIMEOUT = timedelta(minutes=30)
"""How long a device waits for the others, while rank 0 measures or a machine is lost without a word. A process that
dies is noticed at once, because its connections close."""


@dataclass(frozen=True)
class LaunchedProcess:
    """A process that a launcher started as one of many.

    Attributes:
        rank: its number among all of them.
        devices: processes on each machine, one a device.
        nodes: machines.
    """

    rank: int
    devices: int
    nodes: int


def detect_launcher() -> LaunchedProcess | None:
    """What torchrun, or srun with several tasks, has started; None where nobody has.

    Raises:
        UserError: SLURM was not told how many tasks a machine gets.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        local = int(env["LOCAL_WORLD_SIZE"])
        return LaunchedProcess(int(env["RANK"]), local, int(env["WORLD_SIZE"]) // local)
    # A batch script has no step: what it starts without srun is one process, however many tasks the job may have.
    if "SLURM_STEP_ID" not in env or int(env.get("SLURM_NTASKS", "1")) == 1:
        return None
    if "SLURM_NTASKS_PER_NODE" not in env:
        raise UserError("srun started several tasks: say how many a machine gets, with --ntasks-per-node")
    return LaunchedProcess(int(env["SLURM_PROCID"]), int(env["SLURM_NTASKS_PER_NODE"]), int(env["SLURM_NNODES"]))


def is_first_process() -> bool:
    """Whether this process is the one that speaks and writes: alone, or rank 0."""
    found = detect_launcher()
    return found is None or found.rank == 0
