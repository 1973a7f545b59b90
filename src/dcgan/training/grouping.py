"""The groups of similar pictures of a new training: sorted by features, by the directions of edges, or by pixels.

Features of a trained network sort color pictures better than pixels (docs/experiments.md). They take milliseconds for
each picture, so pixels sort large sets. Where a package that the features need is missing, pixels serve. Gray pictures
are sorted by the directions of their edges: by pixels, fours and nines come into the same groups, and a generator
learns only the more frequent kind of a mixed group. What was found is kept (`kept_groups`).
"""

from dataclasses import dataclass

from torch import Tensor

from dcgan.config import Config
from dcgan.data.open import ImageSet
from dcgan.metrics.features import open_extractor
from dcgan.metrics.reference import choose_rows, extract_reference
from dcgan.models import groups
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.lite import MissingWeightsError
from dcgan.system.preparation import preparation_bar
from dcgan.training import kept_groups

FEATURES = "lite0"
"""The features that color pictures are sorted by."""
MIN_COLOR_CHANNELS = 3
MAX_PICTURES = 20_000
"""Pictures up to which features sort: they take minutes for more."""


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
    """Return the group of each picture, int64 (N,), by its edges, read from the cache if it is there."""

    def describe(rows: Tensor) -> Tensor:
        return groups.describe_edges(data.pixels[rows])

    if (kept := kept_groups.read_groups(config, data, generator)) is not None:
        generator.set_groups(*kept)
        return kept[0]
    found = _sort_by(describe, config, data, generator, labels)
    kept_groups.keep_groups(config, data, generator, found)
    return found


def _sort_by_features(config: Config, data: ImageSet, generator: GroupedGenerator, labels: Tensor | None) -> Tensor:
    """Return the group of each picture, int64 (N,), by features that are kept in the cache.

    Raises:
        MissingWeightsError: a package that the features need is not installed.
    """
    in_order = choose_rows(len(data), len(data)).argsort()  # the rows of the features are shuffled
    with preparation_bar(f"features of {len(data):,} pictures for groups", len(data)) as bar:
        found = extract_reference(data, "train", open_extractor(FEATURES), len(data), bar.update)
    features = found.features[in_order]
    return _sort_by(features.__getitem__, config, data, generator, labels)


def _sort_by(
    describe: groups.Describe, config: Config, data: ImageSet, generator: GroupedGenerator, labels: Tensor | None
) -> Tensor:
    """Return the group of each picture, int64 (N,), by what describes it, and fit the generator to them."""
    found = groups.find_groups(describe, len(data), generator.groups, config.seed, labels, generator.classes)
    generator.set_groups(found, groups.mean_features(data.pixels, found, generator.groups))
    return found
