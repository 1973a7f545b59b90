"""Which pictures are never trained on: chosen by what is in them, so that it does not depend on names or order."""

from typing import Any

import numpy as np
import numpy.typing as npt

SHARE, MOST = 10, 10_000
"""One picture in `SHARE` is held out, at most `MOST`."""
TRAIN, VALIDATION, TEST = 0, 1, 2


def choose_split(digests: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """The part of each picture: TRAIN, VALIDATION or TEST, int8 (N,).

    In each class the pictures with the smallest digests are held out, the smaller half of them for validation. Equal
    pictures have equal digests, so within a class no picture is on both sides; ties at the border stay in training.

    Args:
        digests: of each picture's content, (N, 8 or more).
        labels: a class for each, or the same number everywhere.
    """
    n = len(labels)
    if n == 0:
        return np.zeros(0, np.int8)
    keys = digest_numbers(digests)
    order = np.lexsort((keys, labels))
    classes, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    # Whole-number arithmetic: a share of the class as large as the whole set's, rounded down.
    held = counts * min(n // SHARE, MOST) // n
    ordered = keys[order]
    test_from, train_from = ordered[starts + held // 2], ordered[starts + held]
    at = np.searchsorted(classes, labels)
    parts = np.full(n, TRAIN, np.int8)
    parts[keys < train_from[at]] = TEST
    parts[keys < test_from[at]] = VALIDATION
    return parts


def digest_numbers(digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The first eight bytes of each digest as a number."""
    first = np.ascontiguousarray(digests[:, :8])
    return first.view(">u8").ravel().astype(np.uint64)


def split_order(parts: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Which row goes to each place, so that the parts lie one after the other and few rows move. int64 (N,)."""
    wanted = np.sort(parts)
    order = np.arange(len(parts))
    wrong = np.flatnonzero(parts != wanted)
    order[wrong[np.argsort(wanted[wrong], kind="stable")]] = wrong[np.argsort(parts[wrong], kind="stable")]
    return order


def permute_in_place(rows: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> None:
    """`rows[:] = rows[order]` in place, with one row's memory: `rows` may be a file larger than memory."""
    done = order == np.arange(len(order))
    for start in np.flatnonzero(~done):
        if done[start]:
            continue
        place, kept = int(start), rows[start].copy()
        while (source := int(order[place])) != start:
            rows[place], done[place], place = rows[source], True, source
        rows[place], done[place] = kept, True
