"""A set that is divided among processes: each opens one part, which are whole files.

The part of a folder of `.tar` or `.parquet` files is every W-th of them. Pictures that are Python objects are divided
when they are stored, so that each part has a file of its own.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from dcgan.data.shards import split_shards
from dcgan.errors import UserError
from dcgan.files import printable

Part = tuple[int, int]
"""The number of a part, from 0, and how many parts the set has."""
WHOLE: Part = (0, 1)
"""A set that is not divided."""
_PART_FILE = re.compile(r"-part-(\d+)-of-(\d+)\.npz$")


def part_file_name(name: str, part: Part) -> str:
    """Return the name of the file that holds a part of the pictures of a Python object, or all of them."""
    return f"{name}.npz" if part == WHOLE else f"{name}-part-{part[0]}-of-{part[1]}.npz"


def check_part_file(path: Path, part: Part) -> None:
    """Refuse what is no part, or another part.

    Raises:
        UserError: it says what can be divided, or that each process needs its own pictures.
    """
    if (match := _PART_FILE.search(path.name)) is None:
        raise UserError(
            f"{printable(str(path))} cannot be divided by --split-data, which needs a folder of .tar or of .parquet "
            "files, or a Dataset given in Python"
        )
    if (int(match[1]), int(match[2])) != part:
        raise UserError(
            f"{printable(str(path))} holds another part than that of process {part[0]} of {part[1]}: give the same "
            "pictures again, dcgan.resume(RUN, data=...)"
        )


def select_part(shards: Sequence[Path], root: Path, part: Part) -> list[Path]:
    """Return the files of a part, by name. Training files and test files are divided each by themselves.

    With fewer test files than parts some parts have the same one. A part without any would hold out pictures of its
    training files instead.

    Args:
        shards: the files of the set, by name.
        root: the folder that holds them.
        part: which part.

    Raises:
        UserError: there are fewer training files than parts.
    """
    number, count = part
    splits, _ = split_shards([path.relative_to(root).as_posix() for path in shards])
    train = [path for path, is_test in zip(shards, splits, strict=True) if is_test is False]
    test = [path for path, is_test in zip(shards, splits, strict=True) if is_test]
    if len(train) < count:
        raise UserError(
            f"{printable(str(root))} has {len(train)} file{'s' * (len(train) != 1)} to train on, too few for {count} "
            "processes: --split-data needs at least one for each"
        )
    own_test = test[number::count] or ([test[number % len(test)]] if test else [])
    return sorted([*train[number::count], *own_test])
