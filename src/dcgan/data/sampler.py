"""Which images come next: a function of the seed and of the images seen, so that a resumed run needs no memory."""

from functools import lru_cache

import torch
from torch import Tensor

from dcgan.rng import RandomPurpose, derive_seed

CPU = torch.device("cpu")


@lru_cache(maxsize=1)
def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """Return the order of n images in an epoch, int64 (n,): a permutation. A million images take 15 ms and 8 MB."""
    generator = torch.Generator().manual_seed(derive_seed(seed, RandomPurpose.DATA_ORDER, epoch))
    return torch.randperm(n, generator=generator)


@lru_cache(maxsize=1)
def _epoch_order_on_device(device: torch.device, n: int, seed: int, epoch: int) -> Tensor:
    """Return the same order on a device. It is copied once an epoch, so that no step waits for a copy."""
    order = epoch_order(n, seed, epoch)
    return order.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else order.to(device)


def next_batch_indices(n: int, batch_size: int, images_seen: int, seed: int, device: torch.device = CPU) -> Tensor:
    """Return the indices of the batch that follows `images_seen` images, int64 (B,).

    B is at most `batch_size`: the last batch of an epoch may be shorter.
    """
    epoch, start = divmod(images_seen, n)
    return _epoch_order_on_device(device, n, seed, epoch)[start : start + batch_size]


@lru_cache(maxsize=1)
def _part_positions(part_sizes: tuple[int, ...], rank: int) -> tuple[Tensor, Tensor]:
    """Return which part gives each picture of an epoch, int16 (N,), and the positions of a rank's pictures (n,).

    Picture i of n of a part has its place at (i + 1/2) / n of the epoch. So every batch has of each part the share that
    this part has of the set, up to a few pictures (Sainte-Laguë's method), and an epoch has each picture once.
    """
    places = torch.cat([(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in part_sizes])
    owners = torch.repeat_interleave(torch.arange(len(part_sizes), dtype=torch.int16), torch.tensor(part_sizes))
    owners = owners[places.argsort(stable=True)]
    return owners, (owners == rank).nonzero()[:, 0]


def next_part_indices(
    part_sizes: tuple[int, ...], batch_size: int, images_seen: int, seed: int, rank: int, device: torch.device = CPU
) -> Tensor:
    """Return the indices of a rank's pictures of the next batch if each rank holds another part of the set, int64 (b,).

    They are indices into its own part, in an order of its own: a function of the seed, the epoch, the images seen, the
    rank and the number of ranks. If the batch has no picture of the part, the result is one that stands in for it, see
    `part_share`.
    """
    epoch, start = divmod(images_seen, sum(part_sizes))
    _, positions = _part_positions(part_sizes, rank)
    first, end = torch.searchsorted(positions, torch.tensor([start, start + batch_size])).tolist()
    order = _epoch_order_on_device(device, part_sizes[rank], seed, epoch * len(part_sizes) + rank)
    return order[first:end] if end > first else order[:1]


def part_share(part_sizes: tuple[int, ...], batch_size: int, images_seen: int, rank: int) -> tuple[slice, float]:
    """Return which part of the next batch a rank works on, and the weight of its mean, as `rank_share` does.

    Args:
        part_sizes: the pictures that each rank holds.
        batch_size: the pictures of this batch over all ranks.
        images_seen: before this batch.
        rank: the number of this process.
    """
    owners, _ = _part_positions(part_sizes, rank)
    start = images_seen % sum(part_sizes)
    batch = owners[start : start + batch_size]
    before, count = int((batch < rank).sum()), int((batch == rank).sum())
    if not count:
        return slice(0, 1), 0.0
    return slice(before, before + count), count * len(part_sizes) / batch_size


def rank_share(n: int, rank: int, rank_count: int) -> tuple[slice, float]:
    """Return which part of a batch of n images a process works on, and the weight of its mean.

    Together the processes see exactly the images that one process would see; their shares differ by at most one image.
    The weight times the mean over the share, averaged over the processes, is the mean over the batch. If the batch is
    smaller than `rank_count`, nothing is left for the last processes. They work on the first image with a weight of 0,
    because no network accepts an empty batch.
    """
    smallest_share, remainder = divmod(n, rank_count)
    count = smallest_share + (rank < remainder)
    if not count:
        return slice(0, 1), 0.0
    start = rank * smallest_share + min(rank, remainder)
    return slice(start, start + count), count * rank_count / n
