"""What is reckoned of an evaluation's samples: every metric of a set, and what a classifier learns from them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan.cache import cache_key
from dcgan.data.open import ImageSet, open_images
from dcgan.evaluation.samples import SampleSource
from dcgan.metrics import fidelity, modes
from dcgan.metrics.features import FeatureExtractor
from dcgan.metrics.memorization import train_distance_ratio
from dcgan.metrics.reference import FeatureSet, cached_metrics, concatenate_sets, random_rows

MAX_MANIFOLD_IMAGES = 10_000
"""Precision, recall, density and coverage look at this many of each side at most: they cost n squared."""
LEARNT_FROM, LEARNT_BYTES = 60_000, 2**30
"""Samples that a classifier learns from at most, and how large they may be together."""
FLOOR_SPLIT = {"test": "train", "validation": "test", "train": "test"}
"""Where the real pictures of the floor come from."""


@dataclass(frozen=True)
class EvaluationTask:
    """One evaluation, with everything open.

    Attributes:
        samples: of the shape that the features and the data have.
        features: what looks.
        images: the real pictures.
        spec: their name.
        split: which part of the data they are.
        n: samples in a figure.
        seeds: of the samples, or the numbers of the parts of samples that came as files.
        infinite: extrapolate the Fréchet distance.
        fakes: train a judge on the samples too.
    """

    samples: SampleSource
    features: FeatureExtractor
    images: ImageSet
    spec: str
    split: str
    n: int
    seeds: tuple[int, ...]
    infinite: bool
    fakes: bool

    def other(self) -> ImageSet:
        """The part of the data that the floor is made from, and that memorised pictures would come from."""
        return self.part(FLOOR_SPLIT[self.split])

    def part(self, split: str) -> ImageSet:
        """A part of the data, as the samples are."""
        channels, *size = self.samples.shape
        return open_images(self.spec, split, size=(size[0], size[1]), channels=channels, fit=self.samples.fit)


def extract_samples(task: EvaluationTask, seed: int, said: Callable[[int], object]) -> FeatureSet:
    """The samples of a seed as the metrics see them."""
    parts = []
    for pixels, labels in task.samples.draw(seed, task.n):
        parts.append(FeatureSet(*task.features.see(pixels), labels))
        said(len(pixels))
    return concatenate_sets(parts)


def compute_metrics(
    task: EvaluationTask, fake: FeatureSet, real: FeatureSet, train: FeatureSet | None, seed: int
) -> dict[str, float]:
    """Every metric of one set of samples, by torch-fidelity's key where it has one.

    Args:
        task: what is evaluated.
        fake: the samples.
        real: what they are held against.
        train: as many real pictures of the part that the generator was trained on; or None.
        seed: of subsets.
    """
    statistics = fidelity.gaussian_statistics(real.features)
    found = {
        "frechet_inception_distance": fidelity.frechet_distance(
            fidelity.gaussian_statistics(fake.features), statistics
        ),
        "kernel_inception_distance_mean": fidelity.kernel_distance(fake.features, real.features, seed),
    }
    if task.infinite:
        found["frechet_inception_distance_infinite"] = fidelity.extrapolated_frechet_distance(
            fake.features, statistics, seed
        )
    sides = fake.features[:MAX_MANIFOLD_IMAGES], real.features[:MAX_MANIFOLD_IMAGES]
    found["precision"], found["recall"] = fidelity.precision_recall(*sides)
    found["density"], found["coverage"] = fidelity.density_coverage(*sides)
    if train is not None and task.split == "test":
        ours = [s.features[:MAX_MANIFOLD_IMAGES] for s in (fake, train, real)]
        found["train_held_out_distance_ratio"] = train_distance_ratio(*ours)
    return found | _of_classes(task, fake)


def _of_classes(task: EvaluationTask, fake: FeatureSet) -> dict[str, float]:
    """The metrics that need a classifier."""
    if fake.scores is None:
        return {}
    if task.features.stacked:
        drawn = modes.stacked_modes(fake.scores)
        found = {
            "modes_covered": float(modes.modes_covered(drawn)),
            "kl_to_uniform": modes.kl_to_uniform(modes.class_shares(drawn, modes.MODE_COUNT)),
        }
    else:
        found = {"inception_score_mean": fidelity.inception_score(fake.scores)}
        if not task.features.classes:
            return found
        drawn = fake.scores.argmax(1)
        found["class_entropy"] = modes.entropy(modes.class_shares(drawn, len(task.features.classes)))
    if fake.labels is not None and (task.features.stacked or task.features.classes == task.images.classes):
        found["label_agreement"] = modes.label_agreement(drawn, fake.labels)
    return found


def add_train_on_fakes(
    task: EvaluationTask,
    each: list[dict[str, float]],
    whole: dict[str, float] | None,
    floor: dict[str, float],
    key: str,
) -> None:
    """Add to the figures how well classifiers that learnt from the samples alone read real pictures.

    A model draws as many as the training part has, up to `LEARNT_FROM`; of files there is what there is.

    Args:
        task: what is evaluated.
        each: the figures of each set of samples.
        whole: those of all samples, where they came as files.
        floor: those of real against real; empty where there are none.
        key: of the floor in the cache.
    """
    name = "train_on_fakes_accuracy"
    count = task.n
    if task.samples.there is None:
        count = min(LEARNT_FROM, LEARNT_BYTES // math.prod(task.samples.shape), len(task.part("train")))
    if whole is None:
        for seed, found in enumerate(each):
            found[name] = _learnt(task, *_gathered(task, seed, count), seed)
    else:
        pixels, labels = _gathered(task, 0, count)
        whole[name] = _learnt(task, pixels, labels, 0)
        for seed, rows in enumerate(torch.arange(count).chunk(len(each))):
            each[seed][name] = _learnt(task, pixels[rows], labels[rows], seed)
    if floor:
        other = task.other()
        assert other.labels is not None
        rows = random_rows(len(other), count)
        make = lambda: {name: _learnt(task, other.pixels[rows], other.labels[rows], 0)}  # noqa: E731
        floor |= cached_metrics(cache_key(key, str(count)), make)


def _gathered(task: EvaluationTask, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """The first samples of a seed: uint8 (n, C, H, W) and int64 (n,)."""
    pieces = list(task.samples.draw(seed, n))
    return torch.cat([pixels for pixels, _ in pieces]), torch.cat(
        [labels for _, labels in pieces if labels is not None]
    )


def _learnt(task: EvaluationTask, pixels: Tensor, labels: Tensor, seed: int) -> float:
    real = task.images
    assert real.labels is not None
    return modes.train_on_fakes(pixels, labels, real.pixels, real.labels, len(real.classes), seed=seed)
