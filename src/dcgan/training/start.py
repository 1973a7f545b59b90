"""Training: setup -> fit. One loop for every GAN; what differs between them comes in as data from the settings."""

import math
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from dcgan.config import DURATIONS, NO_DURATION, Config
from dcgan.devices.connect import Devices, first_process_first, max_over_ranks, with_launcher_devices
from dcgan.devices.processes import run_on_devices
from dcgan.devices.signals import stop_signals
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.images import make_grid, save_png
from dcgan.models.groups import GroupedGenerator
from dcgan.presets import DEFAULT_PRESET, configure
from dcgan.run import folder as folder_module
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.training import checkpoint, networks
from dcgan.training.loop import fit, is_finished, is_out_of_patience
from dcgan.training.losses import Objective
from dcgan.training.networks import NO_CUSTOM_PARTS, CustomParts
from dcgan.training.recovery import restore_progress
from dcgan.training.snapshot import (
    first_reals,
    print_data_notice,
    print_line,
    save_state,
)
from dcgan.training.state import COUNTERS, WHERE, State, describe_arithmetic, fixed_settings, set_up


def train(
    preset: str | os.PathLike[str] = DEFAULT_PRESET,
    *,
    out: str | os.PathLike[str] | None = None,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    loss: str | Objective | None = None,
    **settings: Any,
) -> RunFolder:
    """Train a GAN, as `dcgan train` does.

    Args:
        preset: a name in `PRESETS`, or the path of a run's `config.json`.
        out: the run folder; by default the next free one in `runs/`.
        generator: a network of your own, (N, z_dim) -> (N, C, H, W) in [-1, 1], in the place of the preset's. Its
            `z_dim` is its attribute of that name, or the setting (192 in `fast`). It is trained in place.
        discriminator: a network of your own, (N, C, H, W) -> (N, 1). Trained in place too.
        loss: a name, or an `Objective` of your own.
        **settings: fields of `Config`, such as `data="mnist"`, `steps=500`, `lr=1e-3`. With `conditional=True` both
            networks are called with labels, int64 (N,), as a second argument.

    Returns:
        The run folder; `dcgan.load(run)` gives the trained model, unless its class is your own.

    Raises:
        UserError: a setting that cannot work, or a folder that cannot be written. Nothing is touched then.
        LostRankError: on several devices, one of the processes ended before the run did.
        Stopped: Ctrl-C or SIGTERM, after the run was saved.
    """
    if isinstance(loss, str):
        settings["loss"] = loss
    own = CustomParts(generator, discriminator, loss if isinstance(loss, Objective) else None)
    return train_config(configure(preset, **settings), Path(out) if out else None, own)


def train_config(config: Config, out: Path | None = None, own: CustomParts = NO_CUSTOM_PARTS) -> RunFolder:
    """Train with these settings into a new run folder: see `train`."""
    if all(getattr(config, name) is None for name in DURATIONS):
        raise UserError("say how long to train: --steps, --images, --epochs or --minutes")
    config = with_launcher_devices(config)
    return RunFolder(Path(run_on_devices(config, partial(_train, config=config, out=out, own=own), own=own.names)))


def _train(fabric: Devices, tell: Callable[[str], None], *, config: Config, out: Path | None, own: CustomParts) -> str:
    """Train, alone or as one of many: only the first process has anything to do with the run folder."""
    state = set_up(config, own, fabric)
    path = Path(
        fabric.broadcast(str(folder_module.make_run_folder(out, state.config)) if fabric.is_global_zero else "")
    )
    # From here on there is a folder, and Ctrl-C leaves it whole.
    with stop_signals() as received, lock_run(path) if fabric.is_global_zero else nullcontext():
        folder = RunFolder(path)
        if fabric.is_global_zero:
            folder = folder_module.create_run(path, state.config, state.objective.score_kind, own.names)
            print_data_notice(state)
            if state.data.skipped:
                folder.write_skipped_files(state.data.skipped)
            save_png(make_grid(first_reals(state)), path / "reals.png")
        tell(str(path))
        fit(state, folder, received)
    return str(path)


def resume(
    path: str | os.PathLike[str],
    *,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    loss: Objective | None = None,
    device: str | None = None,
    devices: int | None = None,
    num_nodes: int | None = None,
    **length: float | None,
) -> RunFolder:
    """Go on with a run just where it stopped, as `dcgan resume` does.

    Args:
        path: the run folder.
        generator: your own, if the run was started with one; its weights are read from the run.
        discriminator: the same.
        loss: the same.
        device: go on there instead of where the run was; other arithmetic, so no longer the same to the bit.
        devices: go on on so many.
        num_nodes: go on on so many machines.
        **length: a new `steps`, `images`, `epochs` or `minutes`, counted from the run's start.

    Raises:
        UserError: no run, a damaged state, or a run that has already reached its length.
    """
    folder, own = folder_module.open_run(Path(path)), CustomParts(generator, discriminator, loss)
    networks.check_same_parts(folder, own)
    places = {"device": device, "devices": devices, "num_nodes": num_nodes}
    given = {name: value for name, value in (length | places).items() if value is not None}
    work = partial(_resume, path=folder.path, own=own, given=given)
    run_on_devices(with_launcher_devices(replace(folder.config(), **_only(given, WHERE))), work, own=own.names)
    return folder


def _only(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _resume(
    fabric: Devices, tell: Callable[[str], None], *, path: Path, own: CustomParts, given: dict[str, Any]
) -> str:
    """Go on, alone or as one of many."""
    folder, length = RunFolder(path), _only(given, DURATIONS)
    tell(str(path))
    with lock_run(path) if fabric.is_global_zero else nullcontext():
        state = _restored(fabric, folder, own, given)
        with stop_signals() as received:
            if fabric.is_global_zero:
                folder.log.replace(state.entries)
                folder.remove_unfinished_files()
                if length:  # the new plan is in the state from now on, wherever the run is cut off
                    save_state(state, folder)
                    folder.write_config(state.config, state.objective.score_kind, own.names)
            fit(state, folder, received)
    return str(path)


def _restored(fabric: Devices, folder: RunFolder, own: CustomParts, given: dict[str, Any]) -> State:
    """The state of a run, as it was saved. Nothing is written.

    Raises:
        UserError: as `resume`.
    """
    with first_process_first(fabric):  # reading may mend what a killed process left
        config, saved = folder.config(), checkpoint.read_checkpoint(folder.checkpoint, COUNTERS)
    _check_settings(folder, config, saved["settings"])
    length = _only(given, DURATIONS)
    config = with_launcher_devices(replace(config, **_only(given, WHERE), **(NO_DURATION | length if length else {})))
    # weights and groups come from the state, not from where they began
    state = set_up(replace(config, init=None), own, fabric, is_new=False)
    state.config = config
    if (saved["data"] or state.data.key) != state.data.key:
        raise UserError(
            f"{folder.path} cannot go on: {printable(config.data)} holds other pictures now than when it began"
        )
    state.entries = list(folder.log.entries())[: saved["entries"]]
    restore_progress(state, saved, checkpoint.restore_tensors(folder.checkpoint, state.parts()))
    if networks.tells_groups(state.config, own):
        assert isinstance(state.ema.network, GroupedGenerator)
        state.told = state.ema.network.sorted(state.data.pixels, state.data.labels)
    max_over_ranks(fabric, 0)  # all have read before the first writes
    if not length:
        state.planned = saved["planned"]
    state.first_plan = saved["first_plan"] or state.planned
    if is_out_of_patience(state):
        raise UserError(
            f"{folder.path} is finished: it ran out of --patience at step {state.step}; {folder.model} is its best"
        )
    if is_finished(state) or (length and state.seconds >= 60 * (config.minutes or math.inf)):
        raise UserError(f"{folder.path} is finished at step {state.step}: give a larger --steps to go on")
    if saved["where"] != (now := describe_arithmetic(fabric)) and fabric.is_global_zero:
        print_line(
            f"{folder.path} ran on {saved['where']}, now on {now}: it goes on from there, but not the same to the bit"
        )
    return state


def _check_settings(folder: RunFolder, config: Config, saved: dict[str, Any]) -> None:
    """Refuse to go on with settings that were changed in a run's config.json by hand.

    Raises:
        UserError: the first of them, by name.
    """
    for name, value in fixed_settings(config).items():
        if saved.get(name, value) != value:
            raise UserError(
                f"{folder.path} cannot go on: {name} in its config.json is {value} now and was {saved[name]}; put it "
                "back, or train anew (--init takes this run's generator along)"
            )
