"""Metrics of whether a generator copies its training pictures: distances to the nearest real picture."""

import torch
from torch import Tensor

from dcgan.metrics.fidelity import DISTANCE_ROWS


def nearest_neighbors(features: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) of each feature vector (N, D) to its nearest candidate (M, D), and its row (N,)."""
    features, candidates = features.double(), candidates.double()
    # These are allocated before the large blocks: small tensors between the blocks would fragment the memory.
    distances, indices = features.new_empty(len(features)), torch.empty(len(features), dtype=torch.int64)
    for start in range(0, len(features), DISTANCE_ROWS):
        rows = slice(start, start + DISTANCE_ROWS)
        distances[rows], indices[rows] = torch.cdist(features[rows], candidates).min(1)
    return distances, indices


def train_distance_ratio(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """Return the mean distance of fakes to the nearest training picture over that to the nearest held-out picture.

    It is 1 if the generator has learned the distribution, because the two sets are then equally far. It approaches 0
    if the generator draws training pictures again. A generator can fit the training split better than the held-out
    split without copying a picture, so compare the ratio with that of real against real, and look at the nearest
    pictures.

    Args:
        fake: (N, D).
        train: (M, D), of pictures that the generator was trained on.
        held_out: (K, D), of pictures that it was not trained on. The longer of the two sets is cut to the length of
            the shorter one.
    """
    m = min(len(train), len(held_out))
    train_mean, held_out_mean = (nearest_neighbors(fake, real[:m])[0].mean() for real in (train, held_out))
    return float(train_mean / held_out_mean.clamp_min(1e-12))
