"""Classes of images: of stored arrays those that have training images, and what is said of small ones."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dcgan.data.arrays import Array, StoredImages
from dcgan.data.image_set import ImageSet
from dcgan.data.layout import describe_gaps, describe_left_out
from dcgan.data.rules import RULES_OF_0_1
from dcgan.files import list_names


def keep_trained_classes(
    parts: Sequence[StoredImages], rules: int
) -> tuple[list[StoredImages], tuple[str, ...], list[str]]:
    """Return the parts with classes 0, 1, 2, ..., the names of the classes, and lines about what changed.

    The names are those in the files, otherwise the numbers that the files use. Test images of other classes get the
    label -1 and are left out.
    """
    labels = [part.labels for part in parts if part.labels is not None]
    if not labels:
        return list(parts), (), []
    if rules == RULES_OF_0_1:
        return list(parts), tuple(map(str, range(1 + max(int(part.max(initial=-1)) for part in labels)))), []
    train_labels = [part.labels for part in parts if part.labels is not None and not part.is_test]
    numbers = np.unique(np.concatenate(train_labels))
    given = next((part.class_names for part in parts if part.class_names), ())

    def name_of(number: int) -> str:
        return given[number] if number < len(given) else str(number)

    new_parts, left_out = [], Counter[str]()
    for part in parts:
        if part.labels is None:
            new_parts.append(part)
            continue
        new_labels, is_known = compact_labels(part.labels, numbers)
        left_out.update(map(name_of, part.labels[~is_known].tolist()))
        new_parts.append(replace(part, labels=new_labels))
    notices = [*describe_gaps(numbers.tolist()), *describe_left_out(left_out)]
    return new_parts, tuple(map(name_of, numbers.tolist())), notices


def compact_labels(labels: Array, numbers: Array) -> tuple[Array, Array]:
    """Return the position of each label in the sorted `numbers`, -1 for others; and whether each is one of them."""
    positions = np.searchsorted(numbers, labels).clip(max=max(0, len(numbers) - 1))
    is_known = numbers[positions] == labels if len(numbers) else np.zeros(len(labels), bool)
    return np.where(is_known, positions, -1).astype(np.int64), is_known


def describe_small_classes(images: ImageSet) -> list[str]:
    """Return lines about classes that have too few images to be learned by a training with classes."""
    assert images.labels is not None
    counts, classes = images.labels.bincount(minlength=len(images.classes)).tolist(), images.classes
    notices = []
    for found, meaning in enumerate(("mean nothing", "can only be copies of it")):
        names = [name for name, count in zip(classes, counts, strict=True) if count == found]
        if names:
            has, whose = ("has", "its") if len(names) == 1 else ("have", "their")
            few = f"{len(names):,} of {len(classes):,} classes {has} {('no', 'one')[found]} picture to train on"
            notices.append(f"{few}: {list_names(names)}; {whose} samples {meaning}")
    return notices
