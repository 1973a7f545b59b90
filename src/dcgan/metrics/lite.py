"""The feature extractors `lite0` and `lite2`: deep features of EfficientNet-Lite at two sizes, and those of `random`.

What the form of these features is was measured (`benchmarks.features`, docs/evaluation.md): it is the one whose kernel
distance ranks alterations of pictures most as a person does. Three things matter:

- The features are directions. At each position of the map the channels are divided by their length, as in LPIPS (Zhang
  et al. 2018), before the mean over the positions is taken.
- The picture at half its size counts most. At its full size, the network minds a noise or a checkerboard that a person
  hardly sees more than a picture that shows nothing.
- The untrained network adds what a trained one has learned to pass over: blur, and wrong colors.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.resize import convert_channels
from dcgan.images import to_float
from dcgan.metrics.extractor import FeatureExtractor
from dcgan.metrics.random_vgg import open_random_vgg
from dcgan.models.lite import LITE_WEIGHTS, LiteNetwork, load_lite_network, weights_notice

DEPTH = 6
"""The map that is used: after the last blocks, before the last convolution; its stride is 32."""
CHANNELS = {"lite0": 320, "lite2": 352}
"""Channels of this map."""
FULL_SIZE_SHARE, HALF_SIZE_SHARE = 0.1, 0.9
"""Shares of the picture at its full and at half its size in the kernel."""
RANDOM_SQUARED_LENGTH = 73.0
"""Mean squared length of `random` features, over three sets of pictures. With it, they count as much as both others."""
MIN_SIDE, MAX_SIDE = 64, 224
"""Pictures are enlarged to this side, in pixels, and made smaller if they are larger than the network's own size."""
EXTRACTION_BATCH_PIXELS = 32 * 128 * 128
"""Pixels that go through the network at a time; more are not faster."""
FEATURES_VERSION = "2"
"""Version of the features; it is part of the key of cached features."""


def open_lite(name: str, device: str) -> FeatureExtractor:
    """Load the extractor `lite0` or `lite2`.

    Raises:
        MissingWeightsError: a package that it needs is not installed.
        UserError: the file of the weights is damaged.
    """
    network, random = load_lite_network(name).to(device), open_random_vgg(device)
    feature_count = 2 * CHANNELS[name] + random.feature_count
    # The kernel is a function of xᵀy / D, so that each part of the features is scaled with √D.
    full_scale, half_scale = (math.sqrt(share * feature_count) for share in (FULL_SIZE_SHARE, HALF_SIZE_SHARE))
    random_scale = math.sqrt(feature_count / RANDOM_SQUARED_LENGTH)

    @torch.no_grad()
    def extract(pixels: Tensor) -> tuple[Tensor, None]:
        height, width = input_size(pixels.shape[2], pixels.shape[3])
        features = []
        for batch in torch.split(pixels, max(1, EXTRACTION_BATCH_PIXELS // (height * width))):
            full = to_float(convert_channels(batch, 3).to(device))
            half = F.avg_pool2d(full, 2, ceil_mode=True)
            full, half = (mean_direction(network, resize_images(images, (height, width))) for images in (full, half))
            parts = (full_scale * full, half_scale * half, random_scale * random.extract(batch)[0].to(device))
            features.append(torch.cat(parts, 1).cpu())
        return torch.cat(features), None

    return FeatureExtractor(
        name,
        feature_count,
        extract,
        weights_key=f"{LITE_WEIGHTS[name].sha256[:16]}-{random.weights_key}-{FEATURES_VERSION}",
        notices=(weights_notice(name),),
    )


def mean_direction(network: LiteNetwork, images: Tensor) -> Tensor:
    """Return the mean over all positions of the map of its channels at length 1, (N, C).

    Args:
        network: the network.
        images: (N, 3, H, W) in [-1, 1].
    """
    maps = network(images.contiguous(memory_format=torch.channels_last))[DEPTH]
    return F.normalize(maps, dim=1).mean((2, 3))


def input_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and the width that pictures are resized to: the longer side is `MIN_SIDE` to `MAX_SIDE`."""
    longer = max(height, width)
    scale = min(max(longer, MIN_SIDE), MAX_SIDE) / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize_images(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images (N, C, H, W), bilinear and antialiased."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
