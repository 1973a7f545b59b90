"""Grids of samples that show what the metrics say: beside the nearest training pictures, by class, and by group."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dcgan.data.open import ImageSet
from dcgan.evaluation.samples import SampleSource
from dcgan.images import Pixels, make_grid
from dcgan.metrics.extractor import FeatureExtractor
from dcgan.metrics.reference import EVALUATION_BATCH_SIZE, MAX_FLOOR_IMAGES, choose_rows, extract_reference

NEAREST_GRID_SAMPLES = 8
"""Samples in a grid of nearest training pictures, one in each row."""
NEAREST_COUNT = 5
"""Training pictures beside each of these samples; all of them if there are fewer."""
ROW_SAMPLES = 8
"""Samples of each class in a grid of classes, and of each group in a grid of groups."""
MAX_CLASS_GRID_ROWS = 20
"""Classes in a grid of classes."""
MAX_GROUP_GRID_ROWS = 12
"""Groups in a grid of groups."""
RowGrid = tuple[Pixels, tuple[str, ...]]
"""A grid (H, W, C) and the names of its rows; without rows the grid is empty."""
NO_ROWS: RowGrid = (np.zeros((0, 0, 1), np.uint8), ())


def make_nearest_grid(samples: SampleSource, extractor: FeatureExtractor, train: ImageSet) -> Pixels:
    """Return a grid (H, W, C): the first samples, and to the right of each the training pictures nearest to it."""
    real = extract_reference(train, "train", extractor, MAX_FLOOR_IMAGES)
    pixels = next(iter(samples.draw(0, NEAREST_GRID_SAMPLES)))[0][:NEAREST_GRID_SAMPLES]
    distances = torch.cdist(extractor.extract(pixels)[0].double(), real.features.double())
    count = min(NEAREST_COUNT, len(real))
    nearest = distances.topk(count, dim=1, largest=False).indices  # (samples, count)
    indices = choose_rows(len(train), MAX_FLOOR_IMAGES)[nearest]
    images = torch.cat([pixels.unsqueeze(1), train.pixels[indices]], 1).flatten(0, 1)
    return make_grid(images.permute(0, 2, 3, 1).numpy(), columns=1 + count)


def make_class_grid(samples: SampleSource, extractor: FeatureExtractor) -> RowGrid:
    """Return a grid with the first samples of each class, one class in each row.

    The class is the requested one; if no classes were requested, it is the one that the extractor's classifier
    recognizes. A class that is not among the first samples has a black row. Without classes there are no rows.
    """
    names = samples.classes or (() if extractor.is_stacked else extractor.classes)
    names = names[:MAX_CLASS_GRID_ROWS]
    if not names:
        return NO_ROWS
    pixels, labels = next(iter(samples.draw(0, EVALUATION_BATCH_SIZE)))
    if not samples.classes:
        scores = extractor.extract(pixels)[1]
        labels = None if scores is None else scores.argmax(1)
    return NO_ROWS if labels is None else (_make_rows(pixels, labels, range(len(names))), names)


def make_group_grid(samples: SampleSource) -> RowGrid:
    """Return a grid with the first samples of the groups that are drawn most often, one group in each row.

    A row is named by the number of its group and its share of the first samples. Without groups there are no rows.
    """
    if samples.find_groups is None or len(samples.group_names) < 2:
        return NO_ROWS
    pixels, _ = next(iter(samples.draw(0, EVALUATION_BATCH_SIZE)))
    groups = samples.find_groups(0, len(pixels))
    counts = groups.bincount(minlength=len(samples.group_names))
    largest = [int(group) for group in counts.argsort(descending=True, stable=True)[:MAX_GROUP_GRID_ROWS]]
    names = tuple(f"{samples.group_names[group]}: {int(counts[group]) / len(pixels):.1%}" for group in largest)
    return _make_rows(pixels, groups, largest), names


def _make_rows(pixels: Tensor, labels: Tensor, rows: Sequence[int]) -> Pixels:
    """Return a grid (H, W, C) whose rows have the first pictures uint8 (N, C, H, W) of some labels int64 (N,)."""
    pixels = pixels.permute(0, 2, 3, 1)  # (N, H, W, C)
    cells = np.zeros((len(rows), ROW_SAMPLES, *pixels.shape[1:]), np.uint8)
    for label, row in zip(rows, cells, strict=True):
        label_pixels = pixels[labels == label][:ROW_SAMPLES].numpy()
        row[: len(label_pixels)] = label_pixels
    return make_grid(cells.reshape(-1, *cells.shape[2:]), columns=ROW_SAMPLES)
