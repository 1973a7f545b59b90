"""The feature extractor `judge`: the classifier of digits in the package, or a judge that a user has trained."""

from torch import Tensor

from dcgan.cache import expand_user
from dcgan.files import printable
from dcgan.metrics.extractor import FeatureExtractor, hash_weights
from dcgan.metrics.judge import network

STACKED_CHANNELS = 3
"""Digits that are stacked in one picture, a channel each."""


def open_shipped_judge(device: str, is_stacked: bool) -> FeatureExtractor:
    """Load the judge of MNIST's digits; with `is_stacked` it classifies each of three channels alone."""
    return _make_extractor(network.load_shipped_judge(), "judge", device, is_stacked)


def open_judge_folder(folder: str, device: str) -> FeatureExtractor:
    """Load the judge that `python -m dcgan.metrics.judge` wrote into a folder. Its name contains the folder's.

    Raises:
        UserError: it is damaged or foreign.
    """
    return _make_extractor(network.load_judge(expand_user(folder)), f"judge:{printable(folder)}", device, False)


def _make_extractor(judge: network.Judge, name: str, device: str, is_stacked: bool) -> FeatureExtractor:
    judge = judge.to(device)
    channels, height, width = judge.image_shape
    count = STACKED_CHANNELS if is_stacked else 1

    def extract(pixels: Tensor) -> tuple[Tensor, Tensor]:
        n = len(pixels)
        if is_stacked:
            pixels = pixels.reshape(count * n, channels, height, width)
        features, scores = network.judge_images(judge, pixels)
        return features.reshape(n, -1), scores.reshape(n, -1)  # stacked: (N, 3 * 64), (N, 3 * 10)

    return FeatureExtractor(
        name,
        feature_count=count * network.FEATURE_COUNT,
        extract=extract,
        image_shape=(count * channels, height, width),
        classes=judge.class_names or tuple(map(str, range(judge.class_count))),
        is_stacked=is_stacked,
        weights_key=hash_weights(judge),
    )
