"""What is reckoned of an evaluation's samples: every metric of a set, and what a classifier learns from them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan.candidates import Samples
from dcgan.data import Images, cache, open_images
from dcgan.metrics import fidelity, modes
from dcgan.metrics.features import Features
from dcgan.metrics.reference import Set, joined, kept_figures, rows_of

MANIFOLD = 10_000
"""Precision, recall, density and coverage look at this many of each side at most: they cost n squared."""
LEARNT_FROM, LEARNT_BYTES = 60_000, 2**30
"""Samples that a classifier learns from at most, and how large they may be together."""
OTHER = {"test": "train", "validation": "test", "train": "test"}
"""Where the real pictures of the floor come from."""


@dataclass(frozen=True)
class Task:
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

    samples: Samples
    features: Features
    images: Images
    spec: str
    split: str
    n: int
    seeds: tuple[int, ...]
    infinite: bool
    fakes: bool

    def other(self) -> Images:
        """The part of the data that the floor is made from, and that memorised pictures would come from."""
        return self.part(OTHER[self.split])

    def part(self, split: str) -> Images:
        """A part of the data, as the samples are."""
        channels, *size = self.samples.shape
        return open_images(self.spec, split, size=(size[0], size[1]), channels=channels, fit=self.samples.fit)


def look(task: Task, seed: int, said: Callable[[int], object]) -> Set:
    """The samples of a seed as the metrics see them."""
    parts = []
    for pixels, labels in task.samples.draw(seed, task.n):
        parts.append(Set(*task.features.see(pixels), labels))
        said(len(pixels))
    return joined(parts)


def figures(task: Task, fake: Set, real: Set, train: Set | None, seed: int) -> dict[str, float]:
    """Every metric of one set of samples, by torch-fidelity's key where it has one.

    Args:
        task: what is evaluated.
        fake: the samples.
        real: what they are held against.
        train: as many real pictures of the part that the generator was trained on; or None.
        seed: of subsets.
    """
    statistics = fidelity.statistics(real.features)
    found = {
        "frechet_inception_distance": fidelity.frechet(fidelity.statistics(fake.features), statistics),
        "kernel_inception_distance_mean": fidelity.kid(fake.features, real.features, seed),
    }
    if task.infinite:
        found["frechet_inception_distance_infinite"] = fidelity.frechet_infinite(fake.features, statistics, seed)
    sides = fake.features[:MANIFOLD], real.features[:MANIFOLD]
    found["precision"], found["recall"] = fidelity.precision_recall(*sides)
    found["density"], found["coverage"] = fidelity.density_coverage(*sides)
    if train is not None and task.split == "test":
        ours = [s.features[:MANIFOLD] for s in (fake, train, real)]
        found["train_held_out_distance_ratio"] = modes.memorisation(*ours)
    return found | _of_classes(task, fake)


def _of_classes(task: Task, fake: Set) -> dict[str, float]:
    """The metrics that need a classifier."""
    if fake.scores is None:
        return {}
    if task.features.stacked:
        drawn = modes.stacked_modes(fake.scores)
        found = {
            "modes_covered": float(modes.covered(drawn)),
            "kl_to_uniform": modes.kl_to_uniform(modes.histogram(drawn, modes.MODES)),
        }
    else:
        found = {"inception_score_mean": fidelity.inception_score(fake.scores)}
        if not task.features.classes:
            return found
        drawn = fake.scores.argmax(1)
        found["class_entropy"] = modes.entropy(modes.histogram(drawn, len(task.features.classes)))
    if fake.labels is not None and (task.features.stacked or task.features.classes == task.images.classes):
        found["label_agreement"] = modes.agreement(drawn, fake.labels)
    return found


def classifiers(
    task: Task, each: list[dict[str, float]], whole: dict[str, float] | None, floor: dict[str, float], key: str
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
        rows = rows_of(len(other), count)
        make = lambda: {name: _learnt(task, other.pixels[rows], other.labels[rows], 0)}  # noqa: E731
        floor |= kept_figures(cache.key(key, str(count)), make)


def _gathered(task: Task, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """The first samples of a seed: uint8 (n, C, H, W) and int64 (n,)."""
    pieces = list(task.samples.draw(seed, n))
    return torch.cat([pixels for pixels, _ in pieces]), torch.cat(
        [labels for _, labels in pieces if labels is not None]
    )


def _learnt(task: Task, pixels: Tensor, labels: Tensor, seed: int) -> float:
    real = task.images
    assert real.labels is not None
    return modes.train_on_fakes(pixels, labels, real.pixels, real.labels, len(real.classes), seed=seed)
