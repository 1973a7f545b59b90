"""The training loop: the same for every GAN. What differs between them is in the settings and the objective."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dcgan.devices.connect import max_over_ranks
from dcgan.devices.processes import TrainingStopped
from dcgan.reporting.curves import draw_curves
from dcgan.reporting.page import write_report
from dcgan.run.log import EARLY_EVENT, LogEntry
from dcgan.training.callbacks import EndEvent, EndReason, LogEvent, StartEvent, StepEvent
from dcgan.training.duration import DurationPlan
from dcgan.training.recovery import find_fault, roll_back
from dcgan.training.snapshot import RunWriter, report_health, save_snapshot, save_state
from dcgan.training.state import GENERATOR_SUM_NAMES, SUM_NAMES, State
from dcgan.training.step import train_step
from dcgan.training.validate import ValidationReference, prepare_validation, validate

SAVE_INTERVAL_S = 300.0
"""The checkpoint is saved at least this often, however many steps `save_every` is."""


@dataclass(frozen=True)
class Decision:
    """What all processes do after a step.

    Attributes:
        stop_signal: the signal that asked for a stop, or 0.
        callback_stops: whether a callback asked for a stop.
        is_save_due: whether the checkpoint must be saved because of `SAVE_INTERVAL_S`.
    """

    stop_signal: int = 0
    callback_stops: bool = False
    is_save_due: bool = False

    @property
    def stops(self) -> bool:
        """Whether training ends after this step."""
        return self.stop_signal > 0 or self.callback_stops


def fit(state: State, writer: RunWriter, stop_signals: Sequence[int] = ()) -> None:
    """Train until the planned end, and log, draw, evaluate and save on the way.

    On several devices all processes go through this in step; the first one writes.

    Args:
        state: what is trained.
        writer: where it is written, and who is told.
        stop_signals: signals that ask for a stop, in the order in which they arrive.

    Raises:
        TrainingStopped: a signal arrived; the run was saved, or it arrived before the first steps were done.
    """
    config, progress = state.config, state.progress
    reference = prepare_validation(state)
    try:
        _notify_start(state, writer)
        if writer.healthy is None:
            save_snapshot(state, writer)
        duration = DurationPlan(config, progress, is_recorded=state.recorder is not None)
        decision, last_save = Decision(), time.monotonic()
        while not is_finished(state) and not decision.stops:
            _interruptible_step(state, writer, stop_signals)
            decision = _agree_over_ranks(state, writer, stop_signals, last_save, duration)
            is_log_step = progress.step % config.log_every == 0
            is_snapshot_step = progress.step % config.save_every == 0
            is_early = is_early_step(progress.step, config.log_every)
            may_wait = is_log_step or is_early or is_snapshot_step or decision.is_save_due or decision.stops
            if fault := find_fault(state, may_wait=may_wait or is_finished(state)):
                _recover(state, writer, fault)
                continue
            writer.callbacks.on_step(StepEvent(progress.step, progress.images_seen, progress.planned_images))
            if is_log_step:
                _log_measurement(state, writer)
            elif is_early:
                _log_early_means(state, writer)
            _validate_if_due(state, writer, reference)
            if is_finished(state) and not is_log_step:
                _log_measurement(state, writer)
            # Saving comes last, so that a run that is killed after its last snapshot lacks nothing.
            if is_snapshot_step:
                save_snapshot(state, writer)
                last_save = time.monotonic()
            elif decision.is_save_due and not is_finished(state):  # a finished run is saved with its last snapshot
                save_state(state, writer)
                last_save = time.monotonic()
        if progress.step % config.save_every:
            save_snapshot(state, writer)
        if state.is_first_process:
            draw_curves(list(writer.folder.log.measurements()), writer.folder.curves, state.objective.score_kind)
            write_report(writer.folder)
    except BaseException as error:  # the disk may be full as late as in the report
        writer.callbacks.on_end(_end_event(writer, state, "failed"), error)
        raise
    writer.callbacks.on_end(_end_event(writer, state, _end_reason(state)))  # last: a callback may fail
    if decision.stop_signal and not is_finished(state):
        raise _stopped("stopped and saved", writer, decision.stop_signal)


def _notify_start(state: State, writer: RunWriter) -> None:
    progress = state.progress
    writer.callbacks.on_start(
        StartEvent(
            run=writer.folder,
            step=progress.step,
            images_seen=progress.images_seen,
            planned_images=progress.planned_images,
            score_kind=state.objective.score_kind,
        )
    )


def _end_event(writer: RunWriter, state: State, reason: EndReason) -> EndEvent:
    return EndEvent(writer.folder, state.progress.step, state.progress.images_seen, reason)


def _interruptible_step(state: State, writer: RunWriter, stop_signals: Sequence[int]) -> None:
    """Do one step. Ctrl-C also reaches the compiler of compiled networks, which makes the step fail."""
    try:
        _timed_step(state)
    except Exception as error:
        if not (stop_signals and state.config.compile):
            raise
        raise _stopped("stopped while the networks were compiled", writer, stop_signals[0]) from error


def _stopped(what: str, writer: RunWriter, stop_signal: int) -> TrainingStopped:
    """Return the exception that ends a training after a signal, which says how to continue."""
    folder, own_parts = writer.folder, writer.custom_names
    command = folder.resume_call(own_parts) if own_parts else f"dcgan resume {shlex.quote(str(folder.path))}"
    return TrainingStopped(f"{what}; continue with: {command}", stop_signal)


def _timed_step(state: State) -> None:
    """Do one step and add its time to the training time."""
    progress, start = state.progress, time.perf_counter()
    train_step(state)
    is_clock_read = progress.planned_images is None or progress.step % state.config.log_every == 0
    if state.fabric.device.type == "cuda" and is_clock_read:
        torch.cuda.synchronize()  # otherwise the clock would measure the time to queue the work, not the work
    progress.seconds += time.perf_counter() - start


def _agree_over_ranks(
    state: State, writer: RunWriter, stop_signals: Sequence[int], last_save: float, duration: DurationPlan
) -> Decision:
    """Return what all processes must do alike after a step.

    A signal may reach any of them. Only the first one has callbacks, and only its clock counts. A duration in minutes
    becomes a number of images here.
    """
    progress, is_first = state.progress, state.is_first_process
    is_save_due = is_first and time.monotonic() - last_save >= SAVE_INTERVAL_S
    planned = progress.planned_images or (duration.planned_images(progress) if is_first else None)
    own = (stop_signals[0] if stop_signals else 0, writer.callbacks.should_stop(), is_save_due, planned or 0)
    stop_signal, callback_stops, save_due, planned_images = max_over_ranks(state.fabric, *own)
    progress.planned_images = planned_images or None
    progress.plan_rates()
    return Decision(stop_signal, callback_stops > 0, save_due > 0)


def _recover(state: State, writer: RunWriter, fault: str) -> None:
    """Go back to the last healthy state, and tell the user."""
    assert writer.healthy is not None
    message = roll_back(state, writer.history, writer.healthy, fault)
    writer.callbacks.on_message(message)
    save_state(state, writer)  # so that the recovery is counted, and the log is cut, if the process is killed now


def _validate_if_due(state: State, writer: RunWriter, reference: ValidationReference | None) -> None:
    """Evaluate the generator at every `evaluate_every`-th step, and at the last one."""
    interval = state.config.evaluate_every
    is_regular = interval > 0 and state.progress.step % interval == 0
    if is_regular or (interval and is_finished(state)):
        validate(state, writer, reference, is_regular=is_regular)


def is_early_step(step: int, log_every: int) -> bool:
    """Return whether the means so far are logged although the first measurement is not due yet: at powers of two."""
    return step < log_every and step & (step - 1) == 0


def _log_early_means(state: State, writer: RunWriter) -> None:
    """Write the means of the first steps as an event, so that the studio draws curves from the first step on.

    It is no measurement, because a mean of so few steps must not count in the diagnoses.
    """
    entry = _read_means(state)
    if state.is_first_process:
        writer.history.add({"event": EARLY_EVENT, **entry})


def _log_measurement(state: State, writer: RunWriter) -> None:
    """Write the means since the last measurement to the metrics log, and tell the callbacks."""
    progress = state.progress
    is_regular = progress.step % state.config.log_every == 0
    entry = _read_means(state)
    if is_regular:
        state.sums.totals.zero_()
    if not state.is_first_process:
        return
    if is_regular:
        writer.history.add(entry)
        report_health(state, writer)
    else:  # a run that is extended continues with the sums, and without this measurement
        writer.history.last_entries.append(entry)
    means = {name: value for name, value in entry.items() if name in SUM_NAMES}
    event = LogEvent(progress.step, progress.images_seen, progress.seconds, means, state.objective.score_kind)
    writer.callbacks.on_log(event)


def _read_means(state: State) -> LogEntry:
    """Return the means since the last measurement as a line of the metrics log. The host waits for the device here."""
    progress = state.progress
    means = state.sums.means(SUM_NAMES if state.objective.has_discriminator else GENERATOR_SUM_NAMES)
    seconds = round(progress.seconds, 3)
    return {"step": progress.step, "images_seen": progress.images_seen, "seconds": seconds, **means}


def _end_reason(state: State) -> EndReason:
    if state.progress.copies_step is not None:
        return "copies"
    if is_out_of_patience(state):
        return "out_of_patience"
    return "finished" if is_finished(state) else "stopped"


def is_finished(state: State) -> bool:
    """Return whether the planned number of images has been seen, or an evaluation has ended the run.

    It ends if the evaluations have stopped improving, or if the samples are copies of training pictures.
    """
    progress, planned = state.progress, state.progress.planned_images
    is_ended = is_out_of_patience(state) or progress.copies_step is not None
    return is_ended or (planned is not None and progress.images_seen >= planned)


def is_out_of_patience(state: State) -> bool:
    """Return whether `patience` evaluations in a row were not better than the best one."""
    return 0 < state.config.patience <= state.progress.evaluations_since_best
