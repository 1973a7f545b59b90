"""Which images are held out of training. The content of the images decides, so names and order do not matter."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.data.digests import Digests, digest_numbers
from dcgan.data.rules import CURRENT_RULES, RULES_OF_LARGE_GROUPS_FIRST, RULES_OF_ROUNDED_CLASSES
from dcgan.data.writer import FileRows

HELD_OUT_DIVISOR = 10
"""One image in this many is held out."""
MAX_HELD_OUT = 10_000
"""At most this many images are held out."""
MIN_ROUNDED_SHARE = 0.9
"""Share of each part that must be there if each class gives its share rounded down; otherwise small classes give
pictures together."""
MIN_GROUPED_SHARE = 0.5
"""Share of the held-out parts that groups of near duplicates must fill if each class gives its own; otherwise they are
chosen without regard to classes, as long as each class keeps images to train on."""
TRAIN, VALIDATION, TEST = 0, 1, 2
"""Numbers of the splits, in the order in which they lie in a prepared set."""

MAX_GROUP_SHARES = (0.1, 0.5)
"""Share of a part up to which a group of near duplicates belongs there: with a larger one, it would not be like the
whole set. Groups up to the second share fill what the others leave, and larger ones if half of it is empty then."""

Array = npt.NDArray[Any]


def choose_splits(
    digests: Digests,
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64] | None = None,
    rules: int = CURRENT_RULES,
) -> npt.NDArray[np.int8]:
    """Return the split of each image: TRAIN, VALIDATION or TEST, int8 (N,).

    In each class the images with the smallest digests are held out, the smaller half of them for validation. Equal
    images have equal digests, so within a class no image is in two splits. Ties at the border stay in training. Of
    classes that are too small to give a picture each, some give one and the others none.

    Args:
        digests: of the content of the images, uint8 (N, 8 or more).
        labels: the classes of the images, int64 (N,); the same number everywhere if there are no classes.
        groups: numbers of groups that are held out as a whole or not at all, int64 (N,); None as in version 2 of the
            rules.
        rules: see `rules`.
    """
    n = len(labels)
    if n == 0:
        return np.zeros(0, np.int8)
    numbers = digest_numbers(digests)
    if groups is not None:
        splits = _choose_splits_of_groups(numbers, labels, groups, rules)
        if rules > RULES_OF_ROUNDED_CLASSES and (splits != TRAIN).sum() < MIN_GROUPED_SHARE * (n // HELD_OUT_DIVISOR):
            # Groups that do not fit into the share of their class may fit into that of the whole set.
            without_classes = _choose_splits_of_groups(numbers, np.zeros_like(labels), groups, rules)
            if set(labels[without_classes == TRAIN]) == set(labels):
                splits = without_classes
        if (splits != TRAIN).any() or n < HELD_OUT_DIVISOR:
            return splits  # otherwise all groups are too large, and leaving nothing to measure with would be worse
    order = np.lexsort((numbers, labels))
    classes, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    validation, test = _count_held_out(counts, rules)
    # A class that gives all its pictures has no first picture for training: its numbers are below the largest one.
    ordered = np.append(numbers[order], np.iinfo(np.uint64).max)
    first_test, first_train = (
        ordered[np.where(count < counts, starts + count, n)] for count in (validation, validation + test)
    )
    class_rows = np.searchsorted(classes, labels)
    splits = np.full(n, TRAIN, np.int8)
    splits[numbers < first_train[class_rows]] = TEST
    splits[numbers < first_test[class_rows]] = VALIDATION
    return splits


def _count_held_out(sizes: npt.NDArray[np.int64], rules: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how many images of each class are for validation and for the test, both int64 (classes,).

    Each class gives the same share as the whole set, rounded down; of its held-out images the test gets the odd one.
    If too little is left by that, the shares are rounded from the smallest class on, together with all before it.
    """
    n = int(sizes.sum())
    wanted = min(n // HELD_OUT_DIVISOR, MAX_HELD_OUT)
    held_out = sizes * wanted // n  # whole numbers make that exact
    validation = held_out // 2
    found, all_wanted = (int(held_out.sum()), int(validation.sum())), (wanted, wanted // 2)
    has_lost = any(count < MIN_ROUNDED_SHARE * all_of_it for count, all_of_it in zip(found, all_wanted, strict=True))
    if rules > RULES_OF_ROUNDED_CLASSES and has_lost:
        order = np.argsort(sizes, kind="stable")
        together = np.cumsum(sizes[order]) * wanted // n
        held_out[order] = np.diff(together, prepend=0)
        validation[order] = np.diff(together // 2, prepend=0)
    return validation, held_out - validation


def _choose_splits_of_groups(
    numbers: npt.NDArray[np.uint64], labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], rules: int
) -> npt.NDArray[np.int8]:
    """Return the split of each image, the same for all images of a group.

    The image of a group with the smallest number decides when the group is chosen, and for which class. A group that
    is larger than what its class still has to hold out stays in training, and the next one is tried.
    """
    n = len(labels)
    order = np.argsort(numbers, kind="stable")
    _, first, members = np.unique(groups[order], return_index=True, return_inverse=True)
    counts = np.bincount(members.ravel())
    classes, sizes = np.unique(labels, return_counts=True)
    counts_held_out = (part.tolist() for part in _count_held_out(sizes, rules))
    quotas = {
        label: {VALIDATION: validation, TEST: test}
        for label, validation, test in zip(classes.tolist(), *counts_held_out, strict=True)
    }
    left = {label: dict(parts) for label, parts in quotas.items()}
    group_splits = np.full(len(first), TRAIN, np.int8)

    def choose(chosen: Iterable[int], max_share: float = 1.0, min_left: float = 0.0) -> None:
        """Divide groups among the parts: up to a share of a part, while such a share of it is empty."""
        for group in chosen:
            label, size = int(labels[order[first[group]]]), int(counts[group])
            for split in (VALIDATION, TEST):
                quota, empty = quotas[label][split], left[label][split]
                fits = size <= empty >= min_left * quota and size <= max(1, max_share * quota)
                if fits and group_splits[group] == TRAIN:
                    left[label][split] -= size
                    group_splits[group] = split

    if rules <= RULES_OF_LARGE_GROUPS_FIRST:
        choose(np.argsort(first, kind="stable").tolist())
    else:
        in_turn = np.lexsort((first, _chances(numbers[order[first]], counts))).tolist()
        for max_share in MAX_GROUP_SHARES:
            choose(in_turn, max_share)
        choose(in_turn, min_left=0.5)
    splits = np.empty(n, np.int8)
    splits[order] = group_splits[members.ravel()]
    return splits


def _chances(smallest: npt.NDArray[np.uint64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return how probable it is that the smallest of as many numbers is smaller still, (groups,), uniform from 0 to 1.

    The smallest of many numbers is small, so that by itself it would choose large groups first. Of one number the
    chance is in the order of the numbers: a set without groups is divided as by the earlier rules.
    """
    chances: npt.NDArray[np.float64] = -np.expm1(counts * np.log1p(-(smallest / 2.0**64).clip(max=1 - 2.0**-53)))
    return chances


def order_by_split(splits: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return the row that goes to each position so that the splits follow each other and few rows move, int64 (N,)."""
    wanted = np.sort(splits)
    order = np.arange(len(splits))
    wrong = np.flatnonzero(splits != wanted)
    order[wrong[np.argsort(wanted[wrong], kind="stable")]] = wrong[np.argsort(splits[wrong], kind="stable")]
    return order


def permute_in_place(rows: Array | FileRows, order: npt.NDArray[np.int64]) -> None:
    """Do `rows[:] = rows[order]` with the memory of one row: `rows` may be a file that is larger than memory."""
    is_done = order == np.arange(len(order))
    for start in np.flatnonzero(~is_done).tolist():
        if is_done[start]:
            continue
        target, first_row = start, rows[start].copy()
        while (source := int(order[target])) != start:
            rows[target], is_done[target], target = rows[source], True, source
        rows[target], is_done[target] = first_row, True
