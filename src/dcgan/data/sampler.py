"""Which pictures come next: a function of the seed and of the images seen, so that a resumed run needs no memory."""

from functools import lru_cache

import torch
from torch import Tensor

from dcgan.rng import derive_seed

CPU = torch.device("cpu")


@lru_cache(maxsize=1)
def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0..n-1, int64 (n,): every picture once an epoch. A million take 15 ms and 8 MB."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(derive_seed(seed, 1, epoch)))


@lru_cache(maxsize=1)
def _order_on(device: torch.device, n: int, seed: int, epoch: int) -> Tensor:
    """The same where it is used: copied once an epoch, so that no step of it waits for a copy."""
    order = epoch_order(n, seed, epoch)
    return order.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else order.to(device)


def next_batch_indices(n: int, batch_size: int, images_seen: int, seed: int, device: torch.device = CPU) -> Tensor:
    """Indices of the batch after `images_seen` images, int64 (B,), B <= batch_size: an epoch's last batch is short."""
    epoch, start = divmod(images_seen, n)
    return _order_on(device, n, seed, epoch)[start : start + batch_size]


def rank_share(n: int, rank: int, ranks: int) -> tuple[slice, float]:
    """Which part of a batch of `n` one of `ranks` processes works on, and what it counts for.

    Together they see just what one process would; shares differ by at most one picture. The weight times the mean over
    the share, averaged over the ranks, is the mean over the batch. Of a batch smaller than `ranks` there is nothing
    left for the last of them: they take its first picture along, for a weight of 0, since no network takes an empty
    batch.
    """
    each, more = divmod(n, ranks)
    count = each + (rank < more)
    if not count:
        return slice(0, 1), 0.0
    start = rank * each + min(rank, more)
    return slice(start, start + count), count * ranks / n
