"""Grids of samples that show what the metrics say: beside the nearest training pictures, and by class."""

import numpy as np
import torch

from dcgan.data.open import ImageSet
from dcgan.evaluation.samples import SampleSource
from dcgan.images import Pixels, make_grid
from dcgan.metrics.extractor import FeatureExtractor
from dcgan.metrics.reference import EVALUATION_BATCH_SIZE, MAX_FLOOR_IMAGES, choose_rows, extract_reference

NEAREST_GRID_SAMPLES = 8
"""Samples in a grid of nearest training pictures, one in each row."""
NEAREST_COUNT = 5
"""Training pictures beside each of these samples."""
CLASS_GRID_COLUMNS = 8
"""Samples of each class in a grid of classes."""
MAX_CLASS_GRID_ROWS = 20
"""Classes in a grid of classes."""


def make_nearest_grid(samples: SampleSource, extractor: FeatureExtractor, train: ImageSet) -> Pixels:
    """Return a grid (H, W, C): the first samples, and to the right of each the training pictures nearest to it."""
    real = extract_reference(train, "train", extractor, MAX_FLOOR_IMAGES)
    pixels = next(iter(samples.draw(0, NEAREST_GRID_SAMPLES)))[0][:NEAREST_GRID_SAMPLES]
    distances = torch.cdist(extractor.extract(pixels)[0].double(), real.features.double())
    nearest = distances.topk(NEAREST_COUNT, dim=1, largest=False).indices  # (samples, NEAREST_COUNT)
    indices = choose_rows(len(train), MAX_FLOOR_IMAGES)[nearest]
    images = torch.cat([pixels.unsqueeze(1), train.pixels[indices]], 1).flatten(0, 1)
    return make_grid(images.permute(0, 2, 3, 1).numpy(), columns=1 + NEAREST_COUNT)


def make_class_grid(samples: SampleSource, extractor: FeatureExtractor) -> tuple[Pixels, tuple[str, ...]]:
    """Return a grid (H, W, C) with the first samples of each class, one class in each row, and the names of the rows.

    The class is the requested one; if no classes were requested, it is the one that the extractor's classifier
    recognizes. A class that is not among the first samples has a black row. Without classes there are no rows.
    """
    names = samples.classes or (() if extractor.is_stacked else extractor.classes)
    names = names[:MAX_CLASS_GRID_ROWS]
    pixels, labels = next(iter(samples.draw(0, EVALUATION_BATCH_SIZE)))
    if not samples.classes and names:
        scores = extractor.extract(pixels)[1]
        labels = None if scores is None else scores.argmax(1)
    if not names or labels is None:
        return np.zeros((0, 0, 1), np.uint8), ()
    pixels = pixels.permute(0, 2, 3, 1)  # (N, H, W, C)
    cells = np.zeros((len(names), CLASS_GRID_COLUMNS, *pixels.shape[1:]), np.uint8)
    for label, row in enumerate(cells):
        class_pixels = pixels[labels == label][:CLASS_GRID_COLUMNS].numpy()
        row[: len(class_pixels)] = class_pixels
    return make_grid(cells.reshape(-1, *cells.shape[2:]), columns=CLASS_GRID_COLUMNS), names
