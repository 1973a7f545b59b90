"""What an evaluation says of a generator that was trained with the features that judge it, or with related ones."""

import torch

from dcgan.evaluation.task import EvaluationTask
from dcgan.metrics.features import open_extractor
from dcgan.metrics.fidelity import kernel_distance
from dcgan.metrics.reference import MAX_REFERENCE_IMAGES, extract_reference
from dcgan.metrics.results import format_number

OTHER_FEATURES = ("random", "lite2")
"""Features that stand beside those that a generator was trained with."""
RELATED_FEATURES = {"lite0": ("lite2",), "lite2": ("lite0",)}
"""Networks of the same kind that were trained on the same pictures: what pleases one pleases the other too."""


def describe_flattery(features: str, trained_with: str | None) -> str:
    """Return what must stand beside metrics by features of a generator; nothing if they do not flatter it.

    Args:
        features: those that judge it.
        trained_with: those that it was trained with, if any.
    """
    if trained_with == features:
        return f"the generator was trained with the features {features}, so its metrics by them are too good"
    if trained_with is not None and features in RELATED_FEATURES.get(trained_with, ()):
        return f"{features} is related to {trained_with}, which the generator was trained with, and may flatter it"
    return ""


def flattery_notes(task: EvaluationTask) -> list[str]:
    """Return a line if the generator was trained with these features, with its kernel distances by other features.

    They are measured of the samples of the first seed.
    """
    training = task.samples.training_data
    features, trained_with = task.extractor.name, training.features if training else None
    sentence = describe_flattery(features, trained_with)
    if not sentence or features != trained_with:
        return [sentence] if sentence else []
    related = RELATED_FEATURES.get(features, ())
    distances = [
        f"{other} {format_number(_measure_distance(task, other))}{' (related, may flatter)' * (other in related)}"
        for other in OTHER_FEATURES
        if other != features
    ]
    return [f"{sentence}; its kernel distance by other features: {', '.join(distances)}"]


def _measure_distance(task: EvaluationTask, features: str) -> float:
    """Return the kernel distance of the samples of the first seed by other features."""
    extractor = open_extractor(features)
    count = min(len(task.real_images), max(MAX_REFERENCE_IMAGES, task.n))
    real = extract_reference(task.real_images, task.split, extractor, count)
    fake = torch.cat([extractor.extract(pixels)[0] for pixels, _ in task.samples.draw(0, task.n)])
    return kernel_distance(fake, real.features)
