"""The metrics of one set of samples, and the accuracy of a judge that is trained on the samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan.cache import cache_key
from dcgan.evaluation.task import EvaluationTask
from dcgan.metrics import fidelity, modes
from dcgan.metrics.memorization import train_distance_ratio
from dcgan.metrics.reference import FeatureSet, choose_rows, concatenate_sets, load_or_compute_metrics

MAX_MANIFOLD_IMAGES = 10_000
"""Pictures of each side that precision, recall, density and coverage use at most: their cost grows with n squared."""
MAX_TRAINING_SAMPLES = 60_000
"""Samples of a model that a judge is trained on at most."""
MAX_TRAINING_BYTES = 2**30
"""Memory that these samples may take."""

Metrics = dict[str, float]
"""Values of metrics by torch-fidelity's key, or by a key of ours where torch-fidelity has none."""


@dataclass(frozen=True)
class SampleMetrics:
    """The metrics of all sets of samples.

    Attributes:
        of_sets: the metrics of each set: of each seed, or of each part of samples that came from files.
        overall: the metrics of all samples together, if they came from files; else None.
        samples: the features of all samples.
    """

    of_sets: list[Metrics]
    overall: Metrics | None
    samples: FeatureSet


@dataclass(frozen=True)
class RealSide:
    """The real pictures that samples are compared with, and what depends on them only.

    Attributes:
        features: the features of the pictures.
        statistics: their mean and covariance.
        kernel_mean: of all pairs, see `fidelity.mean_kernel`.
        manifold: the features that precision, recall, density and coverage use.
        manifold_radii: see `fidelity.manifold_radii`.
        ball_radii: see `fidelity.ball_radii`.
    """

    features: FeatureSet
    statistics: fidelity.GaussianStatistics
    kernel_mean: float
    manifold: Tensor
    manifold_radii: Tensor
    ball_radii: Tensor

    def __len__(self) -> int:
        return len(self.features)


def describe_real_side(real: FeatureSet) -> RealSide:
    """Compute what all sets of samples are compared with."""
    manifold = real.features[:MAX_MANIFOLD_IMAGES]
    return RealSide(
        real,
        fidelity.gaussian_statistics(real.features),
        fidelity.mean_kernel(real.features),
        manifold,
        fidelity.manifold_radii(manifold),
        fidelity.ball_radii(manifold),
    )


def extract_samples(task: EvaluationTask, seed: int, on_extracted: Callable[[int], object]) -> FeatureSet:
    """Return the features of the samples of a seed; `on_extracted` gets the number of samples after each batch."""
    batches = []
    for pixels, labels in task.samples.draw(seed, task.n):
        batches.append(FeatureSet(*task.extractor.extract(pixels), labels))
        on_extracted(len(pixels))
    return concatenate_sets(batches)


def compute_metrics(
    task: EvaluationTask, fake: FeatureSet, real: RealSide, train: FeatureSet | None, seed: int
) -> Metrics:
    """Return every metric of one set of samples, except the accuracy of a judge that is trained on them.

    Args:
        task: the evaluation.
        fake: the samples.
        real: the real pictures that the samples are compared with.
        train: real pictures of the split that the generator was trained on, or None.
        seed: of the subsets of the extrapolation.
    """
    metrics = {
        "frechet_inception_distance": fidelity.frechet_distance(
            fidelity.gaussian_statistics(fake.features), real.statistics
        ),
        "kernel_inception_distance_mean": fidelity.kernel_distance(
            fake.features, real.features.features, real.kernel_mean
        ),
    }
    if task.infinite:
        metrics["frechet_inception_distance_infinite"] = fidelity.extrapolated_frechet_distance(
            fake.features, real.statistics, seed
        )
    manifold = fake.features[:MAX_MANIFOLD_IMAGES]
    metrics["precision"], metrics["recall"] = fidelity.precision_recall(
        manifold, real.manifold, real_radii=real.manifold_radii
    )
    metrics["density"], metrics["coverage"] = fidelity.density_coverage(
        manifold, real.manifold, real_radii=real.ball_radii
    )
    if train is not None and task.split == "test":
        train_features = train.features[:MAX_MANIFOLD_IMAGES]
        metrics["train_held_out_distance_ratio"] = train_distance_ratio(manifold, train_features, real.manifold)
    return metrics | _compute_class_metrics(task, fake)


def _compute_class_metrics(task: EvaluationTask, fake: FeatureSet) -> Metrics:
    """Return the metrics that need class scores."""
    extractor = task.extractor
    if fake.scores is None:
        return {}
    if extractor.is_stacked:
        labels = modes.stacked_modes(fake.scores)
        metrics = {
            "modes_covered": float(modes.count_modes(labels)),
            "kl_to_uniform": modes.kl_to_uniform(modes.class_shares(labels, modes.MODE_COUNT)),
        }
    else:
        metrics = {"inception_score_mean": fidelity.inception_score(fake.scores)}
        if not extractor.classes:
            return metrics
        labels = fake.scores.argmax(1)
        metrics["class_entropy"] = modes.entropy(modes.class_shares(labels, len(extractor.classes)))
    if fake.labels is not None and (extractor.is_stacked or extractor.classes == task.real_images.classes):
        metrics["label_agreement"] = modes.label_agreement(labels, fake.labels)
    return metrics


def add_train_on_fakes(task: EvaluationTask, metrics: SampleMetrics, floor: Metrics, floor_key: str) -> None:
    """Add the accuracy on real pictures of judges that are trained on samples only.

    A model draws as many samples as the training split has, up to `MAX_TRAINING_SAMPLES`. All samples of files are
    used.

    Args:
        task: the evaluation.
        metrics: the metrics to add to.
        floor: the metrics of real against real, to add to unless it is empty.
        floor_key: the key of the floor in the cache.
    """
    name = "train_on_fakes_accuracy"
    count = task.n if task.has_files else _training_sample_count(task)
    if metrics.overall is None:
        for seed, set_metrics in enumerate(metrics.of_sets):
            set_metrics[name] = _train_on(task, *_draw_samples(task, seed, count), seed)
    else:
        pixels, labels = _draw_samples(task, 0, count)
        metrics.overall[name] = _train_on(task, pixels, labels, 0)
        for seed, rows in enumerate(torch.arange(count).chunk(len(metrics.of_sets))):
            metrics.of_sets[seed][name] = _train_on(task, pixels[rows], labels[rows], seed)
    if floor:
        floor |= load_or_compute_metrics(cache_key(floor_key, str(count)), lambda: {name: _train_on_reals(task, count)})


def _training_sample_count(task: EvaluationTask) -> int:
    max_count = MAX_TRAINING_BYTES // math.prod(task.samples.image_shape)
    return min(MAX_TRAINING_SAMPLES, max_count, len(task.open_split("train")))


def _draw_samples(task: EvaluationTask, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """Return the first `n` samples of a seed, uint8 (n, C, H, W), and their requested classes, int64 (n,)."""
    batches = list(task.samples.draw(seed, n))
    labels = [labels for _, labels in batches if labels is not None]
    return torch.cat([pixels for pixels, _ in batches]), torch.cat(labels)


def _train_on_reals(task: EvaluationTask, count: int) -> float:
    """Return the accuracy of a judge that is trained on real pictures of the floor's split."""
    images = task.open_floor_split()
    assert images.labels is not None
    rows = choose_rows(len(images), count)
    return _train_on(task, images.pixels[rows], images.labels[rows], 0)


def _train_on(task: EvaluationTask, pixels: Tensor, labels: Tensor, seed: int) -> float:
    real = task.real_images
    assert real.labels is not None
    class_count = len(real.classes)
    return modes.train_on_fakes(
        pixels, labels, real.pixels, real.labels, class_count, seed=seed, show_progress=task.show_progress
    )
