"""What a training writes: the log, the grids, the model and the state."""

import math
import os
import sys
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from dcgan import checkpoint, latents, models
from dcgan.config import UserError, command
from dcgan.data.sampler import epoch_order
from dcgan.ema import estimate_batchnorm
from dcgan.files import printable
from dcgan.images import Pixels, save_png
from dcgan.run import RunFolder
from dcgan.sample import draw, grid_size, sheet
from dcgan.state import State

NORM_BATCHES = 16
"""Blocks of latents from which the averaged generator's BatchNorm statistics are estimated."""


def save(state: State, folder: RunFolder) -> None:
    """Write the grid of fixed latents, the model and the state.

    Raises:
        UserError: a weight is not finite. Nothing is written then: the state before it is kept.
    """
    if not all(bool(p.isfinite().all()) for p in (*state.generator.parameters(), *state.discriminator.parameters())):
        raise _not_finite(state, folder)
    config, network, classes = state.config, averaged_generator(state), state.classes
    n = grid_size(classes)
    pixels = draw(network, latents.noise(config.seed, n, config.z_dim), latents.cycle(n, classes))
    save_png(sheet(pixels, classes), folder.samples / f"{state.images_seen:08d}.png")
    if state.best is None:  # else it is the best one measured, not the last, that is kept
        models.save_generator(network, folder.model, origin(state))
    checkpoint.save(folder.checkpoint, state.parts(), state.counters())


def origin(state: State) -> dict[str, Any]:
    """Where the generator comes from, as a saved model says it."""
    config = state.config
    trained: dict[str, Any] = {
        "preset": config.preset,
        "data": printable(config.data),
        "fit": config.fit,
        "step": state.step,
        "images_seen": state.images_seen,
        "averaged": config.ema > 0,
        "command": None if state.own.names else printable(command(config)),
    }
    return trained | ({"classes": list(state.data.classes)} if state.classes else {})


def averaged_generator(state: State) -> nn.Module:
    """The generator that is drawn from and saved: averaged weights, with BatchNorm statistics of their own."""
    network = state.ema.network
    if not state.config.ema:
        network.load_state_dict(state.generator.state_dict())
        return network.eval()
    for mine, theirs in zip(network.buffers(), state.generator.buffers(), strict=True):
        mine.copy_(theirs)  # what is not averaged, such as the vectors of spectral normalisation
    seed, n = latents.derive(state.config.seed, 4), NORM_BATCHES * latents.BLOCK
    z, labels = latents.noise(seed, n, state.config.z_dim), latents.cycle(n, state.classes)
    inputs = [t.to(state.fabric.device) for t in (z, labels) if t is not None]
    estimate_batchnorm(network, zip(*(torch.split(t, latents.BLOCK) for t in inputs), strict=True))
    return network


def log(state: State, folder: RunFolder, bar: "tqdm[Any]") -> None:
    """Write a line of the means since the last one, and show it beside the bar.

    Raises:
        UserError: one of them is not finite.
    """
    *sums, count = state.totals.tolist()  # the only place where the host waits for the device
    if state.step % state.config.log_every == 0:
        state.totals.zero_()  # but not at an end off the beat: a run that is extended goes on with the sum
    loss_d, loss_g, d_real, d_fake = (value / count for value in sums)
    values = {"loss_d": loss_d, "loss_g": loss_g, "d_real": d_real, "d_fake": d_fake}
    if not all(map(math.isfinite, values.values())):
        raise _not_finite(state, folder)
    folder.append({"step": state.step, "images_seen": state.images_seen, "seconds": round(state.seconds, 3), **values})
    text = f"Loss_D {loss_d:.3f}, Loss_G {loss_g:.3f}, D(x) {d_real:.3f}, D(G(z)) {d_fake:.3f}"
    if state.objective.is_bce:
        text += f", from 1/2 {d_real - 0.5:+.3f} {d_fake - 0.5:+.3f}"
    bar.set_postfix_str(text, refresh=False)


def _not_finite(state: State, folder: RunFolder) -> UserError:
    return UserError(
        f"the numbers are not finite any more at step {state.step}: lower --lr; "
        f"the last good state is in {folder.checkpoint}"
    )


def say_data(state: State) -> None:
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
    pixels = state.data.pixels[epoch_order(len(state.data), state.config.seed, 0)[: grid_size(0)]]
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
    )
