"""A run that is resumed: its state as its checkpoint has it, and what must not have changed since."""

import contextlib
import math
import shlex
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import Tensor

from dcgan.config import DURATIONS, NO_DURATION, Config
from dcgan.data.location import check_not_empty, describe_missing, find_places, is_path, public_data_name
from dcgan.data.rules import RULES_OF_0_1
from dcgan.devices.connect import Devices, barrier, first_process_first, with_launcher_devices
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.training import networks
from dcgan.training.best_model import is_of_extra_evaluation, restore_unsuspected_model
from dcgan.training.callbacks import Callbacks
from dcgan.training.checkpoint import collect_tensors, read_checkpoint, read_tensor_names, restore_tensors
from dcgan.training.history import History, entries_of_state
from dcgan.training.loop import is_finished, is_out_of_patience
from dcgan.training.matching import FEATURES, FROZEN_NETWORK_SHA256
from dcgan.training.networks import CustomParts
from dcgan.training.progress import CheckpointRecord
from dcgan.training.recovery import restore_healthy_state
from dcgan.training.set_up import open_data, set_up
from dcgan.training.snapshot import RunWriter
from dcgan.training.state import (
    GROUPS_NAME,
    PLACE_SETTINGS,
    State,
    describe_arithmetic,
    fixed_settings,
    is_same_arithmetic,
)


def restore_run(
    fabric: Devices, folder: RunFolder, custom: CustomParts, changes: dict[str, Any], callbacks: Callbacks
) -> tuple[State, RunWriter]:
    """Return the state of a run as it was saved, and its writer. Nothing is written but a copy of a damaged log.

    Raises:
        UserError: as `resume`.
    """
    config, record = folder.config(), read_checkpoint(folder.checkpoint)
    _check_settings(folder, config, record.settings)
    duration = select(changes, DURATIONS)
    config = replace(config, **select(changes, PLACE_SETTINGS), **(NO_DURATION | duration if duration else {}))
    config = with_launcher_devices(config)
    _check_part_count(fabric, folder, record.data_parts)
    _check_frozen_network(folder, record)
    with first_process_first(fabric):
        source = _find_data(folder, config, record, changes.get("data"))
    config = replace(config, data=public_data_name(changes.get("data", config.data)))
    # The initial model is not needed: weights and groups come from the checkpoint.
    state = set_up(
        replace(config, init=None),
        custom,
        fabric,
        is_new=False,
        data_source=source,
        data_rules=record.data_rules or RULES_OF_0_1,
    )
    state.config = config
    _check_same_pictures(folder, state, record)
    places = folder.log.places()
    entries = entries_of_state(places, record.log_entries, record.step)
    writer = RunWriter(folder, History(folder.log if fabric.is_global_zero else None, entries), callbacks, custom.names)
    if custom.discriminator is None:
        _check_biases(folder, state)
    other_tensors = restore_tensors(folder.checkpoint, state.saved_parts())
    saved_groups = other_tensors.pop(GROUPS_NAME, None)
    _restore_progress(state, record, keeps_plan=not duration)
    healthy = _count_again(record.healthy, places)
    writer.healthy = restore_healthy_state(state, writer.history, healthy, other_tensors)
    writer.unsuspected = restore_unsuspected_model(record.unsuspected, other_tensors)
    if state.matcher is not None:
        state.conditions = state.matcher.groups if state.config.groups or state.config.conditional else None
    elif networks.uses_groups(state.config, custom):
        state.conditions = _groups_of_pictures(state, saved_groups)
    barrier(fabric)  # every process has read the run before the first one writes
    _check_not_finished(folder, state, has_new_duration=bool(duration))
    if len(entries) < record.log_entries:
        callbacks.on_message(_keep_damaged_log(fabric, folder, len(entries), record.log_entries))
    if is_of_extra_evaluation(state, folder):
        callbacks.on_message(
            f"{folder.model} is of step {state.progress.step:,}, which is evaluated only as the last one of a run. The "
            "longer run does not count it: its next evaluation may replace the model by a worse one. Copy the folder "
            "first to keep it"
        )
    arithmetic = describe_arithmetic(fabric)
    if not is_same_arithmetic(record.arithmetic, arithmetic):
        callbacks.on_message(
            f"{folder.path} ran on {record.arithmetic}, now on {arithmetic}: it continues from there, but the result "
            "is not the same to the bit"
        )
    return state, writer


def _count_again(healthy: dict[str, Any], places: list[LogEntry | None]) -> dict[str, Any]:
    """Return the position of the last healthy state with the number of its entries that the log still has."""
    if not healthy:
        return healthy
    return healthy | {"entries": len(entries_of_state(places, healthy["entries"], healthy["step"]))}


def _keep_damaged_log(fabric: Devices, folder: RunFolder, kept: int, counted: int) -> str:
    """Copy a log that lacks entries before it is written anew, and return the message for the user."""
    copy = folder.log.keep_copy() if fabric.is_global_zero else None
    if copy is None:
        return f"{folder.log.path} is gone: the log of the run begins again here, without {counted:,} earlier entries"
    return (
        f"{folder.log.path} is damaged: {kept:,} of the {counted:,} entries until the checkpoint are left, with which "
        f"the run continues; {copy.name} is the file as it was"
    )


def _check_biases(folder: RunFolder, state: State) -> None:
    """Refuse a run whose discriminator has no biases, as without normalization it had none in earlier versions."""
    parts = {"discriminator": state.discriminator} if state.discriminator is not None else {}
    missing = collect_tensors(parts).keys() - read_tensor_names(folder.checkpoint)
    if missing and all(name.endswith(".bias") for name in missing):
        raise UserError(
            f"{folder.path} cannot be resumed: an earlier version began it, whose discriminator had no biases with "
            f"--d-norm {state.config.d_norm}; train a new run (--init takes this run's generator)"
        )


def _groups_of_pictures(state: State, saved: Tensor | None) -> Tensor:
    """Return the group of each picture, int64 (N,): those of the checkpoint; those of pixels if it has none.

    It has none if version 0.1.0 wrote it, and of a set that is divided only those of the first process.
    """
    is_of_own_pictures = state.data.part[0] == 0  # the first process writes the checkpoint
    if saved is not None and is_of_own_pictures:
        return saved.to(state.data.pixels.device)
    assert isinstance(state.ema.network, GroupedGenerator)
    return state.ema.network.assign_groups(state.data.pixels, state.data.labels)


def _restore_progress(state: State, record: CheckpointRecord, *, keeps_plan: bool) -> None:
    """Put the progress of a checkpoint into a state whose tensors were restored already."""
    new_plan = state.progress.planned_images
    state.progress = record.progress()
    if not keeps_plan:
        state.progress.planned_images = new_plan
    state.progress.plan_rates()
    state.sums.set_totals(record.totals)


def _check_settings(folder: RunFolder, config: Config, saved: dict[str, Any]) -> None:
    """Refuse to continue with settings that were changed in a run's config.json by hand.

    Raises:
        UserError: it names the first of them.
    """
    for name, value in fixed_settings(config).items():
        if saved.get(name, value) != value:
            raise UserError(
                f"{folder.path} cannot be resumed: {name} in its config.json is {value} now and was {saved[name]}; "
                "change it back, or train a new run (--init takes this run's generator as the initial weights)"
            )


def _check_part_count(fabric: Devices, folder: RunFolder, part_count: int | None) -> None:
    """Refuse to continue on another number of processes than the data are divided among."""
    if part_count not in (None, fabric.world_size):
        raise UserError(
            f"{folder.path} cannot be resumed on {fabric.world_size} process{'es' * (fabric.world_size > 1)}: its data "
            f"are divided among {part_count}, and the order of the pictures depends on that; give --devices and "
            f"--num-nodes that make {part_count}"
        )


def _check_frozen_network(folder: RunFolder, record: CheckpointRecord) -> None:
    """Refuse to continue with other weights of the frozen network that samples are compared in."""
    if record.frozen_network not in (None, FROZEN_NETWORK_SHA256):
        raise UserError(
            f"{folder.path} cannot be resumed: it was trained with other weights of the frozen network {FEATURES} "
            f"(SHA-256 {record.frozen_network[:16]}…) than this version has ({FROZEN_NETWORK_SHA256[:16]}…)"
        )


def _check_same_pictures(folder: RunFolder, state: State, record: CheckpointRecord) -> None:
    """Refuse to continue with other pictures than the run began with."""
    if (record.data_key or state.data.content_key) != state.data.content_key:
        raise UserError(
            f"{folder.path} cannot be resumed: {printable(state.data_source)} holds other pictures now than when the "
            "run began; give --data if they are elsewhere"
        )


def _find_data(folder: RunFolder, config: Config, record: CheckpointRecord, given: str | None) -> str:
    """Return where the pictures of a run are: where the user says, where they were, or below the current folder.

    Raises:
        UserError: they are in none of these places.
    """
    if given is not None:
        check_not_empty(given)
        return given
    if not is_path(config.data):
        return config.data
    places, existing = find_places(record.data_path, config.data)
    if not existing:
        raise UserError(
            f"{folder.path} cannot be resumed: its pictures are not at {describe_missing(places)}: give --data"
        )
    # Of divided data this process alone cannot say whether they are the same.
    if len(existing) == 1 or record.data_parts:
        return existing[0]
    for place in existing:
        with contextlib.suppress(UserError):  # what is there now may be no set at all
            if open_data(config, place, record.data_rules or RULES_OF_0_1).content_key == record.data_key:
                return place
    raise UserError(
        f"{folder.path} cannot be resumed: {' and '.join(map(printable, existing))} holds other pictures now than when "
        "the run began; give --data if they are elsewhere"
    )


def _check_not_finished(folder: RunFolder, state: State, *, has_new_duration: bool) -> None:
    """Refuse to continue a run that has reached its planned end."""
    step = state.progress.step
    if is_out_of_patience(state):
        path = shlex.quote(str(folder.path))
        raise UserError(
            f"{folder.path} is finished: --patience ended it at step {step}; {folder.model} is its best model, and "
            f"dcgan train --init {path} begins a new run with it"
        )
    if state.progress.copies_step is not None:
        raise UserError(
            f"{folder.path} is finished: its samples were copies of training pictures at step {step}; {folder.model} "
            "is the model that it keeps"
        )
    has_used_minutes = state.progress.seconds >= 60 * (state.config.minutes or math.inf)
    if is_finished(state) or (has_new_duration and has_used_minutes):
        duration = next(name for name in DURATIONS if getattr(state.config, name) is not None)
        so_far = {
            "steps": "",
            "images": f", after {state.progress.images_seen:,} images",
            "epochs": f", after {state.progress.images_seen / state.picture_count:,.1f} epochs",
            "minutes": f", after {state.progress.seconds / 60:,.1f} minutes",
        }[duration]
        raise UserError(f"{folder.path} is finished at step {step}{so_far}: give a larger --{duration} to continue")


def select(changes: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of the changes that have one of the names."""
    return {name: changes[name] for name in names if name in changes}
