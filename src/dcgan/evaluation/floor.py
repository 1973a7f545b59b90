"""The floor of an evaluation: the metrics of other real pictures in the place of samples."""

from collections.abc import Callable

import numpy as np
import torch

from dcgan.cache import cache_key
from dcgan.data.near_duplicates import group_near_duplicates
from dcgan.data.similarity import make_thumbnails
from dcgan.evaluation.compute import (
    PAIR_METRIC,
    RealSide,
    compute_metrics,
)
from dcgan.evaluation.copies import MAX_CROSS_SPLIT
from dcgan.evaluation.task import FLOOR_SPLIT, EvaluationTask
from dcgan.metrics import fidelity
from dcgan.metrics.intervals import (
    Floor,
)
from dcgan.metrics.reference import (
    MAX_FLOOR_IMAGES,
    FeatureSet,
    choose_rows,
    extract_reference,
    floor_sets,
    load_or_compute_values,
)
from dcgan.rng import SeparatePurpose, derive_separate_seed

CROSS_SPLITS = 20
"""Random divisions of all real pictures into two halves that the floor is the mean of."""
MIN_HALF = 2
"""Pictures of a half at least: its own part of the kernel distance is a mean over pairs."""
FLOOR_SET_COUNT = 2
"""Sets of real pictures that the floor is the mean of; it varies little between sets."""
FLOOR_VERSION = 3
"""Version of the floor's metrics in the cache. It is raised when a metric is computed in another way."""


def count_floor_pool(task: EvaluationTask) -> int:
    """Return how many pictures `extract_floor_pool` extracts the features of."""
    if task.split not in FLOOR_SPLIT:
        return 0
    return min(len(task.open_floor_split()), FLOOR_SET_COUNT * task.n, MAX_FLOOR_IMAGES)


def extract_floor_pool(task: EvaluationTask, on_extracted: Callable[[int], object]) -> FeatureSet:
    """Return the features of the real pictures that the floor is computed from; none if all data are the reference."""
    if task.split not in FLOOR_SPLIT:
        return FeatureSet(torch.empty(0, task.extractor.feature_count))
    images, split = task.open_floor_split(), FLOOR_SPLIT[task.split]
    return extract_reference(images, split, task.extractor, count_floor_pool(task), on_extracted)


def load_or_compute_floor(task: EvaluationTask, real: RealSide, pool: FeatureSet) -> dict[str, Floor]:
    """Return the metrics with other real pictures instead of samples.

    If there are fewer of them than samples, only the kernel distance has a floor, because it does not depend on their
    number. If all pictures are the reference, halves of them are compared with each other.
    """
    if task.split not in FLOOR_SPLIT:
        return _cross_split_floor(task, real)
    n = min(task.n, len(pool))
    if n < fidelity.MIN_IMAGES:
        return {}

    def compute_floor() -> dict[str, list[float]]:
        if n < task.n:
            distance = fidelity.kernel_distance(pool.features, real.features.features)
            return {PAIR_METRIC: [distance]}
        sets = [
            compute_metrics(task, fake, real, seed).values()
            for seed, fake in enumerate(floor_sets(pool, n, FLOOR_SET_COUNT))
        ]
        return {name: [metrics[name] for metrics in sets] for name in sets[0]}

    values = load_or_compute_values(floor_key(task, len(real)), compute_floor)
    return {name: Floor(tuple(floor), n, len(real)) for name, floor in values.items()}


def _cross_split_floor(task: EvaluationTask, real: RealSide) -> dict[str, Floor]:
    """Return the kernel distance of random halves of the real pictures from each other.

    Near duplicates are in one half, but for the group that is cut where the halves meet. The distance does not depend
    on the number of pictures, so it can be compared with that of the samples from all of them. Halves of one picture
    have no distance.
    """
    rows = choose_rows(len(task.real_images), len(real))[:MAX_CROSS_SPLIT]
    half = len(rows) // 2
    if half < MIN_HALF:
        return {}
    groups = group_near_duplicates(make_thumbnails(task.real_images.pixels[rows]))
    distances = []
    for i in range(CROSS_SPLITS):
        seed = derive_separate_seed(i, SeparatePurpose.CROSS_SPLITS)
        order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(rows))
        in_order = torch.from_numpy(np.argsort(order, kind="stable"))[groups].argsort(stable=True)
        first, second = real.features.features[in_order[:half]], real.features.features[in_order[half : 2 * half]]
        distances.append(fidelity.kernel_distance(first, second))
    return {PAIR_METRIC: Floor(tuple(distances), half, half)}


def floor_key(task: EvaluationTask, reference_count: int) -> str:
    """Return the key in the cache of the metrics of other real pictures, or of what follows from them."""
    return cache_key(
        "floor",
        FLOOR_VERSION,
        task.real_images.content_key,
        task.real_images.rules,
        task.split,
        task.n,
        reference_count,
        FLOOR_SET_COUNT,
        task.features_name,
        task.extractor.weights_key,
        task.samples.image_shape,
        task.infinite,
        task.k,
    )
