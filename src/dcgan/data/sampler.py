"""Which pictures come next: a function of the seed and of the images seen, so that a resumed run needs no memory."""

from functools import lru_cache

import torch
from torch import Tensor

from dcgan.latents import derive


@lru_cache(maxsize=1)
def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0..n-1, int64 (n,): every picture once an epoch. A million take 15 ms and 8 MB."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(derive(seed, 1, epoch)))


def next_batch(n: int, batch_size: int, images_seen: int, seed: int) -> Tensor:
    """Indices of the batch after `images_seen` images, int64 (B,), B <= batch_size: an epoch's last batch is short."""
    epoch, start = divmod(images_seen, n)
    return epoch_order(n, seed, epoch)[start : start + batch_size]


def share(batch: Tensor, rank: int, ranks: int) -> Tensor:
    """The part of a batch that one of `ranks` processes works on: together they see just what one process would.

    Shares differ by at most one picture; of a batch smaller than `ranks` some are empty.
    """
    return batch.tensor_split(ranks)[rank]
