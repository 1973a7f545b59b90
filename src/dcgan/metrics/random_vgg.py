"""The feature extractor `random`: a small VGG16 with fixed random weights, for any data and offline."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.data.resize import convert_channels
from dcgan.images import to_float
from dcgan.metrics.extractor import FeatureExtractor, hash_weights
from dcgan.rng import RandomPurpose, derive_seed

VGG16_CHANNELS = ((16, 16), (32, 32), (64, 64, 64), (128, 128, 128), (128, 128, 128))
"""Channels of the thirteen convolutions, a quarter of the original's. A 2x2 max pooling follows each group."""
FEATURE_COUNT = 64
"""Length of the feature vector."""
IMAGE_SIDE = 32
"""Height and width that smaller pictures are resized to, in pixels; larger pictures are not resized."""
WEIGHTS_SEED = 2020
"""Seed of the weights."""
EXTRACTION_BATCH_SIZE = 500
"""Pictures of 32x32 that go through the network at a time. Of larger pictures, as many as have so many pixels."""


class RandomVgg(nn.Module):
    """VGG16 (Simonyan, Zisserman 2014) with a quarter of its channels and with weights from a fixed seed.

    The weights come from a counter-based stream, so they are the same with every version of torch.
    """

    def __init__(self) -> None:
        super().__init__()
        source = np.random.Generator(np.random.Philox(key=derive_seed(WEIGHTS_SEED, RandomPurpose.WEIGHTS)))
        layers: list[nn.Module] = []
        in_channels = 3
        for group in VGG16_CHANNELS:
            for out_channels in group:
                convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
                layers += [_init_weights(convolution, 9 * in_channels, source), nn.ReLU()]
                in_channels = out_channels
            layers.append(nn.MaxPool2d(2, ceil_mode=True))  # so that no row or column of an odd size is dropped
        self.convolutions = nn.Sequential(*layers)
        self.head = _init_weights(nn.Linear(in_channels, FEATURE_COUNT, bias=False), in_channels, source)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (N, 64) of images (N, 3, H, W) in [-1, 1].

        The last map has one pixel for each 32x32 of the images. The features are the mean over the map.
        """
        features: Tensor = self.head(self.convolutions(images).mean((2, 3)))
        return features


def _init_weights(layer: nn.Conv2d | nn.Linear, fan_in: int, source: np.random.Generator) -> nn.Module:
    """Draw the weights from N(0, 2 / fan_in), which preserves the variance through ReLUs (He et al. 2015)."""
    weight = source.standard_normal(tuple(layer.weight.shape), dtype=np.float32) * math.sqrt(2 / fan_in)
    layer.weight.data.copy_(torch.from_numpy(weight))
    return layer


def open_random_vgg(device: str) -> FeatureExtractor:
    """Build the extractor `random`.

    Pictures of at most 32x32 are resized to 32x32. Larger pictures go through the network as they are: made smaller,
    they would lose what is fine in them, and no metric would see it.
    """
    network = RandomVgg().to(memory_format=torch.channels_last).to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def extract(pixels: Tensor) -> tuple[Tensor, None]:
        height, width = pixels.shape[2:]
        batch_size = EXTRACTION_BATCH_SIZE
        if max(height, width) > IMAGE_SIDE:
            batch_size = max(1, EXTRACTION_BATCH_SIZE * IMAGE_SIDE**2 // (height * width))
        features = []
        for batch in torch.split(pixels, batch_size):
            images = _resize_small_images(to_float(convert_channels(batch, 3).to(device)))
            features.append(network(images.to(memory_format=torch.channels_last)).cpu())
        return torch.cat(features), None

    weights_key = hash_weights(network)
    return FeatureExtractor("random", FEATURE_COUNT, extract, weights_key=weights_key, full_size_above=IMAGE_SIDE)


def _resize_small_images(images: Tensor) -> Tensor:
    """Resize images (N, 3, H, W) to 32x32 if neither side is longer than that."""
    height, width = images.shape[2:]
    if max(height, width) > IMAGE_SIDE or height == width == IMAGE_SIDE:
        return images
    size = (IMAGE_SIDE, IMAGE_SIDE)
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
