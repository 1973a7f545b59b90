"""What happens when a loss or a gradient is not finite: back to the last healthy state, with a lower learning rate.

docs/runs.md gives the rule, and the reasons why it can be relied on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from dcgan.errors import UserError
from dcgan.run.log import LogEntry
from dcgan.training.checkpoint import collect_tensors, load_tensors
from dcgan.training.health import diagnose_not_finite
from dcgan.training.history import RECOVERY_EVENT, History
from dcgan.training.state import State

LR_FACTOR = 0.5
"""Every learning rate is multiplied by this at each recovery, and stays so."""
MAX_RECOVERIES_IN_A_ROW = 3
"""The recovery at which a run ends, if there was no snapshot between them."""
FAULTS = {
    1: "the discriminator's loss",
    2: "the discriminator's gradient",
    3: "the generator's loss",
    4: "the generator's gradient",
    5: "a weight",
}
"""What `StepSums.fault` stands for."""
WEIGHT_FAULT = 5


@dataclass
class Position:
    """Where a state is, as far as a recovery goes back to it. The clock and the learning rates do not go back."""

    step: int
    images_seen: int
    entries: int
    totals: list[float]
    evaluations_since_best: int = 0
    """Version 0.1.0 did not save it."""


@dataclass
class HealthyState:
    """A copy of the state at the last snapshot, to which a recovery goes back.

    Attributes:
        tensors: of every part, by name.
        position: where the state was.
    """

    tensors: dict[str, Tensor]
    position: Position

    def record(self, step: int) -> dict[str, Any]:
        """Return its position for a checkpoint of the state at `step`; nothing if it is that state."""
        return {} if self.position.step == step else asdict(self.position)


def copy_healthy_state(state: State, history: History) -> HealthyState:
    """Return a copy of this state, which becomes the last healthy one."""
    tensors = {name: tensor.clone() for name, tensor in collect_tensors(state.saved_parts()).items()}
    progress = state.progress
    position = Position(
        progress.step,
        progress.images_seen,
        len(history.entries),
        state.sums.totals.tolist(),
        progress.evaluations_since_best,
    )
    return HealthyState(tensors, position)


def restore_healthy_state(
    state: State, history: History, record: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> HealthyState:
    """Return the last healthy state of a run that is resumed.

    Args:
        state: the restored state.
        history: the restored metrics log.
        record: what `HealthyState.record` returned.
        tensors: tensors of the checkpoint, among others those named `healthy/...`, if the healthy state is another one
            than the restored one.
    """
    if not record:
        return copy_healthy_state(state, history)
    prefix = "healthy/"
    copies = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    known = {name: record[name] for name in Position.__dataclass_fields__ if name in record}
    return HealthyState(copies, Position(**known))


def find_fault(state: State, *, may_wait: bool) -> str:
    """Return what was not finite, or nothing.

    Args:
        state: after a step.
        may_wait: whether the host may wait for the device. On a GPU the fault is read only then: until then no step
            changes anything, because each step reads the fault on the device.
    """
    if state.fabric.device.type == "cuda" and not may_wait:
        return ""
    number = int(state.sums.fault)
    if not number and may_wait and not _is_finite(state):
        number = WEIGHT_FAULT
    return FAULTS.get(number, "")


def _is_finite(state: State) -> bool:
    """Return whether the weights, and the sums from which the log is written, are finite."""
    networks = [network for network in (state.generator, state.discriminator) if network is not None]
    tensors = (*(weight for network in networks for weight in network.parameters()), state.sums.totals)
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _is_evaluation(entry: LogEntry, step: int | None) -> bool:
    return entry.get("event") == "measured" and entry["step"] == step


def roll_back(state: State, history: History, healthy: HealthyState, fault: str) -> str:
    """Go back to the last healthy state and lower the learning rates.

    Returns:
        The message for the user.

    Raises:
        UserError: there were too many recoveries in a row.
    """
    progress, position = state.progress, healthy.position
    failed_step = progress.step
    load_tensors(state.saved_parts(), healthy.tensors)
    if state.recorder is not None:
        state.recorder.forget()  # the optimizers have other tensors now
    progress.step, progress.images_seen = position.step, position.images_seen
    state.sums.set_totals(position.totals)
    state.sums.fault.zero_()
    is_best_ahead = progress.best_step is not None and progress.best_step > position.step
    progress.evaluations_since_best = 0 if is_best_ahead else position.evaluations_since_best
    progress.recoveries += 1
    progress.recoveries_in_a_row += 1
    progress.lr_scale *= LR_FACTOR
    diagnosis = diagnose_not_finite(fault, failed_step)
    event = {
        "event": RECOVERY_EVENT,
        "step": progress.step,
        "images_seen": progress.images_seen,
        **diagnosis.as_json(),
        "failed_step": failed_step,
        "lr_scale": progress.lr_scale,
        "in_a_row": progress.recoveries_in_a_row,
    }
    # The best model so far is still that of the run, so that its evaluation stays in the log.
    kept = [entry for entry in history.entries[position.entries :] if _is_evaluation(entry, progress.best_step)]
    history.go_back(position.entries, [*kept, event])
    position.entries = len(history.entries)  # the event stays in the log, however often the run comes back here
    if progress.recoveries_in_a_row == MAX_RECOVERIES_IN_A_ROW:
        raise UserError(
            f"{fault} was not finite at step {failed_step}: {MAX_RECOVERIES_IN_A_ROW} such events in a row, though the "
            "learning rate was halved each time; train a new run with a lower --lr; the run's checkpoint/ holds the "
            "last good state"
        )
    return (
        f"{diagnosis} (docs/health.md); training continues from step {progress.step:,} with "
        f"{progress.lr_scale:g} times the learning rate"
    )
