"""What happens when a loss or a gradient is not finite: back to the last healthy state, with a lower learning rate.

The rule, and why it can be relied on: docs/runs.md.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dcgan.errors import UserError
from dcgan.run.folder import RunFolder
from dcgan.training import checkpoint
from dcgan.training.health import not_finite
from dcgan.training.state import HealthyCopy, State

LR_FACTOR = 0.5
"""Every learning rate is multiplied by this at each recovery, and stays so."""
MOST_IN_A_ROW = 3
"""The recovery after which a run ends, if no whole interval of `save_every` steps went well between them."""
CAUSES = {
    1: "the discriminator's loss",
    2: "the discriminator's gradient",
    3: "the generator's loss",
    4: "the generator's gradient",
    5: "a weight",
}


def remember_healthy(state: State) -> None:
    """Remember this state as the last healthy one."""
    copies = {name: tensor.clone() for name, tensor in checkpoint.collect_tensors(state.parts()).items()}
    state.healthy = HealthyCopy(copies, position(state))


def position(state: State) -> dict[str, Any]:
    """Where a state is, as far as a recovery goes back to it: the clock and the learning rate do not go back."""
    return {
        "step": state.step,
        "images_seen": state.images_seen,
        "entries": len(state.entries),
        "totals": state.totals.tolist(),
    }


def restore_progress(state: State, saved: Mapping[str, Any], left: Mapping[str, Tensor]) -> None:
    """Put a saved state's counters into a state whose tensors were put back already.

    Args:
        state: as `setup` made it, with the log's entries.
        saved: the counters.
        left: the tensors of the last healthy state, if that is another one than this.
    """
    for name in ("step", "images_seen", "seconds", "lr_scale", "recoveries", "in_a_row", "best", "best_step", "stale"):
        setattr(state, name, saved[name])
    state.totals.copy_(state.totals.new_tensor(saved["totals"]))
    if saved["healthy"]:
        copies = {name.removeprefix("healthy/"): tensor for name, tensor in left.items()}
        state.healthy = HealthyCopy(copies, saved["healthy"])
    else:
        remember_healthy(state)


def find_fault(state: State, *, look: bool) -> str:
    """Which number was not finite, or nothing.

    On a GPU only if it is time to `look`, where the host waits anyway: until then no step changes anything, because
    each is told of the fault on the device.
    """
    if state.fabric.device.type == "cuda" and not look:
        return ""
    number = int(state.fault)
    if not number and look and not _weights_are_finite(state):
        number = 5
    return CAUSES.get(number, "")


def _weights_are_finite(state: State) -> bool:
    """Whether the weights are, and the sums that the log will be written from."""
    weights = (*state.generator.parameters(), *state.discriminator.parameters(), state.totals)
    return all(bool(weight.isfinite().all()) for weight in weights)


def roll_back(state: State, folder: RunFolder, what: str) -> str:
    """Go back to the last healthy state and lower the learning rates.

    Returns:
        What to tell the user.

    Raises:
        UserError: it was one time too many in a row.
    """
    assert state.healthy is not None
    failed, back = state.step, state.healthy.counters
    checkpoint.load_tensors(state.parts(), state.healthy.tensors)
    state.step, state.images_seen = back["step"], back["images_seen"]
    state.totals.copy_(state.totals.new_tensor(back["totals"]))
    state.fault.zero_()
    state.recoveries += 1
    state.in_a_row += 1
    state.lr_scale *= LR_FACTOR
    found = not_finite(what, failed)
    event = {
        "event": "recovery",
        "step": state.step,
        "images_seen": state.images_seen,
        **found.as_json(),
        "failed_step": failed,
        "lr_scale": state.lr_scale,
        "in_a_row": state.in_a_row,
    }
    state.entries[back["entries"] :] = [event]
    if state.fabric.is_global_zero:
        folder.log.replace(state.entries)
    back["entries"] = len(state.entries)  # the event stays, however often the run comes back here
    if state.in_a_row == MOST_IN_A_ROW:
        raise UserError(
            f"{what} was not finite at step {failed}: {MOST_IN_A_ROW} such events in a row, though the learning rate "
            f"was halved each time; train anew with a lower --lr; the last good state is in {folder.checkpoint}"
        )
    return (
        f"{found} (docs/health.md); it goes on from step {state.step:,} with {state.lr_scale:g} times the learning rate"
    )
