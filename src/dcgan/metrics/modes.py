"""Metrics of what a generator draws: its classes, how many countable modes it covers, what a judge learns from it."""

import math

import torch
from torch import Tensor

from dcgan.metrics.judge.network import measure_accuracy
from dcgan.metrics.judge.training import BATCH_SIZE, train_judge
from dcgan.metrics.limits import MODE_COUNT

MIN_JUDGE_BATCHES = 468
"""Training steps of a judge that is trained on fakes: one pass over 60,000 pictures, or more passes over fewer."""


def class_shares(labels: Tensor, class_count: int) -> list[float]:
    """Return the share of each class among labels (N,)."""
    return (torch.bincount(labels, minlength=class_count).double() / len(labels)).tolist()


def entropy(shares: list[float]) -> float:
    """Return -Σ p log p in nats: log(classes) if all shares are equal, 0 if there is only one class."""
    return float(torch.special.entr(torch.tensor(shares, dtype=torch.float64)).sum())


def kl_to_uniform(shares: list[float]) -> float:
    """Return KL(shares ‖ uniform) = log(classes) - entropy, in nats."""
    return float(torch.tensor(float(len(shares)), dtype=torch.float64).log()) - entropy(shares)


def kl_bias(n: int, mode_count: int = MODE_COUNT) -> float:
    """Return the mean of `kl_to_uniform` for `n` uniform draws: (modes - 1) / 2n (Miller 1955)."""
    return (mode_count - 1) / (2 * n)


def label_agreement(labels: Tensor, requested_labels: Tensor) -> float:
    """Return the share of samples whose class is the requested one; both are int64 (N,)."""
    return float((labels == requested_labels).double().mean())


def stacked_modes(scores: Tensor) -> Tensor:
    """Return the modes 0 to 999 (N,) from class scores of three channels (N, 30) (Lin et al. 2018, PacGAN)."""
    digits = scores.view(len(scores), 3, -1).argmax(2)
    return (digits * torch.tensor([100, 10, 1])).sum(1)


def count_modes(modes: Tensor) -> int:
    """Return how many modes occur at least once in (N,)."""
    return int((torch.bincount(modes) > 0).sum())


def train_on_fakes(
    fakes: Tensor,
    requested_labels: Tensor,
    real: Tensor,
    real_labels: Tensor,
    class_count: int,
    *,
    seed: int = 0,
    show_progress: bool = True,
) -> float:
    """Return the accuracy on real pictures of a judge that is trained on fakes only (Ravuri, Vinyals 2019).

    Args:
        fakes: uint8 (N, C, H, W).
        requested_labels: the class that each fake was requested to show, int64 (N,).
        real: uint8 (M, C, H, W).
        real_labels: int64 (M,).
        class_count: the number of classes.
        seed: of the judge.
        show_progress: whether to show a progress bar on standard error.
    """
    epochs = math.ceil(MIN_JUDGE_BATCHES / max(1, len(fakes) // BATCH_SIZE))
    judge = train_judge(fakes, requested_labels, class_count, seed=seed, epochs=epochs, show_progress=show_progress)
    return measure_accuracy(judge, real, real_labels)
