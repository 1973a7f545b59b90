"""Starting and resuming a training: from the settings, or from a run folder, to the loop."""

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from dcgan.config import DURATIONS, NO_DURATION, Config
from dcgan.data.location import absolute_path, check_not_empty, is_named_set, path_exists, public_data_name
from dcgan.data.python_objects import data_path
from dcgan.data.rules import RULES_OF_0_1
from dcgan.data.value_range import ValueRange
from dcgan.devices.connect import Devices, barrier, first_process_first, with_launcher_devices
from dcgan.devices.processes import run_on_devices
from dcgan.devices.signals import catch_stop_signals
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.images import make_grid, save_png
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.presets import DEFAULT_PRESET, configure
from dcgan.run.folder import RunFolder, create_run, make_run_folder, open_run
from dcgan.run.lock import lock_run
from dcgan.system.resources import explain_out_of_memory
from dcgan.training import networks
from dcgan.training.callbacks import Callbacks
from dcgan.training.checkpoint import read_checkpoint, restore_tensors
from dcgan.training.history import History
from dcgan.training.loggers import check_loggers, make_logger_callbacks
from dcgan.training.loop import fit, is_finished, is_out_of_patience
from dcgan.training.losses import Objective
from dcgan.training.networks import NO_CUSTOM_PARTS, CustomParts
from dcgan.training.progress import CheckpointRecord
from dcgan.training.progress_bar import ProgressBar
from dcgan.training.recovery import restore_healthy_state
from dcgan.training.snapshot import RunWriter, first_reals, save_state
from dcgan.training.state import (
    PLACE_SETTINGS,
    State,
    describe_arithmetic,
    fixed_settings,
    is_same_arithmetic,
    open_data,
    set_up,
)

MEMORY_ADVICE = "lower --batch-size, --image-size, --g-width or --d-width"


def train(
    preset: str | os.PathLike[str] = DEFAULT_PRESET,
    *,
    out: str | os.PathLike[str] | None = None,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    loss: str | Objective | None = None,
    data: object = None,
    callbacks: Sequence[Any] = (),
    show_progress: bool = True,
    **settings: Any,
) -> RunFolder:
    """Train a GAN, as `dcgan train` does.

    Args:
        preset: a name in `PRESETS`, or the path of a run's `config.json`.
        out: the run folder; by default the next free one in `runs/`.
        generator: a network of your own, (N, z_dim) -> (N, C, H, W) in [-1, 1], instead of the preset's. Its `z_dim` is
            its attribute of that name, or the setting (192 in `fast`). It is trained in place.
        discriminator: a network of your own, (N, C, H, W) -> (N, 1). It is trained in place too.
        loss: a name, or an `Objective` of your own.
        data: what `--data` takes, or pictures of your own: an array, a `Dataset`, a `DataLoader` or another iterable,
            see `dcgan.data.python_objects`. They are stored once in the cache.
        callbacks: objects that are told what happens: see `dcgan.training.callbacks`.
        show_progress: show the progress bar and messages on standard error.
        **settings: fields of `Config`, such as `steps=500`, `lr=1e-3`. With `conditional=True` both
            networks are called with labels, int64 (N,), as a second argument.

    Returns:
        The run folder. `dcgan.load(run)` returns the trained model, unless its class is your own.

    Raises:
        UserError: a setting that cannot work, or a folder that cannot be written. Nothing has been changed then.
        LostRankError: on several devices, one of the processes ended before the run did.
        TrainingStopped: Ctrl-C, SIGTERM or SIGHUP, after the run was saved.
    """
    networks.check_modules(generator, discriminator, loss)
    if isinstance(loss, str):
        settings["loss"] = loss
    if data is not None:
        settings["data"] = data_path(data)
    custom = CustomParts(generator, discriminator, loss if isinstance(loss, Objective) else None)
    config = configure(preset, **settings)
    return train_config(config, Path(out) if out else None, custom, callbacks, show_progress=show_progress)


def train_config(
    config: Config,
    out: Path | None = None,
    custom: CustomParts = NO_CUSTOM_PARTS,
    callbacks: Sequence[Any] = (),
    *,
    show_progress: bool = True,
) -> RunFolder:
    """Train with these settings into a new run folder: see `train`.

    Args:
        config: the settings.
        out: the run folder; by default the next free one in `runs/`.
        custom: the user's own parts.
        callbacks: the user's own callbacks.
        show_progress: show the progress bar and messages on standard error.
    """
    if all(getattr(config, name) is None for name in DURATIONS):
        raise UserError("say how long to train: --steps, --images, --epochs or --minutes")
    networks.check_names(config)
    check_loggers(config.logger)
    config = with_launcher_devices(config)
    task = partial(_train, config=config, out=out, custom=custom, callbacks=callbacks, show_progress=show_progress)
    return RunFolder(Path(run_on_devices(config, task, custom_names=_names(custom, callbacks))))


def _names(custom: CustomParts, callbacks: Sequence[Any]) -> list[str]:
    """Return what of the user's own cannot be given to new processes."""
    return [*custom.names, *(["callbacks"] if callbacks else [])]


def _callbacks(fabric: Devices, callbacks: Sequence[Any], loggers: Sequence[str], show_progress: bool) -> Callbacks:
    """Return the callbacks of this process, the loggers among them: only the first process has any."""
    if not fabric.is_global_zero:
        return Callbacks()
    own = Callbacks([*([ProgressBar()] if show_progress else []), *callbacks])
    own.add(make_logger_callbacks(loggers, own.on_message))
    return own


@explain_out_of_memory(MEMORY_ADVICE)
def _train(
    fabric: Devices,
    announce: Callable[[str], None],
    *,
    config: Config,
    out: Path | None,
    custom: CustomParts,
    callbacks: Sequence[Any] = (),
    show_progress: bool = True,
) -> str:
    """Train in this process, alone or as one of many. Only the first process writes to the run folder."""
    state = set_up(config, custom, fabric)
    path = Path(fabric.broadcast(str(make_run_folder(out, state.config)) if fabric.is_global_zero else ""))
    # From here on there is a folder, and Ctrl-C leaves it complete.
    with catch_stop_signals() as stop_signals, lock_run(path) if fabric.is_global_zero else nullcontext():
        folder = RunFolder(path)
        writer = RunWriter(
            folder,
            History(folder.log if fabric.is_global_zero else None),
            _callbacks(fabric, callbacks, config.logger, show_progress),
            custom.names,
        )
        if fabric.is_global_zero:
            create_run(path, state.config, state.objective.score_kind, custom.names)
            for notice in data_notices(state, config.value_range):
                writer.callbacks.on_message(notice)
            if state.data.skipped_files:
                folder.write_skipped_files(state.data.skipped_files)
            save_png(make_grid(first_reals(state)), path / "reals.png")
        announce(str(path))
        fit(state, writer, stop_signals)
    return str(path)


def data_notices(state: State, value_range: ValueRange | None = None) -> list[str]:
    """Return what the user should know of the data; nothing if all of it is used as it is.

    Args:
        state: of the run that begins.
        value_range: the range that the user gave.
    """
    data = state.data
    notices = [f"{data.name}: {notice}" for notice in data.notices]
    if value_range is not None and data.value_range is None:
        notices.append(f"{data.name}: --value-range changes nothing, because all pictures have 8 bits")
    n, (channels, height, width) = len(data), data.pixels.shape[1:]
    if data.original_size != f"{height}x{width}":
        notices.append(
            f"{data.name}: {n:,} pictures of {data.original_size}, {channels} channel{'s' * (channels > 1)}, resized "
            f"to {height}x{width} ({state.config.fit}), the size that the network {state.config.network} draws"
        )
    if data.skipped_files:
        count, (name, reason) = len(data.skipped_files), data.skipped_files[0]
        notices.append(
            f"{data.name}: {count:,} file{'s' * (count != 1)} cannot be used, such as {name} ({reason}); skipped.json "
            "lists all"
        )
    return notices


def resume(
    path: str | os.PathLike[str],
    *,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    loss: Objective | None = None,
    callbacks: Sequence[Any] = (),
    data: object = None,
    device: str | None = None,
    devices: int | None = None,
    num_nodes: int | None = None,
    steps: int | None = None,
    images: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    show_progress: bool = True,
) -> RunFolder:
    """Continue a run exactly where it stopped, as `dcgan resume` does.

    Args:
        path: the run folder.
        generator: your own, if the run was started with one; its weights are read from the run.
        discriminator: the same.
        loss: the same.
        callbacks: objects that are told what happens: see `dcgan.training.callbacks`.
        data: where the same pictures are now, if they have moved; or the same pictures of your own, see `train`.
        device: continue there instead of where the run was; the arithmetic then differs, so the result is no longer
            the same to the bit.
        devices: continue on this many devices.
        num_nodes: continue on this many machines.
        steps: continue until this many steps, counted from the run's start. Give at most one duration.
        images: continue until this many real images were seen.
        epochs: continue until this many passes over the data.
        minutes: continue until this much training time.
        show_progress: show the progress bar and messages on standard error.

    Raises:
        UserError: there is no run, its checkpoint is damaged, or it has already reached its planned end.
    """
    if not os.fspath(path):
        raise UserError("the name of the run is empty: give a run folder")
    networks.check_modules(generator, discriminator, loss)
    folder, custom = open_run(Path(path)), CustomParts(generator, discriminator, loss)
    networks.check_same_parts(folder, custom)
    check_loggers(folder.config().logger)
    places = {"device": device, "devices": devices, "num_nodes": num_nodes}
    new_data = None if data is None else data_path(data)
    durations = {"steps": steps, "images": images, "epochs": epochs, "minutes": minutes}
    changes = {name: value for name, value in (durations | places).items() if value is not None}
    task = partial(
        _resume,
        path=folder.path,
        custom=custom,
        changes=changes | ({} if new_data is None else {"data": new_data}),
        callbacks=callbacks,
        show_progress=show_progress,
    )
    config = with_launcher_devices(replace(folder.config(), **_select(changes, PLACE_SETTINGS)))
    run_on_devices(config, task, custom_names=_names(custom, callbacks))
    return folder


def _select(changes: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: changes[name] for name in names if name in changes}


@explain_out_of_memory(MEMORY_ADVICE)
def _resume(
    fabric: Devices,
    announce: Callable[[str], None],
    *,
    path: Path,
    custom: CustomParts,
    changes: dict[str, Any],
    callbacks: Sequence[Any] = (),
    show_progress: bool = True,
) -> str:
    """Continue in this process, alone or as one of many."""
    folder = RunFolder(path)
    announce(str(path))
    with lock_run(path) if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            folder.complete_interrupted_writes()
        barrier(fabric)
        own_callbacks = _callbacks(fabric, callbacks, folder.config().logger, show_progress)
        state, writer = _restore(fabric, folder, custom, changes, own_callbacks)
        with catch_stop_signals() as stop_signals:
            if fabric.is_global_zero:
                writer.history.rewrite()
                folder.remove_unfinished_files()
                if _select(changes, (*DURATIONS, "data")):  # saved now, wherever the run is interrupted
                    save_state(state, writer)
                    folder.write_config(state.config, state.objective.score_kind, custom.names)
            fit(state, writer, stop_signals)
    return str(path)


def _restore(
    fabric: Devices, folder: RunFolder, custom: CustomParts, changes: dict[str, Any], callbacks: Callbacks
) -> tuple[State, RunWriter]:
    """Return the state of a run as it was saved, and its writer. Nothing is written.

    Raises:
        UserError: as `resume`.
    """
    config, record = folder.config(), read_checkpoint(folder.checkpoint)
    _check_settings(folder, config, record.settings)
    duration = _select(changes, DURATIONS)
    config = replace(config, **_select(changes, PLACE_SETTINGS), **(NO_DURATION | duration if duration else {}))
    config = with_launcher_devices(config)
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
    entries = list(folder.log.entries())[: record.log_entries]
    writer = RunWriter(folder, History(folder.log if fabric.is_global_zero else None, entries), callbacks, custom.names)
    other_tensors = restore_tensors(folder.checkpoint, state.saved_parts())
    _restore_progress(state, record, keeps_plan=not duration)
    writer.healthy = restore_healthy_state(state, writer.history, record.healthy, other_tensors)
    if state.matcher is not None:
        state.conditions = state.matcher.groups if state.config.groups or state.config.conditional else None
    elif networks.uses_groups(state.config, custom):
        assert isinstance(state.ema.network, GroupedGenerator)
        state.conditions = state.ema.network.assign_groups(state.data.pixels, state.data.labels)
    barrier(fabric)  # every process has read the run before the first one writes
    _check_not_finished(folder, state, has_new_duration=bool(duration))
    arithmetic = describe_arithmetic(fabric)
    if not is_same_arithmetic(record.arithmetic, arithmetic):
        callbacks.on_message(
            f"{folder.path} ran on {record.arithmetic}, now on {arithmetic}: it continues from there, but the result "
            "is not the same to the bit"
        )
    return state, writer


def _restore_progress(state: State, record: CheckpointRecord, *, keeps_plan: bool) -> None:
    """Put the progress of a checkpoint into a state whose tensors were restored already."""
    new_plan = state.progress.planned_images
    state.progress = record.progress()
    if not keeps_plan:
        state.progress.planned_images = new_plan
    state.progress.first_plan = record.first_plan or state.progress.planned_images
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
    if is_named_set(config.data):
        return config.data
    places = list(dict.fromkeys(filter(None, (record.data_path, absolute_path(config.data)))))
    existing = [place for place in places if path_exists(place)]
    if not existing:
        raise UserError(
            f"{folder.path} cannot be resumed: its pictures are not at {' or '.join(map(printable, places))}: give "
            "--data"
        )
    if len(existing) == 1:
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
        raise UserError(
            f"{folder.path} is finished: --patience ended it at step {step}; {folder.model} is its best model"
        )
    has_used_minutes = state.progress.seconds >= 60 * (state.config.minutes or math.inf)
    if is_finished(state) or (has_new_duration and has_used_minutes):
        raise UserError(f"{folder.path} is finished at step {step}: give a larger --steps to continue")
