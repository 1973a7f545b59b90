"""Where image sets are: names of sets, paths, and names of paths that may be written into a run.

An absolute path names the user. So what a run shows to others (its settings, its model, its report) has only the name
of a folder or of a file, and the path is in the checkpoint, which stays with the user.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from dcgan.cache import expand_user
from dcgan.config import is_joined, join_specs, split_specs
from dcgan.data.torchvision import TORCHVISION_SETS
from dcgan.errors import UserError
from dcgan.files import printable

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
    """Return whether an image set is opened by a path, not by a name; of joined sets, whether any is."""
    return any(not (is_named_set(spec) or is_hub_set(spec)) for spec in split_specs(data))


def absolute_path(data: str) -> str | None:
    """Return the absolute path of an image set; None for a set that is opened by its name.

    Of joined sets, the text that names them with absolute paths.
    """
    if not is_path(data):
        return None
    return join_specs([os.path.abspath(expand_user(spec)) if is_path(spec) else spec for spec in split_specs(data)])


def find_places(recorded: str | None, name: str) -> tuple[list[str], list[str]]:
    """Return where the image set of a run may be, and those of these places where there is something.

    Args:
        recorded: its absolute path when the run was saved, if that is known.
        name: what the settings call it, which is looked for from the current folder. Of joined sets, each may have
            stayed or moved by itself.
    """
    local = absolute_path(name)
    places = list(dict.fromkeys(filter(None, (recorded, local))))
    if recorded and local and is_joined(name):
        pairs = zip(split_specs(recorded), split_specs(local), strict=False)
        places.append(join_specs([first if _exists(first) else second for first, second in pairs]))
        places = list(dict.fromkeys(places))
    return places, [place for place in places if all(map(_exists, split_specs(place)))]


def describe_missing(places: Iterable[str]) -> str:
    """Return the paths of places at which there is nothing, for an error line."""
    paths = dict.fromkeys(spec for place in places for spec in split_specs(place) if not _exists(spec))
    return " or ".join(map(printable, paths))


def _exists(spec: str) -> bool:
    return not is_path(spec) or path_exists(spec)


def path_exists(path: str | Path) -> bool:
    """Return whether there is something at a path; False also for a path that no file can have."""
    try:
        return expand_user(path).exists()
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
    return join_specs([_public_spec(spec) for spec in split_specs(data)])


def _public_spec(spec: str) -> str:
    name = public_name(spec)
    return f"./{name}" if name != spec and (is_named_set(name) or is_joined(name)) else name


def check_not_empty(data: str) -> None:
    """Refuse an empty text, which would otherwise be the current folder.

    Raises:
        UserError: it is empty.
    """
    if not all(spec.strip() for spec in split_specs(data)):
        raise UserError("the name of the data is empty: give a name, a folder or a file (a dot is this folder)")
