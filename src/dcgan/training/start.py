"""Starting and resuming a training: from the settings, or from a run folder, to the loop."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from dcgan.cache import expand_user
from dcgan.config import DURATIONS, TOO_FEW_PICTURES, Config
from dcgan.data.classes import describe_small_classes
from dcgan.data.listing import describe_skipped
from dcgan.data.location import is_named_set
from dcgan.data.parts import WHOLE, Part
from dcgan.data.python_objects import data_path
from dcgan.data.value_range import ValueRange
from dcgan.devices.connect import Devices, barrier, with_launcher_devices
from dcgan.devices.launcher import detect_launcher
from dcgan.devices.processes import run_on_devices
from dcgan.devices.signals import catch_stop_signals
from dcgan.errors import UserError
from dcgan.images import make_grid, save_png
from dcgan.presets import DEFAULT_PRESET, configure, preset_config
from dcgan.run.folder import RunFolder, create_run, explain_file_errors, make_run_folder, open_run
from dcgan.run.lock import lock_run
from dcgan.system.allocator import keep_freed_memory
from dcgan.system.preparation import show_preparations
from dcgan.system.resources import explain_out_of_memory, format_bytes
from dcgan.system.torch_settings import isolate_torch_settings
from dcgan.training import networks, try_parts
from dcgan.training.callbacks import Callbacks, check_callbacks
from dcgan.training.history import History
from dcgan.training.load_watch import LoadWatch
from dcgan.training.loggers import check_loggers, make_logger_callbacks
from dcgan.training.loop import fit
from dcgan.training.losses import Objective
from dcgan.training.memory import ADVICE as MEMORY_ADVICE
from dcgan.training.memory import check_step_memory
from dcgan.training.networks import NO_CUSTOM_PARTS, CustomParts
from dcgan.training.progress_bar import ProgressBar
from dcgan.training.recipe import Recipe, choose_recipe, describe_choice, objective_notices, too_few_text
from dcgan.training.restore import restore_run, select
from dcgan.training.set_up import planned_images, set_up
from dcgan.training.snapshot import RunWriter, first_reals, save_state
from dcgan.training.state import PLACE_SETTINGS, State
from dcgan.training.worker_status import StatusFile


@isolate_torch_settings()
def train(
    preset: str | os.PathLike[str] | None = None,
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
        preset: a name in `PRESETS`, or the path of a run's `config.json`. Without it, the data decide: `match` for 20
            to 20,000 color pictures to train on, if it takes the settings, otherwise `fast`, with other settings for
            a run of 400,000 images and more.
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
        UserError: a setting that cannot work, or a folder that cannot be written. Nothing has been changed then. Also
            if a file of the run cannot be written later, for example because the disk is full.
        LostRankError: on several devices, one of the processes ended before the run did.
        TrainingStopped: Ctrl-C, SIGTERM or SIGHUP, after the run was saved.
    """
    try_parts.check_modules(generator, discriminator, loss)
    check_callbacks(callbacks)
    if isinstance(loss, str):
        settings["loss"] = loss
    if data is not None:
        with show_preparations(show_progress):
            settings["data"] = data_path(data, _launched_part() if settings.get("split_data") else WHOLE)
    if discriminator is not None:  # if r1 is given, the objective changes no other setting, see preset_config
        settings.setdefault("r1", preset_config(os.fspath(preset or DEFAULT_PRESET)).r1)
    custom = CustomParts(generator, discriminator, loss if isinstance(loss, Objective) else None)
    recipe = choose_recipe(settings, custom) if preset is None else Recipe(configure(preset, **settings), "")
    return train_config(
        recipe.config,
        expand_user(out) if out else None,
        custom,
        callbacks,
        show_progress=show_progress,
        preset_reason=recipe.reason,
    )


def _launched_part() -> Part | None:
    """Return which part of divided data this process holds, as its launcher says; None without a launcher."""
    launched = detect_launcher()
    return None if launched is None else (launched.rank, launched.devices * launched.nodes)


@isolate_torch_settings()
def train_config(
    config: Config,
    out: Path | None = None,
    custom: CustomParts = NO_CUSTOM_PARTS,
    callbacks: Sequence[Any] = (),
    *,
    show_progress: bool = True,
    preset_reason: str = "",
    whole_run: Config | None = None,
) -> RunFolder:
    """Train with these settings into a new run folder: see `train`.

    Args:
        config: the settings.
        out: the run folder; by default the next free one in `runs/`.
        custom: the user's own parts.
        callbacks: the user's own callbacks.
        show_progress: show the progress bar and messages on standard error.
        preset_reason: why the preset was chosen, if the user did not choose it: see `Recipe`.
        whole_run: the settings of the whole run, if this is its first part and `resume` trains the others: the learning
            rates fall over all of it.
    """
    if all(getattr(config, name) is None for name in DURATIONS):
        raise UserError("say how long to train: --steps, --images, --epochs or --minutes")
    networks.check_names(config)
    check_loggers(config.logger)
    config = with_launcher_devices(config)
    task = partial(
        _train,
        config=config,
        out=out,
        custom=custom,
        callbacks=callbacks,
        show_progress=show_progress,
        preset_reason=preset_reason,
        whole_run=whole_run,
    )
    return RunFolder(Path(run_on_devices(config, task, custom_names=_names(custom, callbacks))))


def _names(custom: CustomParts, callbacks: Sequence[Any]) -> list[str]:
    """Return what of the user's own cannot be given to new processes. A status file is only a path, and can."""
    own_callbacks = [callback for callback in callbacks if not isinstance(callback, StatusFile)]
    return [*custom.names, *(["callbacks"] if own_callbacks else [])]


def _callbacks(fabric: Devices, callbacks: Sequence[Any], loggers: Sequence[str], show_progress: bool) -> Callbacks:
    """Return the callbacks of this process, the loggers among them: only the first process has any."""
    if not fabric.is_global_zero:
        return Callbacks()
    own = Callbacks([*([ProgressBar()] if show_progress else []), *callbacks])
    if fabric.device.type == "cpu" and fabric.world_size == 1:
        own.add([LoadWatch(own.on_message)])
    own.add(make_logger_callbacks(loggers, own.on_message))
    return own


@explain_out_of_memory(MEMORY_ADVICE)
@keep_freed_memory()
def _train(
    fabric: Devices,
    announce: Callable[[str], None],
    *,
    config: Config,
    out: Path | None,
    custom: CustomParts,
    callbacks: Sequence[Any] = (),
    show_progress: bool = True,
    preset_reason: str = "",
    whole_run: Config | None = None,
) -> str:
    """Train in this process, alone or as one of many. Only the first process writes to the run folder."""
    with show_preparations(show_progress and fabric.is_global_zero):
        state = set_up(config, custom, fabric)
    if whole_run is not None:
        _plan_as_part(state, whole_run)
    peak_bytes = None if custom.names else check_step_memory(state)  # the user's own parts may not be copied
    path = Path(fabric.broadcast(str(make_run_folder(out, state.config)) if fabric.is_global_zero else ""))
    # From here on there is a folder, and Ctrl-C leaves it complete.
    run_lock = lock_run(path) if fabric.is_global_zero else nullcontext()
    with catch_stop_signals() as stop_signals, explain_file_errors(path), run_lock:
        folder = RunFolder(path)
        writer = RunWriter(
            folder,
            History(folder.log if fabric.is_global_zero else None),
            _callbacks(fabric, callbacks, config.logger, show_progress),
            custom.names,
        )
        if fabric.is_global_zero:
            create_run(path, state.config, state.objective.score_kind, custom.names)
            if preset_reason:
                writer.callbacks.on_message(describe_choice(state.config, state.data, preset_reason))
            for notice in (*objective_notices(state.config), *data_notices(state, config.value_range)):
                writer.callbacks.on_message(notice)
            if peak_bytes:
                writer.callbacks.on_message(f"memory: about {format_bytes(peak_bytes)} at most")
            if state.data.skipped_files:
                folder.write_skipped_files(state.data.skipped_files)
            save_png(make_grid(first_reals(state)), path / "reals.png")
        announce(str(path))
        with show_preparations(show_progress and fabric.is_global_zero):
            fit(state, writer, stop_signals)
    return str(path)


def _plan_as_part(state: State, whole_run: Config) -> None:
    """Let the learning rates of the first part of a run fall over the whole run."""
    state.progress.first_plan = planned_images(whole_run, state.picture_count)
    if whole_run.minutes is not None:
        state.progress.first_part = (state.config.minutes or whole_run.minutes) / whole_run.minutes


def data_notices(state: State, value_range: ValueRange | None = None) -> list[str]:
    """Return what the user should know of the data; nothing if all of it is used as it is.

    Args:
        state: of the run that begins.
        value_range: the range that the user gave.
    """
    data = state.data
    notices = [f"{data.name}: {notice}" for notice in (*data.notices, *filter(None, [state.notice]))]
    if value_range is not None and data.value_range is None:
        notices.append(f"{data.name}: --value-range changes nothing, because all pictures have 8 bits")
    n, (channels, height, width) = state.picture_count, data.pixels.shape[1:]
    if data.original_size != f"{height}x{width}":
        notices.append(
            f"{data.name}: {n:,} pictures of {data.original_size}, {channels} channel{'s' * (channels > 1)}, resized "
            f"to {height}x{width} ({state.config.fit}), the size that the network {state.config.network} draws"
        )
    if data.skipped_files:
        notices.append(f"{data.name}: {describe_skipped(data.skipped_files)}; skipped.json lists all")
    if n < TOO_FEW_PICTURES and not is_named_set(data.name):
        notices.append(f"{data.name}: {too_few_text(n)}")
    # Of a set that is divided among processes, another process may have the pictures of a class.
    if state.class_count and not state.part_sizes:
        notices += [f"{data.name}: {notice}" for notice in describe_small_classes(data)]
    return notices


@isolate_torch_settings()
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
    try_parts.check_modules(generator, discriminator, loss)
    check_callbacks(callbacks)
    if isinstance(loss, str):
        raise UserError(f"resume takes your own dcgan.Objective as loss, not the name {loss!r}")
    folder, custom = open_run(expand_user(path)), CustomParts(generator, discriminator, loss)
    networks.check_same_parts(folder, custom)
    check_loggers(folder.config().logger)
    places = {"device": device, "devices": devices, "num_nodes": num_nodes}
    own_part = _launched_part() if folder.config().split_data else WHOLE
    new_data = None if data is None else data_path(data, own_part)
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
    config = with_launcher_devices(replace(folder.config(), **select(changes, PLACE_SETTINGS)))
    run_on_devices(config, task, custom_names=_names(custom, callbacks))
    return folder


@explain_out_of_memory(MEMORY_ADVICE)
@keep_freed_memory()
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
    with explain_file_errors(path), lock_run(path) if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            folder.complete_interrupted_writes()
        barrier(fabric)
        own_callbacks = _callbacks(fabric, callbacks, folder.config().logger, show_progress)
        is_shown = show_progress and fabric.is_global_zero
        with show_preparations(is_shown):
            state, writer = restore_run(fabric, folder, custom, changes, own_callbacks)
        with catch_stop_signals() as stop_signals, show_preparations(is_shown):
            if fabric.is_global_zero:
                folder.remove_unfinished_files()
                writer.history.rewrite()
                if select(changes, (*DURATIONS, "data")):  # saved now, wherever the run is interrupted
                    save_state(state, writer)
                    extended_plan = state.progress.extended_plan(state.config.lr_end)
                    folder.write_config(state.config, state.objective.score_kind, custom.names, extended_plan)
            fit(state, writer, stop_signals)
    return str(path)
