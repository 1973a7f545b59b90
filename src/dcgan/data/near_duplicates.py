"""Groups of near duplicates: variants of one picture, such as mirror images and other colors."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dcgan.data.similarity import PAIR_ROWS, Candidates, recolored_distances

MAX_RECOLORED_DISTANCE = 0.2
"""Pictures whose colors follow from each other with less than this left are variants of one picture, see
`similarity.recolored_distances`. It joins 98% of the emoji that have variants of other skin tones with one of them."""
MAX_COMPARED = 20_000
"""Pictures up to which each is compared with all others; the cost grows with n squared."""
MIN_GROUP_LIMIT, GROUP_LIMIT_DIVISOR = 8, 50
"""A group has at most a fiftieth of the pictures, or eight: a chain of pictures that are each like the next could join
a whole class."""
ROUNDING_MARGIN = 1.05
"""Distances below the limit times this are computed again in double precision, so that all machines agree."""


def group_near_duplicates(thumbnails: Tensor) -> Tensor:
    """Return the group of each picture, int64 (N,): the row of the first picture of the group.

    The nearest pairs are joined first. Two groups that would be larger together than a group may be stay apart.

    Args:
        thumbnails: uint8 (N, C, 16, 16), see `similarity.make_thumbnails`.
    """
    n = len(thumbnails)
    if n < 2:
        return torch.arange(n)
    if thumbnails.shape[1] == 3 and bool((thumbnails == thumbnails[:, :1]).all()):
        thumbnails = thumbnails[:, :1]  # gray pictures
    return _join(n, sorted(_near_pairs(thumbnails)), max(MIN_GROUP_LIMIT, n // GROUP_LIMIT_DIVISOR))


def find_near_duplicates(thumbnails: Tensor, others: Tensor) -> Tensor:
    """Return which pictures are equal to or variants of one of the others, bool (N,).

    Args:
        thumbnails: uint8 (N, C, 16, 16), N at least 1; see `similarity.make_thumbnails`.
        others: uint8 (M, C, 16, 16), M at least 1.
    """
    rows = Candidates(others).find(thumbnails)
    found = []
    for batch, candidates in zip(torch.split(thumbnails, PAIR_ROWS), torch.split(rows, PAIR_ROWS), strict=True):
        distances = recolored_distances(batch.double() / 255, others[candidates].double() / 255)
        found.append((distances < MAX_RECOLORED_DISTANCE).any(1))
    return torch.cat(found)


def _near_pairs(thumbnails: Tensor) -> set[tuple[float, int, int]]:
    """Return (distance, row, other row) of pairs that are variants of one picture."""
    own = torch.arange(len(thumbnails))
    rows = Candidates(thumbnails, groups=own).find(thumbnails, own)
    pairs: set[tuple[float, int, int]] = set()
    for batch in torch.split(own, PAIR_ROWS):
        distances = recolored_distances(thumbnails[batch].float() / 255, thumbnails[rows[batch]].float() / 255)
        first, column = torch.nonzero(distances < ROUNDING_MARGIN * MAX_RECOLORED_DISTANCE, as_tuple=True)
        left, right = batch[first], rows[batch][first, column]
        exact = recolored_distances(thumbnails[left].double() / 255, thumbnails[right].double().unsqueeze(1) / 255)
        triples = zip(exact[:, 0].tolist(), left.tolist(), right.tolist(), strict=True)
        pairs |= {(distance, min(i, j), max(i, j)) for distance, i, j in triples if distance < MAX_RECOLORED_DISTANCE}
    return pairs


def _join(n: int, pairs: Iterable[tuple[float, int, int]], limit: int) -> Tensor:
    """Return the group of each of `n` pictures after joining pairs in order, with at most `limit` pictures a group."""
    parents, sizes = list(range(n)), [1] * n

    def find_group(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    for _, i, j in pairs:
        first, second = sorted((find_group(i), find_group(j)))
        if first != second and sizes[first] + sizes[second] <= limit:
            parents[second] = first
            sizes[first] += sizes[second]
    return torch.tensor([find_group(i) for i in range(n)])
