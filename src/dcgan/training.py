"""Training: setup -> fit. One loop for every GAN; what differs between them comes in as data from the settings."""

import math
import os
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dcgan import checkpoint, parts, report, run, validate
from dcgan.config import DEFAULT_PRESET, DURATIONS, NO_LENGTH, Config, UserError, configure
from dcgan.curves import curves
from dcgan.devices import Devices, first_alone, greatest, here
from dcgan.files import printable
from dcgan.images import grid, save_png
from dcgan.lock import locked
from dcgan.losses import Objective
from dcgan.models.groups import GroupedGenerator
from dcgan.parts import BUILT, Own
from dcgan.processes import Stopped, run_on
from dcgan.record import first_reals, log, progress_bar, save, save_state, say, say_data
from dcgan.recovery import cause, roll_back, take
from dcgan.run import RunFolder
from dcgan.signals import stop_signals
from dcgan.state import COUNTERS, WHERE, State, held, measured_plan, setup, where
from dcgan.step import update

SAVE_SECONDS = 300.0
"""The state is saved at least this often, however far apart the saves of `save_every` are."""


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
    own = Own(generator, discriminator, loss if isinstance(loss, Objective) else None)
    return train_config(configure(preset, **settings), Path(out) if out else None, own)


def train_config(config: Config, out: Path | None = None, own: Own = BUILT) -> RunFolder:
    """Train with these settings into a new run folder: see `train`."""
    if all(getattr(config, name) is None for name in DURATIONS):
        raise UserError("say how long to train: --steps, --images, --epochs or --minutes")
    config = here(config)
    return RunFolder(Path(run_on(config, partial(_train, config=config, out=out, own=own), own=own.names)))


def _train(fabric: Devices, tell: Callable[[str], None], *, config: Config, out: Path | None, own: Own) -> str:
    """Train, alone or as one of many: only the first process has anything to do with the run folder."""
    state = setup(config, own, fabric)
    path = Path(fabric.broadcast(str(run.place(out, state.config)) if fabric.is_global_zero else ""))
    # From here on there is a folder, and Ctrl-C leaves it whole.
    with stop_signals() as received, locked(path) if fabric.is_global_zero else nullcontext():
        folder = RunFolder(path)
        if fabric.is_global_zero:
            folder = run.create(path, state.config, own.names)
            say_data(state)
            if state.data.skipped:
                folder.write_skipped(state.data.skipped)
            save_png(grid(first_reals(state)), path / "reals.png")
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
    folder, own = run.open_run(Path(path)), Own(generator, discriminator, loss)
    parts.check_same(folder, own)
    places = {"device": device, "devices": devices, "num_nodes": num_nodes}
    given = {name: value for name, value in (length | places).items() if value is not None}
    work = partial(_resume, path=folder.path, own=own, given=given)
    run_on(here(replace(folder.config(), **_only(given, WHERE))), work, own=own.names)
    return folder


def _only(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _resume(fabric: Devices, tell: Callable[[str], None], *, path: Path, own: Own, given: dict[str, Any]) -> str:
    """Go on, alone or as one of many."""
    folder, length = RunFolder(path), _only(given, DURATIONS)
    tell(str(path))
    with locked(path) if fabric.is_global_zero else nullcontext():
        state = _restored(fabric, folder, own, given)
        with stop_signals() as received:
            if fabric.is_global_zero:
                folder.write_log(state.entries)
                folder.sweep()
                if length:  # the new plan is in the state from now on, wherever the run is cut off
                    save_state(state, folder)
                    folder.write_config(state.config, own.names)
            fit(state, folder, received)
    return str(path)


def _restored(fabric: Devices, folder: RunFolder, own: Own, given: dict[str, Any]) -> State:
    """The state of a run, as it was saved. Nothing is written.

    Raises:
        UserError: as `resume`.
    """
    with first_alone(fabric):  # reading may mend what a killed process left
        config, saved = folder.config(), checkpoint.read(folder.checkpoint, COUNTERS)
    _check_settings(folder, config, saved["settings"])
    length = _only(given, DURATIONS)
    config = here(replace(config, **_only(given, WHERE), **(NO_LENGTH | length if length else {})))
    # weights and groups come from the state, not from where they began
    state = setup(replace(config, init=None), own, fabric, is_new=False)
    state.config = config
    if (saved["data"] or state.data.key) != state.data.key:
        raise UserError(
            f"{folder.path} cannot go on: {printable(config.data)} holds other pictures now than when it began"
        )
    state.entries = list(folder.entries())[: saved["entries"]]
    take(state, saved, checkpoint.restore(folder.checkpoint, state.parts()))
    if parts.tells_groups(state.config, own):
        assert isinstance(state.ema.network, GroupedGenerator)
        state.told = state.ema.network.sorted(state.data.pixels, state.data.labels)
    greatest(fabric, 0)  # all have read before the first writes
    if not length:
        state.planned = saved["planned"]
    state.first_plan = saved["first_plan"] or state.planned
    if out_of_patience(state):
        raise UserError(
            f"{folder.path} is finished: it ran out of --patience at step {state.step}; {folder.model} is its best"
        )
    if finished(state) or (length and state.seconds >= 60 * (config.minutes or math.inf)):
        raise UserError(f"{folder.path} is finished at step {state.step}: give a larger --steps to go on")
    if saved["where"] != (now := where(fabric)) and fabric.is_global_zero:
        say(f"{folder.path} ran on {saved['where']}, now on {now}: it goes on from there, but not the same to the bit")
    return state


def _check_settings(folder: RunFolder, config: Config, saved: dict[str, Any]) -> None:
    """Refuse to go on with settings that were changed in a run's config.json by hand.

    Raises:
        UserError: the first of them, by name.
    """
    for name, value in held(config).items():
        if saved.get(name, value) != value:
            raise UserError(
                f"{folder.path} cannot go on: {name} in its config.json is {value} now and was {saved[name]}; put it "
                "back, or train anew (--init takes this run's generator along)"
            )


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
    config, measured_by, is_first = state.config, validate.prepare(state), state.fabric.is_global_zero
    if state.healthy is None:
        save(state, folder)
    with progress_bar(state, folder) as bar:
        saved, stop = time.monotonic(), 0
        while not finished(state) and not stop:
            _timed_update(state)
            stop, is_due = _agreed(state, received, saved)
            bar.total = state.planned
            bar.update(state.images_seen - bar.n)
            is_log, is_save = state.step % config.log_every == 0, state.step % config.save_every == 0
            if what := cause(state, look=is_log or is_save or is_due or finished(state) or stop > 0):
                said = roll_back(state, folder, what)
                if is_first:
                    say(said)
                save_state(state, folder)  # the event counts from now on, and the log is cut as the state is
                continue
            if is_log:
                log(state, folder, bar)
            if config.evaluate_every and state.step % config.evaluate_every == 0:
                validate.validate(state, folder, measured_by, bar)
            if is_save or is_due:
                (save if is_save else save_state)(state, folder)
                saved = time.monotonic()
        if finished(state) and state.step % config.log_every:
            log(state, folder, bar)
        if state.step % config.save_every:
            save(state, folder)
    if is_first:
        curves(list(folder.lines()), folder.path / "curves.png", is_bce=state.objective.is_bce)
        report.write(folder)
    if stop and not finished(state):
        raise Stopped(f"stopped and saved; go on with: dcgan resume {shlex.quote(str(folder.path))}", stop)


def _timed_update(state: State) -> None:
    """One step, its time counted."""
    begin = time.perf_counter()
    update(state)
    if state.fabric.device.type == "cuda" and (state.planned is None or state.step % state.config.log_every == 0):
        torch.cuda.synchronize()  # or the clock would time the asking, not the work
    state.seconds += time.perf_counter() - begin


def _agreed(state: State, received: Sequence[int], saved: float) -> tuple[int, bool]:
    """What all processes must do alike: whether to stop for a signal that any of them got, and to save by the clock.

    A length in minutes becomes one in images here. Of clocks the first process's counts.
    """
    is_first = state.fabric.is_global_zero
    is_due = is_first and time.monotonic() - saved >= SAVE_SECONDS
    planned = state.planned or (measured_plan(state) if is_first else None)
    stop, due, images = greatest(state.fabric, received[0] if received else 0, is_due, planned or 0)
    state.planned = images or None
    state.first_plan = state.first_plan or state.planned
    return stop, due > 0


def finished(state: State) -> bool:
    """Whether the planned number of images has been seen, or nothing gets better any more."""
    return out_of_patience(state) or (state.planned is not None and state.images_seen >= state.planned)


def out_of_patience(state: State) -> bool:
    """Whether too many measurements in a row were no better than the best."""
    return 0 < state.config.patience <= state.stale
