"""The metrics of one set of samples, and the accuracy of a judge that is trained on the samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan.cache import cache_key
from dcgan.evaluation.task import EvaluationTask
from dcgan.files import printable
from dcgan.metrics import fidelity, jackknife, modes
from dcgan.metrics.intervals import Floor
from dcgan.metrics.jackknife import Jackknifed
from dcgan.metrics.limits import FRECHET, MODE_COUNT, component_distance_name
from dcgan.metrics.reference import FeatureSet, check_finite, choose_rows, concatenate_sets, load_or_compute_values

MAX_MANIFOLD_IMAGES = 10_000
"""Pictures of each side that precision, recall, density and coverage use at most: their cost grows with n squared."""
MAX_TRAINING_SAMPLES = 60_000
"""Samples of a model that a judge is trained on at most."""
MAX_TRAINING_BYTES = 2**30
"""Memory that these samples may take."""

LARGE_SET = 5_000
"""Pictures of each side from which on the Fréchet distance stands first: below, its bias is too large."""
MIN_COMPONENTS, PICTURES_PER_COMPONENT = 2, 10
"""Principal components that a Fréchet distance of few pictures is computed in at least, and pictures for each."""
MIN_SET_SAMPLES = 10
"""Samples of a set that metrics of classes need: the score of classes divides them into ten parts."""
PAIR_METRIC = "kernel_inception_distance_mean"
"""The metric whose expectation does not depend on the numbers of pictures."""
INFINITE = "frechet_inception_distance_infinite"
DISTANCES_OF_SETS = (INFINITE, "train_on_fakes_accuracy")
"""Metrics of sets that need real pictures."""
NEIGHBOR_METRICS = ("precision", "recall", "density", "coverage")

Metrics = dict[str, float]
"""Values of metrics by torch-fidelity's key, or by a key of ours where torch-fidelity has none."""


@dataclass(frozen=True)
class SetMetrics:
    """The metrics of one set of samples.

    Attributes:
        of_pictures: metrics whose intervals follow from their changes without each picture.
        of_set: metrics whose intervals need several sets.
    """

    of_pictures: dict[str, Jackknifed]
    of_set: Metrics

    def values(self) -> Metrics:
        """Return the value of every metric."""
        return {name: metric.value for name, metric in self.of_pictures.items()} | self.of_set


@dataclass(frozen=True)
class SampleMetrics:
    """The metrics of all sets of samples.

    Attributes:
        of_sets: the metrics of each seed; of samples from files, those of all samples.
        parts: the metrics of classes of disjoint parts of samples from files; empty if there are none.
        samples: the features of all samples.
        first: the features of the samples of the first seed, or of all samples from files.
    """

    of_sets: list[SetMetrics]
    parts: list[Metrics]
    samples: FeatureSet
    first: FeatureSet


@dataclass(frozen=True)
class Components:
    """The first principal components of the real features.

    Attributes:
        mean: of the real features, (D,).
        basis: orthonormal columns, (D, d).
    """

    mean: Tensor
    basis: Tensor

    def project(self, features: Tensor) -> Tensor:
        """Return features (N, D) in the components, (N, d)."""
        return (features - self.mean) @ self.basis


@dataclass(frozen=True)
class RealSide:
    """The real pictures that samples are compared with, and what depends on them only.

    Attributes:
        features: the features of the pictures.
        gaussian: the features that the Fréchet distance uses: all, or those in `components`.
        statistics: their mean and covariance; None if there are too few pictures.
        components: what the features are projected to; None if all features are used.
        kernel_sums: of all pairs, see `jackknife.kernel_sums`.
        manifold: the features that precision, recall, density and coverage use.
        k: the neighbor that these use; 0 if there are too few pictures for them.
        balls: see `jackknife.neighborhoods`; None without `k`.
        density_balls: see `jackknife.density_neighborhoods`; None without `k`.
    """

    features: FeatureSet
    gaussian: Tensor
    statistics: fidelity.GaussianStatistics | None
    components: Components | None
    kernel_sums: jackknife.KernelSums
    manifold: Tensor
    k: int
    balls: jackknife.Neighborhoods | None
    density_balls: jackknife.Neighborhoods | None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def frechet_name(self) -> str:
        """The key of the Fréchet distance: of components it has a name of its own."""
        return FRECHET if self.components is None else component_distance_name(self.gaussian.shape[1])


def describe_real_side(real: FeatureSet, sample_count: int, k: int) -> RealSide:
    """Compute what all sets of `sample_count` samples are compared with."""
    manifold, count = real.features[:MAX_MANIFOLD_IMAGES], min(len(real), sample_count)
    components = None
    if is_full := count >= fidelity.MIN_SAMPLES_PER_FEATURE * real.features.shape[1]:
        gaussian = real.features
    elif (component_count := count // PICTURES_PER_COMPONENT) >= MIN_COMPONENTS:
        components = _find_components(real.features, component_count)
        gaussian = components.project(real.features)
    else:
        gaussian = real.features[:, :0]
    k = k if k < min(len(manifold), sample_count) else 0
    return RealSide(
        real,
        gaussian,
        fidelity.gaussian_statistics(gaussian) if is_full or components else None,
        components,
        jackknife.kernel_sums(real.features),
        manifold,
        k,
        jackknife.neighborhoods(manifold, k) if k else None,
        jackknife.density_neighborhoods(manifold, k) if k else None,
    )


def _find_components(features: Tensor, count: int) -> Components:
    mean = features.mean(0)
    _, _, directions = torch.linalg.svd(features - mean, full_matrices=False)
    return Components(mean, directions[:count].T)


def extract_samples(task: EvaluationTask, seed: int, on_extracted: Callable[[int], object]) -> FeatureSet:
    """Return the features of the samples of a seed; `on_extracted` gets the number of samples after each batch."""
    batches = []
    for pixels, labels in task.samples.draw(seed, task.n):
        batches.append(FeatureSet(*task.extractor.extract(pixels), labels))
        on_extracted(len(pixels))
    samples = concatenate_sets(batches)
    check_finite(samples, printable(task.samples.name), task.extractor)
    return samples


def compute_metrics(task: EvaluationTask, fake: FeatureSet, real: RealSide, seed: int) -> SetMetrics:
    """Return every metric of one set of samples, except the accuracy of a judge that is trained on them.

    Args:
        task: the evaluation.
        fake: the samples.
        real: the real pictures that the samples are compared with.
        seed: of the subsets of the extrapolation.
    """
    kernel = jackknife.kernel_distance(fake.features, real.features.features, real.kernel_sums)
    metrics = {PAIR_METRIC: kernel} | _compute_frechet(fake, real)
    if real.k:
        manifold = fake.features[:MAX_MANIFOLD_IMAGES]
        metrics["precision"], metrics["recall"] = jackknife.precision_recall(
            manifold, real.manifold, real.k, real.balls
        )
        metrics["density"], metrics["coverage"] = jackknife.density_coverage(
            manifold, real.manifold, real.k, real.density_balls
        )
    if min(len(fake), len(real)) >= LARGE_SET and real.frechet_name in metrics:  # the distance that papers report
        metrics = {real.frechet_name: metrics.pop(real.frechet_name)} | metrics
    return SetMetrics(metrics, compute_set_metrics(task, fake, real, seed))


def compute_set_metrics(task: EvaluationTask, fake: FeatureSet, real: RealSide, seed: int) -> Metrics:
    """Return the metrics of one set of samples whose intervals need several sets; the arguments are the same."""
    metrics: Metrics = {}
    if task.infinite and real.statistics is not None and real.components is None:
        metrics[INFINITE] = fidelity.extrapolated_frechet_distance(fake.features, real.statistics, seed)
    return metrics | compute_class_metrics(task, fake)


def _compute_frechet(fake: FeatureSet, real: RealSide) -> dict[str, Jackknifed]:
    """Return the Fréchet distance, of all features or of components; nothing if there are too few pictures."""
    if real.statistics is None:
        return {}
    features = fake.features if real.components is None else real.components.project(fake.features)
    statistics = fidelity.gaussian_statistics(features)
    return {real.frechet_name: jackknife.frechet_distance(features, real.gaussian, statistics, real.statistics)}


def compute_class_metrics(task: EvaluationTask, fake: FeatureSet) -> Metrics:
    """Return the metrics that need class scores; none of fewer than `MIN_SET_SAMPLES` samples."""
    extractor = task.extractor
    if fake.scores is None or len(fake) < MIN_SET_SAMPLES:
        return {}
    if extractor.is_stacked:
        labels = modes.stacked_modes(fake.scores)
        metrics = {
            "modes_covered": float(modes.count_modes(labels)),
            "kl_to_uniform": modes.kl_to_uniform(modes.class_shares(labels, MODE_COUNT)),
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


def add_train_on_fakes(task: EvaluationTask, metrics: SampleMetrics, floor: dict[str, Floor], floor_key: str) -> None:
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
    for seed, set_metrics in enumerate(metrics.of_sets):
        pixels, labels = _draw_samples(task, seed, count)
        set_metrics.of_set[name] = _train_on(task, pixels, labels, seed)
        for part_seed, rows in enumerate(torch.arange(count).tensor_split(max(1, len(metrics.parts)))):
            if metrics.parts:
                metrics.parts[part_seed][name] = _train_on(task, pixels[rows], labels[rows], part_seed)
    if set(NEIGHBOR_METRICS) & set(floor):  # of as many real pictures of another split
        key = cache_key(floor_key, str(count))
        values = load_or_compute_values(key, lambda: {name: [_train_on_reals(task, count)]})
        floor[name] = Floor(tuple(values[name]), count, len(task.real_images))


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
