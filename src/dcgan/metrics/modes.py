"""What a generator draws: which classes, how many of the modes that can be counted, and whether it copies."""

import math

import torch
from torch import Tensor

from dcgan.metrics import judge as judges

MODES = 1000
"""Of stacked digits: three digits in turn read as one number."""
ROWS = 200
"""Rows of a distance matrix that are in memory at a time."""
JUDGE_BATCHES = 468
"""Of a judge that is trained on fakes: one pass over 60,000, as many more over fewer."""


def histogram(drawn: Tensor, classes: int) -> list[float]:
    """The share of each class among labels (N,)."""
    return (torch.bincount(drawn, minlength=classes).double() / len(drawn)).tolist()


def entropy(shares: list[float]) -> float:
    """-Σ p log p in nats: log(classes) where all are drawn alike, 0 where there is only one."""
    return float(torch.special.entr(torch.tensor(shares, dtype=torch.float64)).sum())


def kl_to_uniform(shares: list[float]) -> float:
    """KL(shares ‖ uniform) = log(classes) - entropy, in nats."""
    return float(torch.tensor(float(len(shares)), dtype=torch.float64).log()) - entropy(shares)


def kl_bias(n: int, modes: int = MODES) -> float:
    """What `kl_to_uniform` is on average for `n` draws that are uniform: (modes - 1) / 2n (Miller 1955)."""
    return (modes - 1) / (2 * n)


def agreement(drawn: Tensor, asked: Tensor) -> float:
    """The share of samples whose class is the one that was asked for; both int64 (N,)."""
    return float((drawn == asked).double().mean())


def stacked_modes(scores: Tensor) -> Tensor:
    """Class scores of three channels (N, 30) -> the mode of each picture, 0 to 999 (N,) (Lin et al. 2018, PacGAN)."""
    digits = scores.view(len(scores), 3, -1).argmax(2)
    return (digits * torch.tensor([100, 10, 1])).sum(1)


def covered(drawn: Tensor) -> int:
    """How many modes are drawn at least once."""
    return int((torch.bincount(drawn) > 0).sum())


def nearest(features: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The distance (N,) of each feature vector (N, D) to the nearest of the others (M, D), and which that is (N,)."""
    features, others = features.double(), others.double()
    # Made before the large pieces: small tensors between them would keep their memory from being used again.
    distances, places = features.new_empty(len(features)), torch.empty(len(features), dtype=torch.int64)
    for start in range(0, len(features), ROWS):
        rows = slice(start, start + ROWS)
        distances[rows], places[rows] = torch.cdist(features[rows], others).min(1)
    return distances, places


def memorisation(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
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
    seen, unseen = (nearest(fake, part[:m])[0].mean() for part in (train, held_out))
    return float(seen / unseen.clamp_min(1e-12))


def train_on_fakes(fakes: Tensor, asked: Tensor, real: Tensor, labels: Tensor, classes: int, *, seed: int = 0) -> float:
    """The accuracy on real pictures of a judge that was trained on generated ones only (Ravuri, Vinyals 2019).

    Args:
        fakes: uint8 (N, C, H, W).
        asked: the class that each was asked to show, int64 (N,).
        real: uint8 (M, C, H, W).
        labels: their classes, int64 (M,).
        classes: how many.
        seed: of the judge.
    """
    epochs = math.ceil(JUDGE_BATCHES / max(1, len(fakes) // judges.BATCH))
    judge = judges.train(fakes, asked, classes, seed=seed, epochs=epochs)
    return judges.accuracy(judge, real, labels)
