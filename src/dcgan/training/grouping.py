"""The groups of similar pictures of a new training: sorted by features, by the directions of edges, or by pixels.

Features of a trained network sort color pictures better than pixels (docs/experiments.md). They take milliseconds for
each picture, so pixels sort large sets. Where a package that the features need is missing, pixels serve. Gray pictures
are sorted by the directions of their edges: by pixels, fours and nines come into the same groups, and a generator
learns only the more frequent kind of a mixed group. What was found is kept in the cache: the next run of the same
pictures with the same seed begins a second earlier.
"""

import contextlib
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dcgan.cache import cache_folder, cache_key, new_cache_entry
from dcgan.config import Config
from dcgan.data.open import ImageSet
from dcgan.errors import UserError
from dcgan.metrics.features import open_extractor
from dcgan.metrics.reference import choose_rows, extract_reference
from dcgan.models import groups
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.lite import MissingWeightsError

FEATURES = "lite0"
"""The features that color pictures are sorted by."""
MIN_COLOR_CHANNELS = 3
MAX_PICTURES = 20_000
"""Pictures up to which features sort: they take minutes for more."""
EDGES_VERSION = 1
"""It is raised when edges are described or sorted in another way."""
GROUPS_FILE = "groups.npz"


@dataclass(frozen=True)
class SortedPictures:
    """The groups of the training pictures.

    Attributes:
        groups: the group of each picture, int64 (N,).
        notice: a line for the user; empty if there is nothing to say.
    """

    groups: Tensor
    notice: str = ""


def sort_pictures(config: Config, data: ImageSet, generator: GroupedGenerator, *, is_initial: bool) -> SortedPictures:
    """Sort the training pictures into the groups of a new run's generator, and fit the generator to them.

    Args:
        config: the settings.
        data: the training pictures.
        generator: its groups are found here, and each of them wins as often as it occurs.
        is_initial: whether the generator has the groups of an initial model: they stay, and pixels say which pictures
            are in them.
    """
    labels = data.labels if generator.classes else None
    if is_initial:
        return SortedPictures(generator.fit_vote_offsets(data.pixels, labels))
    if data.pixels.shape[1] < MIN_COLOR_CHANNELS:
        return SortedPictures(_sort_by_edges(config, data, generator, labels))
    notice = ""
    if has_features(data) and generator.groups > max(1, generator.classes):
        try:
            return SortedPictures(_sort_by_features(config, data, generator, labels))
        except MissingWeightsError as error:
            notice = f"{error}; the pictures are sorted into groups by their pixels"
    centers = groups.find_group_centers(data.pixels, generator.groups, config.seed, labels, generator.classes)
    generator.centres.copy_(centers)
    return SortedPictures(generator.fit_vote_offsets(data.pixels, labels), notice)


def has_features(data: ImageSet) -> bool:
    """Return whether the pictures are sorted by features: color pictures, and not too many."""
    return data.pixels.shape[1] >= MIN_COLOR_CHANNELS and len(data) <= MAX_PICTURES


def _sort_by_edges(config: Config, data: ImageSet, generator: GroupedGenerator, labels: Tensor | None) -> Tensor:
    """Return the group of each picture, int64 (N,), by the directions of its edges, from the cache if it is there."""

    def describe(rows: Tensor) -> Tensor:
        return groups.describe_edges(data.pixels[rows])

    name = _cache_name(config, data, generator)
    if data.content_key and (cached := _read_groups(name, len(data), generator)) is not None:
        generator.set_groups(*cached)
        return cached[0]
    found = _sort_by(describe, config, data, generator, labels)
    if data.content_key:
        arrays = {"groups": found.cpu().numpy(), "centers": generator.centres.cpu().numpy()}
        with contextlib.suppress(UserError), new_cache_entry(name) as entry:  # the cache is optional
            np.savez_compressed(entry / GROUPS_FILE, allow_pickle=False, **arrays)
    return found


def _cache_name(config: Config, data: ImageSet, generator: GroupedGenerator) -> str:
    """Return the name of the groups in the cache. Other processors and numbers of threads round differently."""
    pictures = (data.content_key, data.part, list(data.pixels.shape))
    machine = (torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    return cache_key("edges", EDGES_VERSION, pictures, machine, generator.groups, generator.classes, config.seed)


def _read_groups(name: str, count: int, generator: GroupedGenerator) -> tuple[Tensor, Tensor] | None:
    """Return the groups of a cache entry, int64 (count,), and their centers; None if it is missing or damaged."""
    try:
        with (cache_folder() / name / GROUPS_FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found, centers = (torch.from_numpy(arrays[part]) for part in ("groups", "centers"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):  # it has checksums
        return None
    is_complete = found.shape == (count,) and centers.shape == generator.centres.shape
    return (found, centers) if is_complete else None


def _sort_by_features(config: Config, data: ImageSet, generator: GroupedGenerator, labels: Tensor | None) -> Tensor:
    """Return the group of each picture, int64 (N,), by features that are kept in the cache.

    Raises:
        MissingWeightsError: a package that the features need is not installed.
    """
    in_order = choose_rows(len(data), len(data)).argsort()  # the rows of the features are shuffled
    features = extract_reference(data, "train", open_extractor(FEATURES), len(data)).features[in_order]
    return _sort_by(features.__getitem__, config, data, generator, labels)


def _sort_by(
    describe: groups.Describe, config: Config, data: ImageSet, generator: GroupedGenerator, labels: Tensor | None
) -> Tensor:
    """Return the group of each picture, int64 (N,), by what describes it, and fit the generator to them."""
    found = groups.find_groups(describe, len(data), generator.groups, config.seed, labels, generator.classes)
    generator.set_groups(found, groups.mean_features(data.pixels, found, generator.groups))
    return found
