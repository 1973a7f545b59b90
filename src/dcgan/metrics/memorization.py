"""Whether a generator copies its training pictures: distances to the nearest real picture."""

import torch
from torch import Tensor

DISTANCE_ROWS = 200
"""Rows of a distance matrix that are in memory at a time."""


def nearest_neighbours(features: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The distance (N,) of each feature vector (N, D) to the nearest of the others (M, D), and which that is (N,)."""
    features, others = features.double(), others.double()
    # Made before the large pieces: small tensors between them would keep their memory from being used again.
    distances, places = features.new_empty(len(features)), torch.empty(len(features), dtype=torch.int64)
    for start in range(0, len(features), DISTANCE_ROWS):
        rows = slice(start, start + DISTANCE_ROWS)
        distances[rows], places[rows] = torch.cdist(features[rows], others).min(1)
    return distances, places


def train_distance_ratio(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """How much nearer fakes lie to training pictures than to as many held-out ones: a ratio of mean distances.

    1 where the generator has learned the distribution, since the two sets are then equally far; towards 0 where it
    draws training pictures again. A generator can fit the training part better than the held-out one without copying
    a picture, so look at the ratio of real against real beside it, and at the nearest pictures.

    Args:
        fake: (N, D).
        train: (M, D), from the pictures that the generator saw.
        held_out: (K, D), from those that it did not; the longer of the two is cut to the other's length.
    """
    m = min(len(train), len(held_out))
    seen, unseen = (nearest_neighbours(fake, part[:m])[0].mean() for part in (train, held_out))
    return float(seen / unseen.clamp_min(1e-12))
