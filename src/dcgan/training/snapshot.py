"""What a training writes on the way: grids, the model, the checkpoint, and what the diagnoses find."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dcgan.data.sampler import epoch_order
from dcgan.files import printable
from dcgan.images import Pixels, save_png
from dcgan.models.store import save_generator
from dcgan.presets import train_command
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.run.folder import RunFolder
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_pixels
from dcgan.sampling.output import grid_sample_count, make_sample_grid
from dcgan.training import health
from dcgan.training.best_model import UnsuspectedModel
from dcgan.training.callbacks import Callbacks, SnapshotEvent
from dcgan.training.checkpoint import collect_tensors, save_checkpoint
from dcgan.training.ema import estimate_batchnorm
from dcgan.training.history import History
from dcgan.training.matching import FEATURES, FROZEN_NETWORK_SHA256
from dcgan.training.picture_watch import PictureWatch
from dcgan.training.recovery import HealthyState, copy_healthy_state
from dcgan.training.state import State

BATCHNORM_BLOCKS = 16
"""Blocks of latents from which the averaged generator's BatchNorm statistics are estimated."""


@dataclass
class RunWriter:
    """What belongs to a run besides the state: where it is written, what was logged, and who is told.

    Attributes:
        folder: the run folder.
        history: the metrics log.
        callbacks: the callbacks; none on other processes than the first.
        custom_names: which parts are the user's own.
        healthy: the last healthy state; None before the first snapshot.
        unsuspected: the best evaluated generator without an excess of near samples, see `best_model`.
        picture_watch: what compares the pictures of snapshots.
    """

    folder: RunFolder
    history: History
    callbacks: Callbacks
    custom_names: list[str] = field(default_factory=list)
    healthy: HealthyState | None = None
    unsuspected: UnsuspectedModel | None = None
    picture_watch: PictureWatch = field(default_factory=PictureWatch)


def save_snapshot(state: State, writer: RunWriter) -> None:
    """Write the grid of fixed latents, the model and the checkpoint.

    Every `save_every` steps the pictures are measured too, and the state becomes the one that a recovery goes back to.
    """
    progress = state.progress
    is_regular = progress.step % state.config.save_every == 0
    if state.is_first_process:
        network = averaged_generator(state)
        pixels, grid = _save_grid(state, writer.folder, network)
        if is_regular:
            writer.history.add(writer.picture_watch.make_event(state, pixels))
            report_health(state, writer)
    if is_regular:
        progress.recoveries_in_a_row = 0
        writer.healthy = copy_healthy_state(state, writer.history)
    # Otherwise the best evaluated model is kept, or the last one before the samples became copies.
    if state.is_first_process and progress.best_distance is None and progress.copies_step is None:
        save_generator(network, writer.folder.model, training_origin(state, writer.custom_names))
    save_state(state, writer)
    if state.is_first_process:
        event = SnapshotEvent(progress.step, progress.images_seen, grid, writer.folder.model)
        writer.callbacks.on_snapshot(event)


def _save_grid(state: State, folder: RunFolder, network: nn.Module) -> tuple[Pixels, Path]:
    """Draw the fixed latents and write the grid; return the pictures, uint8 (N, H, W, C), and the grid's path."""
    n = grid_sample_count(state.class_count)
    z = latents.draw_latents(state.config.seed, n, state.config.z_dim)
    pixels = generate_pixels(network, z, latents.cycle_labels(n, state.class_count))
    path = folder.grid_path(state.progress.images_seen)
    path.parent.mkdir(exist_ok=True)  # grids may have been deleted to save space
    save_png(make_sample_grid(pixels, state.class_count), path)
    return pixels, path


def training_origin(state: State, custom_names: list[str]) -> dict[str, Any]:
    """Return how the generator was trained, as a saved model records it."""
    config, extended_plan = state.config, state.progress.extended_plan(state.config.lr_end)
    origin: dict[str, Any] = {
        "preset": config.preset,
        "data": printable(config.data),
        "fit": config.fit,
        "value_range": None if config.value_range is None else list(config.value_range),
        "data_key": state.data.pictures_key or None,
        "data_rules": state.data.rules,
        "step": state.progress.step,
        "images_seen": state.progress.images_seen,
        "averaged": config.ema > 0,
        "command": None if custom_names else printable(train_command(config, extended_plan)),
    }
    matched = {} if state.matcher is None else {"features": FEATURES, "features_sha256": FROZEN_NETWORK_SHA256}
    origin |= {} if state.part_count is None else {"data_parts": state.part_count}
    return origin | matched | ({"classes": list(state.data.classes)} if state.class_count else {})


def save_state(state: State, writer: RunWriter) -> None:
    """Write the checkpoint, with the last healthy state if that is another one."""
    if not state.is_first_process:
        return
    assert writer.healthy is not None
    tensors = collect_tensors(state.saved_parts()) | state.saved_groups()
    healthy_record = writer.healthy.record(state.progress.step)
    if healthy_record:
        tensors |= {f"healthy/{name}": tensor for name, tensor in writer.healthy.tensors.items()}
    if writer.unsuspected is not None:
        tensors |= writer.unsuspected.saved_tensors()
    # A run whose last checkpoint is written is finished: nothing would add to its log if it were killed now.
    writer.history.write_last_entries()
    writer.history.fsync()  # the log entries that the checkpoint counts must be on the disk before it is
    record = state.checkpoint_record(len(writer.history.entries), healthy_record)
    record.unsuspected = None if writer.unsuspected is None else writer.unsuspected.record
    save_checkpoint(writer.folder.checkpoint, tensors, record)


def averaged_generator(state: State) -> nn.Module:
    """Return the generator that is drawn from and saved: averaged weights with BatchNorm statistics of their own."""
    network = state.ema.network
    if not state.config.ema:
        network.load_state_dict(state.generator.state_dict())
        return network.eval()
    for averaged, current in zip(network.buffers(), state.generator.buffers(), strict=True):
        averaged.copy_(current)  # buffers are not averaged: for example the vectors of spectral normalization
    seed = derive_seed(state.config.seed, RandomPurpose.BATCHNORM_LATENTS)
    n = BATCHNORM_BLOCKS * latents.SAMPLE_BATCH_SIZE
    z, labels = latents.draw_latents(seed, n, state.config.z_dim), latents.cycle_labels(n, state.class_count)
    inputs = [t.to(state.fabric.device) for t in (z, labels) if t is not None]
    estimate_batchnorm(network, zip(*(torch.split(t, latents.SAMPLE_BATCH_SIZE) for t in inputs), strict=True))
    return network


def report_health(state: State, writer: RunWriter) -> None:
    """Log each new diagnosis and tell the user: each name once a run."""
    reported = {entry.get("diagnosis") for entry in writer.history.entries}
    for diagnosis in health.diagnose(writer.history.entries):
        if diagnosis.name not in reported:
            step, images_seen = state.progress.step, state.progress.images_seen
            writer.history.add({"event": "health", "step": step, "images_seen": images_seen, **diagnosis.as_json()})
            writer.callbacks.on_message(f"step {step:,}: {diagnosis} (docs/health.md)")


def first_reals(state: State) -> Pixels:
    """Return as many real pictures as a grid holds, uint8 (N, H, W, C): the first that are trained on."""
    rows = epoch_order(len(state.data), state.config.seed, 0)[: grid_sample_count(0)]
    pixels: Pixels = state.data.pixels[rows].permute(0, 2, 3, 1).cpu().numpy()
    return pixels
