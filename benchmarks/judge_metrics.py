"""The quality of a generator while a benchmark trains it, measured with the judge against the test digits."""

from dataclasses import dataclass

import torch
from torch import nn

from dcgan.data.open import open_images
from dcgan.metrics import fidelity
from dcgan.metrics.features import FeatureExtractor, open_extractor
from dcgan.metrics.modes import class_shares
from dcgan.sampling.generate import generate_pixels

DIGIT_COUNT = 10
"""The number of classes of MNIST."""


@dataclass(frozen=True)
class Measurement:
    """The quality of a generator at one moment.

    Attributes:
        pixels: the samples, uint8 (N, C, H, W).
        features: the judge's features of the samples, (N, F).
        metrics: `frechet`, the Fréchet distance, and `rarest_digit`, the least share of a digit among the samples.
    """

    pixels: torch.Tensor
    features: torch.Tensor
    metrics: dict[str, float]


class JudgeMetrics:
    """Compares samples with the 10,000 test digits, which it keeps in memory. No training learns anything from it.

    Attributes:
        extractor: the judge as a feature extractor.
        real_features: the judge's features of the test digits, (10,000, F).
    """

    def __init__(self) -> None:
        self.extractor: FeatureExtractor = open_extractor("judge")
        self.real_features = self.extractor.extract(open_images("mnist", "test").pixels)[0]
        self._real_statistics = fidelity.gaussian_statistics(self.real_features)

    def measure(self, generator: nn.Module, z: torch.Tensor, labels: torch.Tensor | None = None) -> Measurement:
        """Draw a sample from each latent (N, z_dim), with its label (N,) if there are classes; measure the samples."""
        pixels = torch.from_numpy(generate_pixels(generator, z, labels)).permute(0, 3, 1, 2)
        features, scores = self.extractor.extract(pixels)
        assert scores is not None
        distance = fidelity.frechet_distance(fidelity.gaussian_statistics(features), self._real_statistics)
        rarest_digit = float(min(class_shares(scores.argmax(1), DIGIT_COUNT)))
        return Measurement(pixels, features, {"frechet": distance, "rarest_digit": rarest_digit})
