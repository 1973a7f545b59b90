"""The recipe that trains a judge. It is fixed: nothing in it is selected by the result."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from dcgan.images import to_float
from dcgan.metrics.judge.network import Judge
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.system.console import standard_error

EPOCHS = 10
"""Passes over the training pictures."""
BATCH_SIZE = 128
"""Pictures of a training step."""
LEARNING_RATE = 4e-3
"""The highest learning rate of the cycle."""
WEIGHT_DECAY = 0.02
"""AdamW's weight decay."""
LABEL_SMOOTHING = 0.02
"""The share of each target that is spread over all classes."""
MIN_BATCHES = 200
"""Training steps that are made at least, also from few pictures: BatchNorm's averages need some steps to settle."""


def train_judge(
    pixels: Tensor,
    labels: Tensor,
    class_count: int,
    *,
    seed: int = 0,
    epochs: int = EPOCHS,
    show_progress: bool = True,
) -> Judge:
    """Train a judge with a fixed recipe. The weights of the last step are returned; nothing is selected.

    The recipe: jittered images, AdamW, one cycle of the learning rate (Smith 2018), and slightly smoothed targets.

    Args:
        pixels: uint8 (N, C, H, W).
        labels: int64 (N,).
        class_count: the number of classes.
        seed: of the weights, the order and the jitter.
        epochs: passes over the images; more are made if these would be fewer than `MIN_BATCHES` batches.
        show_progress: whether to show a progress bar on standard error.

    Returns:
        The judge in evaluation mode, its weights rounded to half precision, as they are stored.
    """
    judge = initialize_judge((int(pixels.shape[1]), int(pixels.shape[2]), int(pixels.shape[3])), class_count, seed)
    source = Generator().manual_seed(derive_seed(seed, RandomPurpose.JUDGE_ORDER))
    batches_per_epoch = max(1, len(pixels) // BATCH_SIZE)
    epochs = max(epochs, math.ceil(MIN_BATCHES / batches_per_epoch))
    total = epochs * batches_per_epoch
    optimizer = AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, LEARNING_RATE, total_steps=total)
    stream = standard_error()
    with tqdm(total=total, desc="judge", unit="batch", mininterval=10, disable=not show_progress, file=stream) as bar:
        for rows in _batches(len(pixels), batches_per_epoch, epochs, source):
            images = jitter_images(to_float(pixels[rows]), source)
            loss = F.cross_entropy(judge(images), labels[rows], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            bar.update()
    return _round_to_half_precision(judge.eval())


def initialize_judge(image_shape: tuple[int, int, int], class_count: int, seed: int) -> Judge:
    """Return an untrained judge whose weights depend on the seed only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, RandomPurpose.JUDGE_WEIGHTS))
        # channels_last makes an epoch of MNIST faster, 60 s instead of 77 s on one thread
        return Judge(image_shape, class_count).to(memory_format=torch.channels_last)


def _batches(n: int, batches_per_epoch: int, epochs: int, source: Generator) -> Iterator[Tensor]:
    """Yield the rows of each batch, in a new order in each epoch; the rows of an incomplete batch are dropped."""
    for _ in range(epochs):
        order = torch.randperm(n, generator=source)
        yield from torch.split(order[: batches_per_epoch * BATCH_SIZE], BATCH_SIZE)


def _round_to_half_precision(judge: Judge) -> Judge:
    """Round weights and statistics as half precision stores them, so that the stored judge is the measured one."""
    for tensor in judge.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())
    return judge


def jitter_images(images: Tensor, source: Generator) -> Tensor:
    """Rotate (up to 10°), scale (0.9 to 1.1), shear (0.1) and shift (up to 1/14) each image (N, C, H, W) at random."""
    n = len(images)
    rotation, zoom, shear, shift_x, shift_y = (torch.rand(5, n, generator=source) * 2 - 1).unbind()
    angle, scale, shear = rotation * 0.1745, 1 + 0.1 * zoom, 0.1 * shear
    cos, sin = angle.cos() / scale, angle.sin() / scale
    # the sampling grid goes from -1 to 1 over the image, so a shift by 1/14 of the image is 1/7 of the grid
    matrix = [cos, shear * cos - sin, shift_x / 7, sin, shear * sin + cos, shift_y / 7]
    grid = F.affine_grid(torch.stack(matrix, 1).view(n, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
