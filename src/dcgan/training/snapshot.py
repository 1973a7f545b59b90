"""What a training writes: the log, the grids, the model and the state."""

import os
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from tqdm import tqdm

from dcgan.data.sampler import epoch_order
from dcgan.files import printable
from dcgan.images import Pixels, save_png
from dcgan.metrics import judge
from dcgan.models.store import save_generator
from dcgan.presets import train_command
from dcgan.rng import derive_seed
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.sampling import latents
from dcgan.sampling.model import generate_pixels
from dcgan.sampling.output import grid_sample_count, sample_grid
from dcgan.training import checkpoint, health, recovery
from dcgan.training.diversity import MAX_REAL_PICTURES, PixelRows, describe_real_pictures, measure_pictures
from dcgan.training.ema import estimate_batchnorm
from dcgan.training.state import SUMS, State

BATCHNORM_BLOCKS = 16
"""Blocks of latents from which the averaged generator's BatchNorm statistics are estimated."""
COMPARED_SIDE = 32
"""Pixels of a side at which pictures are compared."""


def save_snapshot(state: State, folder: RunFolder) -> None:
    """Write the grid of fixed latents, the model and the state.

    On the beat of `save_every` the pictures are measured too, and the state becomes the one to go back to.
    """
    is_beat = state.step % state.config.save_every == 0
    if state.fabric.is_global_zero:
        network = averaged_generator(state)
        pixels = _drawn(state, folder, network)
        if is_beat:
            add_entry(state, folder, _pictures(state, pixels))
            report_health(state, folder)
    if is_beat:
        state.in_a_row = 0
        recovery.remember_healthy(state)
    if state.fabric.is_global_zero and state.best is None:  # else it is the best one measured that is kept
        save_generator(network, folder.model, training_origin(state))
    save_state(state, folder)


def _drawn(state: State, folder: RunFolder, network: nn.Module) -> Pixels:
    """The pictures of the fixed latents (N, H, W, C), written as a grid."""
    n = grid_sample_count(state.classes)
    pixels = generate_pixels(
        network, latents.draw_latents(state.config.seed, n, state.config.z_dim), latents.cycle_labels(n, state.classes)
    )
    save_png(sample_grid(pixels, state.classes), folder.samples / f"{state.images_seen:08d}.png")
    return pixels


def training_origin(state: State) -> dict[str, Any]:
    """Where the generator comes from, as a saved model says it."""
    config = state.config
    trained: dict[str, Any] = {
        "preset": config.preset,
        "data": printable(config.data),
        "fit": config.fit,
        "step": state.step,
        "images_seen": state.images_seen,
        "averaged": config.ema > 0,
        "command": None if state.own.names else printable(train_command(config)),
    }
    return trained | ({"classes": list(state.data.classes)} if state.classes else {})


def save_state(state: State, folder: RunFolder) -> None:
    """Write what the run needs to go on: with the last healthy state, if that is another one."""
    if not state.fabric.is_global_zero:
        return
    tensors, healthy = checkpoint.collect_tensors(state.parts()), {}
    assert state.healthy is not None
    if state.healthy.counters["step"] != state.step:
        tensors |= {f"healthy/{name}": tensor for name, tensor in state.healthy.tensors.items()}
        healthy = state.healthy.counters
    folder.log.fsync()  # what the state counts on is on the disk before the state is
    checkpoint.save_checkpoint(folder.checkpoint, tensors, state.counters() | {"healthy": healthy})


def _pictures(state: State, pixels: Pixels) -> LogEntry:
    """The log's event for pictures (N, H, W, C) that were drawn from the fixed latents."""
    if state.compared is None:
        order = epoch_order(len(state.data), state.config.seed, 0)[:MAX_REAL_PICTURES]
        labels = state.data.labels[order].cpu().numpy() if state.classes and state.data.labels is not None else None
        reals = state.data.pixels[order.to(state.data.pixels.device)]
        state.compared = describe_real_pictures(_rows(reals), labels, len(state.data))
    labels = cycle.numpy() if (cycle := latents.cycle_labels(len(pixels), state.classes)) is not None else None
    found = measure_pictures(_rows(torch.from_numpy(pixels).permute(0, 3, 1, 2)), labels, state.compared)
    about = {"is_all": state.compared.is_all, **found} | _classes_drawn(state, pixels)
    return {"event": "pictures", "step": state.step, "images_seen": state.images_seen, **about}


def _classes_drawn(state: State, pixels: Pixels) -> dict[str, list[int]]:
    """How many of the pictures the package's judge takes for each class, where it knows the data."""
    if state.config.data != "mnist" or pixels.shape[1:] != (28, 28, 1):
        return {}
    _, scores = judge.judge_images(judge.load_shipped_judge(), torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return {"classes": scores.argmax(1).bincount(minlength=scores.shape[1]).tolist()}


def _rows(pixels: Tensor) -> PixelRows:
    """Pictures (N, C, H, W) as rows (N, P), none of their sides above 32 pixels: enough to tell them apart."""
    height, width = (min(side, COMPARED_SIDE) for side in pixels.shape[-2:])
    pieces = (
        adaptive_avg_pool2d(piece.float(), (height, width)).flatten(1) for piece in torch.split(pixels.cpu(), 256)
    )
    found: PixelRows = torch.cat(list(pieces)).numpy()
    return found


def add_entry(state: State, folder: RunFolder, entry: LogEntry) -> None:
    """Add a line or an event to the log, and to what the run remembers of it."""
    folder.log.append(entry)
    state.entries.append(entry)


def averaged_generator(state: State) -> nn.Module:
    """The generator that is drawn from and saved: averaged weights, with BatchNorm statistics of their own."""
    network = state.ema.network
    if not state.config.ema:
        network.load_state_dict(state.generator.state_dict())
        return network.eval()
    for mine, theirs in zip(network.buffers(), state.generator.buffers(), strict=True):
        mine.copy_(theirs)  # what is not averaged, such as the vectors of spectral normalisation
    seed, n = derive_seed(state.config.seed, 4), BATCHNORM_BLOCKS * latents.SAMPLE_BLOCK
    z, labels = latents.draw_latents(seed, n, state.config.z_dim), latents.cycle_labels(n, state.classes)
    inputs = [t.to(state.fabric.device) for t in (z, labels) if t is not None]
    estimate_batchnorm(network, zip(*(torch.split(t, latents.SAMPLE_BLOCK) for t in inputs), strict=True))
    return network


def log_metrics(state: State, folder: RunFolder, bar: "tqdm[Any]") -> None:
    """Write a line of the means since the last one, and show it beside the bar."""
    *sums, count = state.totals.tolist()  # the only place where the host waits for the device
    if state.step % state.config.log_every == 0:
        state.totals.zero_()
    if not state.fabric.is_global_zero:
        return
    means = {name: value / count for name, value in zip(SUMS, sums, strict=True)}
    line = {"step": state.step, "images_seen": state.images_seen, "seconds": round(state.seconds, 3), **means}
    if state.step % state.config.log_every == 0:
        add_entry(state, folder, line)
        report_health(state, folder)
    else:  # an end off the beat: a run that is extended goes on with the sum, and without this line
        folder.log.append(line)
    d_real, d_fake = means["d_real"], means["d_fake"]
    text = f"Loss_D {means['loss_d']:.3f}, Loss_G {means['loss_g']:.3f}, D(x) {d_real:.3f}, D(G(z)) {d_fake:.3f}"
    if state.objective.score_kind == "probability":
        text += f", from 1/2 {d_real - 0.5:+.3f} {d_fake - 0.5:+.3f}"
    bar.set_postfix_str(text, refresh=False)


def report_health(state: State, folder: RunFolder) -> None:
    """Name what has gone wrong, in the log and on the terminal: each thing once a run."""
    said = {entry.get("diagnosis") for entry in state.entries}
    for found in health.diagnose(state.entries):
        if found.name not in said:
            at = {"step": state.step, "images_seen": state.images_seen}
            add_entry(state, folder, {"event": "health", **at, **found.as_json()})
            print_line(f"step {state.step:,}: {found} (docs/health.md)")


def print_line(text: str) -> None:
    """One line on standard error, above the bar if there is one."""
    tqdm.write(printable(text), file=sys.stderr)


def print_data_notice(state: State) -> None:
    """Say once what the data is and what became of it; nothing where it is used just as it is."""
    data = state.data
    n, (channels, height, width) = len(data), data.pixels.shape[1:]
    if data.original != f"{height}x{width}":
        print(
            f"{data.name}: {n:,} pictures of {data.original}, {channels} channel{'s' * (channels > 1)}, resized to "
            f"{height}x{width} ({state.config.fit}), which the network {state.config.network} draws",
            file=sys.stderr,
        )
    if data.skipped:
        name, why = data.skipped[0]
        print(
            f"{data.name}: {len(data.skipped):,} files cannot be used and are listed in skipped.json, such as "
            f"{name} ({why})",
            file=sys.stderr,
        )


def first_reals(state: State) -> Pixels:
    """As many real pictures as a grid holds: the first that are trained on."""
    pixels = state.data.pixels[epoch_order(len(state.data), state.config.seed, 0)[: grid_sample_count(0)]]
    found: Pixels = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return found


def progress_bar(state: State, folder: RunFolder) -> "tqdm[Any]":
    """A bar over the images of the run, from where it is."""
    # In a log file a line every ten seconds is enough; on a terminal the bar moves as one looks at it.
    wait = 0.5 if os.isatty(2) else 10
    return tqdm(
        total=state.planned,
        initial=state.images_seen,
        desc=folder.path.name,
        unit="img",
        unit_scale=True,
        mininterval=wait,
        disable=not state.fabric.is_global_zero,
    )
