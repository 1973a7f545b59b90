"""How good a generator is while a benchmark trains it: the judge's eyes, with the test digits in memory."""

import torch
from torch import nn

from dcgan.data.open import open_images
from dcgan.metrics import fidelity
from dcgan.metrics.features import FeatureExtractor, open_extractor
from dcgan.metrics.modes import class_shares
from dcgan.sampling.generate import generate_pixels


class Eyes:
    """The judge, and the test digits as it sees them. Nothing of it reaches a training."""

    def __init__(self) -> None:
        self.features: FeatureExtractor = open_extractor("judge")
        self.real = self.features.extract(open_images("mnist", "test").pixels)[0]
        self.reference = fidelity.gaussian_statistics(self.real)

    def see(self, generator: nn.Module, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        """The pictures of latents (N, z_dim), uint8 (N, C, H, W); their features; distance and rarest digit."""
        fake = torch.from_numpy(generate_pixels(generator, z)).permute(0, 3, 1, 2)
        features, scores = self.features.extract(fake)
        assert scores is not None
        distance = fidelity.frechet_distance(fidelity.gaussian_statistics(features), self.reference)
        rarest = float(min(class_shares(scores.argmax(1), 10)))
        return fake, features, {"frechet": distance, "rarest_digit": rarest}
