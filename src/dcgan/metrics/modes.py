"""What a generator draws: which classes, how many of the modes that can be counted, and whether it copies."""

import math

import torch
from torch import Tensor

from dcgan.metrics import judge as judges

MODE_COUNT = 1000
"""Of stacked digits: three digits in turn read as one number."""
JUDGE_BATCHES = 468
"""Of a judge that is trained on fakes: one pass over 60,000, as many more over fewer."""


def class_shares(drawn: Tensor, classes: int) -> list[float]:
    """The share of each class among labels (N,)."""
    return (torch.bincount(drawn, minlength=classes).double() / len(drawn)).tolist()


def entropy(shares: list[float]) -> float:
    """-Σ p log p in nats: log(classes) where all are drawn alike, 0 where there is only one."""
    return float(torch.special.entr(torch.tensor(shares, dtype=torch.float64)).sum())


def kl_to_uniform(shares: list[float]) -> float:
    """KL(shares ‖ uniform) = log(classes) - entropy, in nats."""
    return float(torch.tensor(float(len(shares)), dtype=torch.float64).log()) - entropy(shares)


def kl_bias(n: int, modes: int = MODE_COUNT) -> float:
    """What `kl_to_uniform` is on average for `n` draws that are uniform: (modes - 1) / 2n (Miller 1955)."""
    return (modes - 1) / (2 * n)


def label_agreement(drawn: Tensor, asked: Tensor) -> float:
    """The share of samples whose class is the one that was asked for; both int64 (N,)."""
    return float((drawn == asked).double().mean())


def stacked_modes(scores: Tensor) -> Tensor:
    """Class scores of three channels (N, 30) -> the mode of each picture, 0 to 999 (N,) (Lin et al. 2018, PacGAN)."""
    digits = scores.view(len(scores), 3, -1).argmax(2)
    return (digits * torch.tensor([100, 10, 1])).sum(1)


def modes_covered(drawn: Tensor) -> int:
    """How many modes are drawn at least once."""
    return int((torch.bincount(drawn) > 0).sum())


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
    judge = judges.train_judge(fakes, asked, classes, seed=seed, epochs=epochs)
    return judges.judge_accuracy(judge, real, labels)
