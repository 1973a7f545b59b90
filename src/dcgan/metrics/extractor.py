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
        full_size_above: pictures with a side longer than this, in pixels, are read at their full size, which version
            0.1.0 of the package did not do: `name_for` gives their metrics another name. None if nothing changed.
        notices: lines that stand beside every metric: what a pretrained network was trained on, and its license.
    """

    name: str
    feature_count: int
    extract: "Callable[[Tensor], ExtractedBatch]"
    image_shape: tuple[int, int, int] | None = None
    classes: tuple[str, ...] = ()
    is_stacked: bool = False
    weights_key: str = ""
    full_size_above: int | None = None
    notices: tuple[str, ...] = ()

    def name_for(self, image_shape: tuple[int, int, int]) -> str:
        """Return the name that is reported with metrics of images of a shape (C, H, W).

        Metrics and cached features of two names are not comparable.
        """
        if self.full_size_above is None or max(image_shape[1:]) <= self.full_size_above:
            return self.name
        return f"{self.name} (full size)"


def hash_weights(network: "nn.Module") -> str:
    """Return a short hash of a network's parameters and buffers, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
