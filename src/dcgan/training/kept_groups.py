"""Groups of gray pictures that were found before: those of MNIST come with the package, others are in the cache.

Finding them takes one second at the start of a training.
"""

import contextlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dcgan.cache import cache_folder, cache_key, new_cache_entry
from dcgan.config import Config
from dcgan.data.image_set import ImageSet
from dcgan.errors import UserError
from dcgan.models.grouped_generator import GroupedGenerator

EDGES_VERSION = 1
"""It is raised when edges are described or sorted in another way."""
GROUPS_FILE = "groups.npz"
SHIPPED_FILE = Path(__file__).with_name("mnist_groups.npz")
"""The groups of the default training on MNIST. `python -m benchmarks.shipped_groups` writes it."""


def read_groups(config: Config, data: ImageSet, generator: GroupedGenerator) -> tuple[Tensor, Tensor] | None:
    """Return the group of each picture, int64 (N,), and the centers (K, F); None if they are to be searched.

    Args:
        config: the settings.
        data: the training pictures.
        generator: says how many groups there are.
    """
    entry = cache_folder() / _entry_name(config, data, generator)
    found = (_read_file(path, config, data, generator) for path in (SHIPPED_FILE, entry / GROUPS_FILE))
    return next((kept for kept in found if kept is not None), None)


def keep_groups(config: Config, data: ImageSet, generator: GroupedGenerator, groups: Tensor) -> None:
    """Write the group of each picture, int64 (N,), and the generator's centers into the cache, if it can be written."""
    if data.content_key:
        with contextlib.suppress(UserError), new_cache_entry(_entry_name(config, data, generator)) as entry:
            write_groups(entry / GROUPS_FILE, config, data, generator, groups)


def write_groups(path: Path, config: Config, data: ImageSet, generator: GroupedGenerator, groups: Tensor) -> None:
    """Write the group of each picture, int64 (N,), and the generator's centers into a file."""
    arrays = {"groups": groups.int().cpu().numpy(), "centers": generator.centres.cpu().numpy()}
    np.savez_compressed(path, allow_pickle=False, key=np.array(_content_key(config, data, generator)), **arrays)


def _read_file(path: Path, config: Config, data: ImageSet, generator: GroupedGenerator) -> tuple[Tensor, Tensor] | None:
    """Return what `write_groups` wrote; None if the file is missing, damaged, or of other pictures or settings."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["key"]) != _content_key(config, data, generator):
                return None
            groups, centers = (torch.from_numpy(arrays[name]) for name in ("groups", "centers"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):  # it has checksums
        return None
    is_complete = groups.shape == (len(data),) and centers.shape == generator.centres.shape
    return (groups.long(), centers) if is_complete else None


def _content_key(config: Config, data: ImageSet, generator: GroupedGenerator) -> str:
    """Return what stands for everything that the groups depend on, but for rounding."""
    pictures = (data.content_key, data.part, list(data.pixels.shape))
    return cache_key("edges", EDGES_VERSION, pictures, generator.groups, generator.classes, config.seed)


def _entry_name(config: Config, data: ImageSet, generator: GroupedGenerator) -> str:
    """Return the name of the groups in the cache. Other processors and numbers of threads round differently."""
    machine = (torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    return cache_key(_content_key(config, data, generator), machine)
