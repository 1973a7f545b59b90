"""The training loop: the same for every GAN. What differs between them is in the settings and the objective."""

import shlex
import time
from collections.abc import Sequence

import torch

from dcgan.devices.connect import max_over_ranks
from dcgan.devices.processes import TrainingStopped
from dcgan.reporting import page
from dcgan.reporting.curves import draw_curves
from dcgan.run.folder import RunFolder
from dcgan.training import validate
from dcgan.training.recovery import find_fault, roll_back
from dcgan.training.snapshot import log_metrics, print_line, progress_bar, save_snapshot, save_state
from dcgan.training.state import State, measured_plan
from dcgan.training.step import train_step

SAVE_INTERVAL_S = 300.0
"""The state is saved at least this often, however far apart the saves of `save_every` are."""


def fit(state: State, folder: RunFolder, received: Sequence[int] = ()) -> None:
    """Train until the planned end, logging, drawing and saving on the way.

    On several devices all processes go through this in step; what is written is written by the first.

    Args:
        state: what is trained.
        folder: where it is written to.
        received: signals that ask for a stop, in the order in which they arrive.

    Raises:
        Stopped: a signal arrived; the run was saved.
    """
    config, measured_by, is_first = state.config, validate.prepare_validation(state), state.fabric.is_global_zero
    if state.healthy is None:
        save_snapshot(state, folder)
    with progress_bar(state, folder) as bar:
        saved, stop = time.monotonic(), 0
        while not is_finished(state) and not stop:
            _timed_update(state)
            stop, is_due = _agree_over_ranks(state, received, saved)
            bar.total = state.planned
            bar.update(state.images_seen - bar.n)
            is_log, is_save = state.step % config.log_every == 0, state.step % config.save_every == 0
            if what := find_fault(state, look=is_log or is_save or is_due or is_finished(state) or stop > 0):
                said = roll_back(state, folder, what)
                if is_first:
                    print_line(said)
                save_state(state, folder)  # the event counts from now on, and the log is cut as the state is
                continue
            if is_log:
                log_metrics(state, folder, bar)
            if config.evaluate_every and state.step % config.evaluate_every == 0:
                validate.validate(state, folder, measured_by, bar)
            if is_save or is_due:
                (save_snapshot if is_save else save_state)(state, folder)
                saved = time.monotonic()
        if is_finished(state) and state.step % config.log_every:
            log_metrics(state, folder, bar)
        if state.step % config.save_every:
            save_snapshot(state, folder)
    if is_first:
        draw_curves(list(folder.log.measurements()), folder.path / "curves.png", is_bce=state.objective.score_kind == "probability")
        page.write_report(folder)
    if stop and not is_finished(state):
        raise TrainingStopped(f"stopped and saved; go on with: dcgan resume {shlex.quote(str(folder.path))}", stop)


def _timed_update(state: State) -> None:
    """One step, its time counted."""
    begin = time.perf_counter()
    train_step(state)
    if state.fabric.device.type == "cuda" and (state.planned is None or state.step % state.config.log_every == 0):
        torch.cuda.synchronize()  # or the clock would time the asking, not the work
    state.seconds += time.perf_counter() - begin


def _agree_over_ranks(state: State, received: Sequence[int], saved: float) -> tuple[int, bool]:
    """What all processes must do alike: whether to stop for a signal that any of them got, and to save by the clock.

    A length in minutes becomes one in images here. Of clocks the first process's counts.
    """
    is_first = state.fabric.is_global_zero
    is_due = is_first and time.monotonic() - saved >= SAVE_INTERVAL_S
    planned = state.planned or (measured_plan(state) if is_first else None)
    stop, due, images = max_over_ranks(state.fabric, received[0] if received else 0, is_due, planned or 0)
    state.planned = images or None
    state.first_plan = state.first_plan or state.planned
    return stop, due > 0


def is_finished(state: State) -> bool:
    """Whether the planned number of images has been seen, or nothing gets better any more."""
    return is_out_of_patience(state) or (state.planned is not None and state.images_seen >= state.planned)


def is_out_of_patience(state: State) -> bool:
    """Whether too many measurements in a row were no better than the best."""
    return 0 < state.config.patience <= state.stale
