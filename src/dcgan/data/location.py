"""Where image sets are: names of sets, paths, and names of paths that may be written into a run.

An absolute path names the user. So what a run shows to others (its settings, its model, its report) has only the name
of a folder or of a file, and the path is in the checkpoint, which stays with the user.
"""

import os
from pathlib import Path

from dcgan.data.torchvision import TORCHVISION_SETS
from dcgan.errors import UserError

BUILT_IN_SETS = ("mnist", "stacked-mnist")
"""Sets that need no files but those of the package."""
HUB_PREFIX = "hf:"
"""What the names of sets of Hugging Face's Hub begin with."""


def is_named_set(data: str) -> bool:
    """Return whether an image set is one of those whose names the package knows."""
    return data in BUILT_IN_SETS or data in TORCHVISION_SETS


def is_hub_set(data: str) -> bool:
    """Return whether an image set is one of Hugging Face's Hub."""
    return data.startswith(HUB_PREFIX)


def is_path(data: str) -> bool:
    """Return whether an image set is opened by a path, not by a name."""
    return not (is_named_set(data) or is_hub_set(data))


def absolute_path(data: str) -> str | None:
    """Return the absolute path of an image set; None for a set that is opened by its name."""
    return os.path.abspath(Path(data).expanduser()) if is_path(data) else None


def path_exists(path: str | Path) -> bool:
    """Return whether there is something at a path; False also for a path that no file can have."""
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError):  # the name is too long, or has a zero byte
        return False


def public_name(path: str) -> str:
    """Return a path as it may be shown to others: relative to the current folder if it is below it, else its name."""
    if not (os.path.isabs(path) or path.startswith("~")):
        return path
    full = os.path.abspath(os.path.expanduser(path))
    current = os.path.abspath(os.curdir)
    if full != current and os.path.dirname(current) != current and full.startswith(current + os.sep):
        return os.path.relpath(full, current)
    return os.path.basename(full) or path


def public_data_name(data: str) -> str:
    """Return the name of an image set as it may be shown to others; a path never becomes the name of another set."""
    name = public_name(data)
    return f"./{name}" if name != data and is_named_set(name) else name


def check_not_empty(data: str) -> None:
    """Refuse an empty text, which would otherwise be the current folder.

    Raises:
        UserError: it is empty.
    """
    if not data.strip():
        raise UserError("the name of the data is empty: give a name, a folder or a file (a dot is this folder)")
