"""Samples laid out so that one sees what the figures say: beside the nearest training pictures, and by class."""

import numpy as np
import torch

from dcgan.data.open import ImageSet
from dcgan.evaluation.samples import SampleSource
from dcgan.images import Pixels, make_grid
from dcgan.metrics.features import FeatureExtractor
from dcgan.metrics.reference import EVALUATION_BATCH, MAX_FLOOR_POOL, extract_reference, random_rows

SHOWN, NEAREST = 8, 5
"""Samples and their neighbours in a sheet of nearest training pictures."""
IN_A_ROW, ROWS = 8, 20
"""Samples of a class, and classes, in a sheet of classes."""


def nearest_sheet(samples: SampleSource, features: FeatureExtractor, train: ImageSet) -> Pixels:
    """The first samples, one in each row, and after each the training pictures nearest to it: one picture (H, W, C)."""
    kept = extract_reference(train, "train", features, MAX_FLOOR_POOL, lambda count: None)
    pixels = next(iter(samples.draw(0, SHOWN)))[0][:SHOWN]
    apart = torch.cdist(features.see(pixels)[0].double(), kept.features.double())
    places = random_rows(len(train), MAX_FLOOR_POOL)[
        apart.topk(NEAREST, dim=1, largest=False).indices
    ]  # (SHOWN, NEAREST)
    rows = torch.cat([pixels.unsqueeze(1), train.pixels[places]], 1).flatten(0, 1)
    return make_grid(rows.permute(0, 2, 3, 1).numpy(), columns=1 + NEAREST)


def class_sheet(samples: SampleSource, features: FeatureExtractor) -> tuple[Pixels, tuple[str, ...]]:
    """The first samples of each class, a row each: one picture (H, W, C), and the names of its rows.

    The class is the one that was asked for; where none was, the one that the judge sees. A class that is not among
    the first samples has a black row. Without classes there are no rows.
    """
    names = samples.classes or (() if features.stacked else features.classes)
    names = names[:ROWS]
    pixels, asked = next(iter(samples.draw(0, EVALUATION_BATCH)))
    if not samples.classes and names:
        scores = features.see(pixels)[1]
        asked = None if scores is None else scores.argmax(1)
    if not names or asked is None:
        return np.zeros((0, 0, 1), np.uint8), ()
    sheet = np.zeros((len(names), IN_A_ROW, *pixels.permute(0, 2, 3, 1).shape[1:]), np.uint8)
    for row, label in zip(sheet, range(len(names)), strict=True):
        found = pixels[asked == label][:IN_A_ROW].permute(0, 2, 3, 1).numpy()
        row[: len(found)] = found
    return make_grid(sheet.reshape(-1, *sheet.shape[2:]), columns=IN_A_ROW), names
