"""How much memory a training will hold at most: measured with a few pictures, before it begins.

What a step holds grows with the batch. So steps with parts of the batch, of copies of the networks, say what a step
with the whole batch will hold. They change nothing in the training.
"""

import copy
from dataclasses import replace

import torch
from torch import nn

from dcgan.devices.single import SingleDevice
from dcgan.system.allocator import release_memory
from dcgan.system.resources import check_memory, peak_memory, reset_peak_memory
from dcgan.training.ema import Ema
from dcgan.training.optimizer import Adam
from dcgan.training.progress import Progress
from dcgan.training.state import State, StepSums
from dcgan.training.step import train_step

SMALL_BATCHES = (8, 32)
"""The numbers of pictures in the batches that are tried first. A larger one follows: half of the whole batch."""
OTHER_BYTES = 100 * 10**6
"""What grids, curves and the report need besides a step, matplotlib above all: measured by `benchmarks.costs`."""
MATCH_EVALUATION_BYTES = 150 * 10**6
"""What the evaluations of a training without a discriminator need besides that: a second frozen network above all."""
PAGE_BYTES = 4096
ADVICE = "lower --batch-size, --image-size, --g-width or --d-width"


def check_step_memory(state: State) -> int | None:
    """Return how many bytes of memory this process will hold at most, and refuse a training that does not fit.

    Args:
        state: of the training that begins. It stays as it is.

    Returns:
        None if it is not known: on a GPU, with several devices, and where the system does not say what a process held.

    Raises:
        UserError: less memory is free.
    """
    if not isinstance(state.fabric, SingleDevice) or not reset_peak_memory():
        return None
    state.data.pixels.flatten()[::PAGE_BYTES].sum()  # all of the pictures are in memory from now on
    batch_size = min(state.config.batch_size, state.picture_count)
    expected, previous, side = 0, (0, 0), "x".join(map(str, state.data.pixels.shape[2:]))
    other = OTHER_BYTES + (0 if state.matcher is None else MATCH_EVALUATION_BYTES)
    for size in _tried_batches(batch_size):
        peak = _peak_of_a_step(state, size)
        growth = max(0, peak - previous[1]) / (size - previous[0]) if previous[0] else 0
        more = round(growth * (batch_size - size))
        check_memory(more + other, f"steps with {batch_size:,} pictures of {side}", ADVICE)
        expected, previous = peak + more + other, (size, peak)
    return expected


def _tried_batches(batch_size: int) -> list[int]:
    half = [batch_size // 2] if batch_size > 2 * SMALL_BATCHES[-1] else []
    return sorted({min(size, batch_size) for size in (*SMALL_BATCHES, *half)})


def _peak_of_a_step(state: State, batch_size: int) -> int:
    """Return how many bytes this process holds at most while it does one step with a batch of this size."""
    twin = _copy_for_a_step(state, batch_size)
    release_memory()
    reset_peak_memory()
    train_step(twin)
    return peak_memory() or 0


def _copy_for_a_step(state: State, batch_size: int) -> State:
    generator, discriminator = copy.deepcopy(state.generator), copy.deepcopy(state.discriminator)
    return replace(
        state,
        config=replace(state.config, batch_size=batch_size, n_critic=1),
        generator=generator,
        discriminator=discriminator,
        optimizer_g=_new_optimizer(generator),
        optimizer_d=None if discriminator is None else _new_optimizer(discriminator),
        matcher=None if state.matcher is None else state.matcher.copy_for_a_step(),
        ema=Ema(generator),
        sums=StepSums(torch.zeros_like(state.sums.totals), torch.zeros_like(state.sums.fault)),
        progress=Progress(planned_images=state.progress.planned_images, first_plan=state.progress.first_plan),
    )


def _new_optimizer(network: nn.Module) -> Adam:
    return Adam(network.parameters(), fused=True)
