"""A training in a process of its own, which reports what happens in a JSON file.

The studio and `verify-resume` start trainings like this. They read the status file, not what the process prints.
`python -m dcgan.training.worker REQUEST` is such a process; REQUEST is a JSON object, see `start_worker`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import IO, Any, Literal

from dcgan.errors import UserError
from dcgan.files import write_json
from dcgan.run.lock import lock_run
from dcgan.system.console import print_message
from dcgan.training.worker_status import StatusFile, WorkerStatus

USER_ERROR_STATUS = 2
INTERRUPTED_STATUS = 128 + signal.SIGINT


def start_worker(
    action: Literal["train", "resume"],
    arguments: dict[str, Any],
    status_path: Path,
    *,
    output: IO[bytes] | int = subprocess.DEVNULL,
    new_session: bool = False,
    holds_lock: bool = False,
    thread_count: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a training in a process of its own.

    Args:
        action: the function of the package that the process calls.
        arguments: its arguments, as JSON types.
        status_path: the file for the process's `WorkerStatus`.
        output: where everything that the process prints is written.
        new_session: start a new session, so that Ctrl-C in this terminal does not reach the process.
        holds_lock: let the process hold the lock of the status file's folder as long as it lives (see `run.lock`):
            others then know whether, and as which process, it runs.
        thread_count: threads of its arithmetic; by default torch decides.
    """
    write_json(status_path, asdict(WorkerStatus("loading")))
    request = {
        "action": action,
        "arguments": arguments,
        "status_path": str(status_path.absolute()),
        "holds_lock": holds_lock,
    }
    root = str(Path(__file__).parents[2])  # the process must run the same package as this one
    threads = {} if thread_count is None else {"OMP_NUM_THREADS": str(thread_count)}
    python_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "dcgan.training.worker", json.dumps(request)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=new_session,
        env={**os.environ, **threads, "PYTHONPATH": python_path},
    )


def main(text: str) -> int:
    """Train as a request says, and return the exit status of the process."""
    request = json.loads(text)
    status_file = StatusFile(Path(request["status_path"]))
    lock = lock_run(Path(request["status_path"]).parent) if request.get("holds_lock") else nullcontext()
    signal.signal(signal.SIGTERM, _stop_loading)  # while it trains, the loop catches the signal instead
    try:
        with lock:
            _call(request, status_file)
    except KeyboardInterrupt as stop:
        status_file.write(WorkerStatus("ended", "stopped"))
        return int(getattr(stop, "exit_status", INTERRUPTED_STATUS))
    except (UserError, OSError) as error:
        status_file.write(WorkerStatus("failed", str(error)))
        print_message(f"dcgan: {error}")
        return USER_ERROR_STATUS
    except BaseException as error:
        status_file.write(WorkerStatus("failed", f"{type(error).__name__}: {error}"))
        raise
    return 0


def _call(request: dict[str, Any], status_file: StatusFile) -> None:
    # Imports torch: those who start a training and read its status need not.
    from dcgan.training.start import resume, train

    function: Callable[..., object] = train if request["action"] == "train" else resume
    function(**request["arguments"], callbacks=[status_file])


class _StoppedWhileLoading(KeyboardInterrupt):
    """SIGTERM arrived while nothing was trained, so that there is nothing to save."""

    exit_status = 128 + signal.SIGTERM


def _stop_loading(number: int, frame: FrameType | None) -> None:
    raise _StoppedWhileLoading


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
