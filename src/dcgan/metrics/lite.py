"""The feature extractors `lite0` and `lite2`: EfficientNet-Lite, which was trained on ImageNet, offline."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.resize import convert_channels
from dcgan.images import to_float
from dcgan.metrics.extractor import FeatureExtractor
from dcgan.models.lite import LITE_WEIGHTS, load_lite_network, weights_notice

FEATURE_COUNT = 1280
"""Length of the feature vector: the channels of the last map."""
MIN_SIDE, MAX_SIDE = 64, 224
"""Pictures are enlarged to this side, in pixels, and made smaller if they are larger than the network's own size."""
EXTRACTION_BATCH_PIXELS = 32 * 128 * 128
"""Pixels that go through the network at a time; more are not faster."""
FORM = "1"
"""Version of the features; it is part of the key of cached features."""


def open_lite(name: str, device: str) -> FeatureExtractor:
    """Load the extractor `lite0` or `lite2`.

    Raises:
        MissingWeightsError: a package that it needs is not installed.
        UserError: the file of the weights is damaged.
    """
    network = load_lite_network(name).to(device)

    @torch.no_grad()
    def extract(pixels: Tensor) -> tuple[Tensor, None]:
        height, width = input_size(pixels.shape[2], pixels.shape[3])
        features = []
        for batch in torch.split(pixels, max(1, EXTRACTION_BATCH_PIXELS // (height * width))):
            images = resize_images(to_float(convert_channels(batch, 3).to(device)), (height, width))
            maps = network(images.contiguous(memory_format=torch.channels_last))
            features.append(maps[-1].mean((2, 3)).cpu())
        return torch.cat(features), None

    return FeatureExtractor(
        name,
        FEATURE_COUNT,
        extract,
        weights_key=f"{LITE_WEIGHTS[name].sha256[:16]}-{FORM}",
        notices=(weights_notice(name),),
    )


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
