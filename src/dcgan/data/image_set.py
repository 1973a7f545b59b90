"""What a split of an image set is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from torch import Tensor

from dcgan.data.parts import WHOLE, Part
from dcgan.data.rules import CURRENT_RULES
from dcgan.data.value_range import ValueRange


@dataclass(frozen=True)
class ImageSet:
    """A split of an image set.

    Attributes:
        name: what the set was opened by: its name or path, printable.
        pixels: uint8 (N, C, H, W). The pixels of a folder or a file are mapped from the cache, so they may be larger
            than memory.
        labels: int64 (N,), or None without classes.
        classes: a printable name for each label; empty without classes.
        content_key: stands for the content and for how it was prepared: sets with equal keys that are read by equal
            `rules` have equal images in equal order.
        original_size: the size of the images before, height first, such as `64x48` or `16x16 to 640x480`.
        skipped_files: (name, reason) of each file that cannot be used.
        columns: arrays with one row for each image: `digests`, original `sizes`, `modes`, `indices` (position in
            the listing or in the array), and `groups` of near duplicates by the rules from version 3 on; empty for sets
            that are opened by name.
        mode_names: names for the numbers in `columns["modes"]`.
        pictures_key: stands for the images of all splits, however they are labeled and prepared; empty for sets that
            are opened by name.
        value_range: the values that became 0 and 255 in images of more than 8 bits; None if there are no such images.
        notices: lines about what was guessed and what was passed over.
        no_classes_reason: why there are no classes; empty if there are.
        rules: see `rules`.
        part: which part of the set the images are, see `parts`.
    """

    name: str
    pixels: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    content_key: str = ""
    original_size: str = ""
    skipped_files: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    mode_names: tuple[str, ...] = ()
    pictures_key: str = ""
    value_range: ValueRange | None = None
    notices: tuple[str, ...] = ()
    no_classes_reason: str = ""
    rules: int = CURRENT_RULES
    part: Part = WHOLE

    def __len__(self) -> int:
        return len(self.pixels)
