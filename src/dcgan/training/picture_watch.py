"""Measurements of the pictures in each snapshot, from which `health` sees collapse, oscillation and memorization."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from dcgan.data.sampler import epoch_order
from dcgan.images import Pixels
from dcgan.metrics.judge import network as judge
from dcgan.run.log import LogEntry
from dcgan.sampling import latents
from dcgan.training.diversity import (
    MAX_REAL_PICTURES,
    PixelRows,
    RealPictures,
    describe_real_pictures,
    measure_pictures,
)
from dcgan.training.state import State

MAX_COMPARED_SIDE = 32
"""Pixels of a side at which pictures are compared: enough to tell them apart."""
SHRINK_BATCH_SIZE = 256
JUDGED_DATA, JUDGED_SHAPE = "mnist", (28, 28, 1)
"""The data, and the (H, W, C) of its pictures, that the package's judge knows."""


class PictureWatch:
    """Compares generated pictures with each other and with real ones."""

    def __init__(self) -> None:
        self._reals: RealPictures | None = None

    def make_event(self, state: State, pixels: Pixels) -> LogEntry:
        """Return the event of the metrics log for pictures uint8 (N, H, W, C), drawn from the fixed latents."""
        if self._reals is None:
            self._reals = _describe_reals(state)
        labels = latents.cycle_labels(len(pixels), state.class_count)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        measures = measure_pictures(_as_rows(images), None if labels is None else labels.numpy(), self._reals)
        return {
            "event": "pictures",
            "step": state.progress.step,
            "images_seen": state.progress.images_seen,
            "is_all": self._reals.is_all,
            **measures,
            **_count_classes(state, pixels),
        }


def _describe_reals(state: State) -> RealPictures:
    """Return the real pictures that generated ones are compared with: the first that are trained on."""
    data = state.data
    order = epoch_order(len(data), state.config.seed, 0)[:MAX_REAL_PICTURES]
    labels = data.labels[order].cpu().numpy() if state.class_count and data.labels is not None else None
    return describe_real_pictures(_as_rows(data.pixels[order.to(data.pixels.device)]), labels, len(data))


def _count_classes(state: State, pixels: Pixels) -> dict[str, list[int]]:
    """Return how many pictures the package's judge sees of each class, if it knows the data."""
    if state.config.data != JUDGED_DATA or pixels.shape[1:] != JUDGED_SHAPE:
        return {}
    _, scores = judge.judge_images(judge.load_shipped_judge(), torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return {"classes": scores.argmax(1).bincount(minlength=scores.shape[1]).tolist()}


def _as_rows(images: Tensor) -> PixelRows:
    """Return images (N, C, H, W) as rows (N, P), after shrinking sides above `MAX_COMPARED_SIDE`."""
    height, width = (min(side, MAX_COMPARED_SIDE) for side in images.shape[-2:])
    batches = torch.split(images.cpu(), SHRINK_BATCH_SIZE)
    parts = [adaptive_avg_pool2d(batch.float(), (height, width)).flatten(1) for batch in batches]
    rows: PixelRows = torch.cat(parts).numpy()
    return rows
