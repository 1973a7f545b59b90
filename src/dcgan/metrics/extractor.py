"""The feature extractor: a network together with what the metrics must know about it.

Torch is imported for type checking only, so that the command line can list the extractors quickly.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    ExtractedBatch = tuple[Tensor, Tensor | None]
    """Features float32 (N, D), and class scores (N, classes) if the network is a classifier; on the CPU."""


@dataclass(frozen=True)
class FeatureExtractor:
    """A function from pictures to features.

    Attributes:
        name: the name that is reported with every metric.
        feature_count: the number D of features of a picture.
        extract: images uint8 (N, C, H, W) -> features float32 (N, D), and class scores before the softmax
            (N, classes) or None.
        image_shape: the only shape (C, H, W) that `extract` accepts; None if it accepts any.
        classes: the names of the classes that the scores belong to; empty if there are no scores, or if the classes
            are not those of the data.
        is_stacked: whether each channel is classified as a picture of its own. The scores are then those of each
            channel in turn, (N, C * classes).
        weights_key: a key of the network's weights; the key of cached features contains it. Other weights need another
            key.
    """

    name: str
    feature_count: int
    extract: "Callable[[Tensor], ExtractedBatch]"
    image_shape: tuple[int, int, int] | None = None
    classes: tuple[str, ...] = ()
    is_stacked: bool = False
    weights_key: str = ""


def hash_weights(network: "nn.Module") -> str:
    """Return a short hash of a network's parameters and buffers, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
