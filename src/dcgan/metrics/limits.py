"""The values that a metric can have, so that no interval claims an impossible one."""

import math
import re

MODE_COUNT = 1000
"""Modes of stacked digits: the three digits read as one number."""
FRECHET = "frechet_inception_distance"
COMPONENT_DISTANCE = re.compile(r"frechet_distance_(\d+)_components")
UNLIMITED = (-math.inf, math.inf)
PROPORTION = (0.0, 1.0)
NOT_NEGATIVE = (0.0, math.inf)
LIMITS = {
    "frechet_inception_distance": NOT_NEGATIVE,
    "frechet_inception_distance_infinite": NOT_NEGATIVE,
    "precision": PROPORTION,
    "recall": PROPORTION,
    "f_score": PROPORTION,
    "density": NOT_NEGATIVE,
    "coverage": PROPORTION,
    "train_held_out_distance_ratio": NOT_NEGATIVE,
    "nearest_train_distance": NOT_NEGATIVE,
    "label_agreement": PROPORTION,
    "train_on_fakes_accuracy": PROPORTION,
    "modes_covered": (0.0, float(MODE_COUNT)),
    "kl_to_uniform": (0.0, math.log(MODE_COUNT)),
    "certainty": PROPORTION,
    "seconds": NOT_NEGATIVE,
}
"""The least and the largest value of each metric. The kernel distance has no limits: it is unbiased for a distance that
is 0 for equal distributions, so it is below 0 as often as above."""


def metric_limits(name: str, class_count: int | None = None) -> tuple[float, float]:
    """Return the least and the largest value of a metric.

    Args:
        name: the key of the metric.
        class_count: the number of classes that the feature extractor distinguishes, if it is known.
    """
    if name == "inception_score_mean":
        return 1.0, float(class_count or math.inf)
    if name == "class_entropy":
        return 0.0, math.log(class_count or math.inf)
    if COMPONENT_DISTANCE.fullmatch(name):
        return NOT_NEGATIVE
    return LIMITS.get(name, UNLIMITED)


def component_distance_name(count: int) -> str:
    """Return the key of the Fréchet distance in the first `count` principal components of the real features.

    Distances of other numbers of components cannot be compared, so each has a name of its own.
    """
    return f"frechet_distance_{count}_components"
