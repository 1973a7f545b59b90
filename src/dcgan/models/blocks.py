"""Parts that the network families share: sizes of layers, initial weights, normalization, classes, cropping."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm
from torch.overrides import TorchFunctionMode

from dcgan.config import MAX_SIDE, MIN_SIDE, Norm
from dcgan.errors import UserError

MAX_START_SIDE = 7
"""A network of any size starts from a grid whose larger side has at most this many pixels."""
MAX_WIDTH_FACTOR = 8
"""No layer of a network of any size has more channels than this many times its width."""


def conv_transpose_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Return the output size of a transposed convolution.

    H_out = (H_in - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1

    Raises:
        UserError: no pixel would be left.
    """
    out = (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1
    _check_output_size(out, "transposed convolution", size, kernel_size, stride, padding)
    return out


def conv_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Return the output size of a convolution.

    H_out = floor((H_in + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1

    Raises:
        UserError: the kernel is larger than the padded input.
    """
    out = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    _check_output_size(out, "convolution", size, kernel_size, stride, padding)
    return out


def _check_output_size(out: int, kind: str, size: int, kernel_size: int, stride: int, padding: int) -> None:
    if size < 1 or out < 1:
        raise UserError(
            f"a {kind} with kernel {kernel_size}, stride {stride} and padding {padding} cannot take {size} pixels: "
            f"{max(out, 0)} would be left; use larger pictures or a smaller kernel"
        )


def layer_sizes(network: nn.Module, size: int) -> list[int]:
    """Return the side of a square picture before and after every convolution of a sequential network.

    Raises:
        UserError: no pixel would be left after one of them.
    """
    sizes = [size]
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            extra = layer.output_padding[0], layer.dilation[0]
            sizes.append(conv_transpose_size(sizes[-1], *_geometry(layer), *extra))
        elif isinstance(layer, nn.Conv2d):
            sizes.append(conv_size(sizes[-1], *_geometry(layer), layer.dilation[0]))
    return sizes


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int]:
    return layer.kernel_size[0], layer.stride[0], int(layer.padding[0])


class SkipInitialization(TorchFunctionMode):
    """Build networks without computing values for their weights, for the device `meta`, where tensors have none.

    There, torch's own way to draw and compute values imports its compiler, which takes 1.3 s before the first step or
    sample. Only what layers and spectral normalization do with their first weights is skipped.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs.get("tensor", args[0] if args else None)
        if func in (F.normalize, torch.Tensor.normal_, torch.Tensor.__truediv__, torch.Tensor.div):
            return args[0]
        if func is torch.mv:
            return args[0].new_empty(len(args[0]))
        if func is torch.vdot:
            return args[0].new_empty(())
        return func(*args, **kwargs)


def init_weights(layer: nn.Module) -> None:
    """Initialize a layer as the study does: `network.apply(init_weights)`.

    Weights of convolutions and scales of BatchNorm are drawn from N(0, 0.02), and biases of BatchNorm are 0. Radford et
    al. (2016) draw the scales from N(1, 0.02).
    """
    if parametrize.is_parametrized(layer):
        return  # spectral normalization divides the scale out again
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or (isinstance(layer, nn.BatchNorm2d) and layer.affine):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    if isinstance(layer, nn.BatchNorm2d) and layer.affine:
        nn.init.zeros_(layer.bias)


def make_norm(norm: Norm, channels: int, *, affine: bool = True) -> nn.Module:
    """Return the layer that normalizes `channels` outputs of a convolution.

    For `none` and `spectral` it is the identity: `spectral` normalizes weights, see `normalize_weight`.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels, affine=affine)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=affine)
    # One group is layer normalization over (C, H, W) with a scale for each channel. It depends on one picture only.
    return nn.GroupNorm(1, channels, affine=affine) if norm == "layer" else nn.Identity()


def normalize_weight(layer: nn.Module, norm: Norm) -> nn.Module:
    """Return the layer; for `spectral`, its weight is divided by its largest singular value (Miyato et al. 2018)."""
    return spectral_norm(layer) if norm == "spectral" else layer


class ConditionalNorm(nn.Module):
    """A normalization with a scale and a shift for each class: conditional BatchNorm (de Vries et al. 2017).

    Args:
        norm: the normalization; `none` leaves only the scale and the shift.
        channels: number of channels of the input.
        classes: number of classes.
    """

    def __init__(self, norm: Norm, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = make_norm(norm, channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.normal_(self.scale.weight, 1.0, 0.02)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Take images (N, C, H, W), and labels (N,) or weights of the classes (N, K); return (N, C, H, W)."""
        scale, shift = (embed_labels(table, labels)[..., None, None] for table in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), scale)


class LabelConv2d(nn.Conv2d):
    """A convolution over an image that has a one-hot map for each class after its channels (Mirza and Osindero 2014).

    The maps are never built: without padding, a map of ones adds the sum of its kernel to every output pixel, so the
    class only decides which sum is added. A thousand classes cost as little as ten.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, classes: int) -> None:
        super().__init__(in_channels + classes, out_channels, kernel_size, stride)
        self.image_channels = in_channels

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Take images (N, in_channels, H, W) and labels (N,); return (N, out_channels, H', W')."""
        weight = self.weight  # read once: with spectral normalization, every reading is a power iteration
        image_weight, map_weight = weight[:, : self.image_channels], weight[:, self.image_channels :]
        out = F.conv2d(x, image_weight, self.bias, self.stride)
        return out + F.embedding(labels, map_weight.sum((2, 3)).T)[..., None, None]


class ProjectionDiscriminator(nn.Module):
    """Scores a picture by its features and, with classes, by their inner product with the vector of the class.

    The projection is eq. 4 of Miyato and Koyama (2018), but features are not summed over the picture before it.

    Args:
        padded_size: height and width to which pictures are padded.
        features: takes the padded images (N, C, H, W); returns features (N, D, H', W').
        score: takes the features; returns scores (N, 1, 1, 1).
        feature_count: D * H' * W'.
        classes: number of classes, 0 for an unconditional discriminator.
    """

    scores_several_classes = True
    """Whether labels (N, K) are accepted: the features of a picture are then computed once for all its classes."""

    def __init__(
        self, padded_size: tuple[int, int], features: nn.Module, score: nn.Module, feature_count: int, classes: int
    ) -> None:
        super().__init__()
        self.padded_size = padded_size
        self.features = features
        self.score = score
        self.classes = nn.Embedding(classes, feature_count) if classes else None

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take images (N, C, H, W) in [-1, 1], and labels (N,) or (N, K) if there are classes.

        Returns:
            Scores (N, 1), or (N, K): those of each picture as K classes.
        """
        features: Tensor = self.features(center_pad(image, self.padded_size))
        scores: Tensor = self.score(features).view(-1, 1)
        if self.classes is not None:
            flat = features.flatten(1)[:, None]  # (N, 1, D * H' * W')
            vectors = self.classes(labels).view(len(flat), -1, flat.shape[2])  # (N, K, D * H' * W')
            scores = scores + (flat * vectors).sum(2)
        return scores


def append_one_hot(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Append one-hot labels to vectors (N, D); return (N, D + classes).

    Args:
        x: the vectors.
        labels: labels int64 (N,), or weights of the classes (N, K), which are appended as they are.
        classes: number of classes, K.
    """
    weights = labels if labels.is_floating_point() else F.one_hot(labels, classes)
    return torch.cat([x, weights.to(x.dtype)], dim=1)


def embed_labels(table: nn.Embedding, labels: Tensor) -> Tensor:
    """Return the rows of labels int64 (N,), or the sums of rows with the weights (N, K), as (N, D)."""
    vectors: Tensor = labels @ table.weight if labels.is_floating_point() else table(labels)
    return vectors


def check_picture_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return a picture's shape (C, H, W), which may come from the config.json of a saved model, as a tuple.

    Raises:
        UserError: there are no such pictures, or the networks cannot draw them.
    """
    if len(shape) != 3 or not all(isinstance(side, int) for side in shape) or shape[0] < 1:
        raise UserError(f"a picture's shape is three whole numbers, (channels, height, width), not {shape}")
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in shape[1:]):
        raise UserError(f"pictures must be {MIN_SIDE} to {MAX_SIDE} pixels high and wide, not {shape[1]}x{shape[2]}")
    return shape[0], shape[1], shape[2]


def count_doublings(size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """Return how often a network doubles its grid to cover pictures of `size`, and the grid that it starts from.

    The larger side of the first grid has 4 to 7 pixels, ceil(size / 2^doublings). What exceeds `size` after the last
    doubling is cropped.
    """
    doublings = 0
    while math.ceil(max(size) / 2**doublings) > MAX_START_SIDE:
        doublings += 1
    return doublings, (math.ceil(size[0] / 2**doublings), math.ceil(size[1] / 2**doublings))


def doubling_widths(width: int, count: int) -> list[int]:
    """Return the channels of `count` layers: `width`, then twice as many for each next layer, up to the maximum."""
    return [width * min(2**i, MAX_WIDTH_FACTOR) for i in range(count)]


def center_crop(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the middle of images (N, C, H', W') as (N, C, *size)."""
    top, left = ((side - target) // 2 for side, target in zip(images.shape[-2:], size, strict=True))
    return images[..., top : top + size[0], left : left + size[1]]


def center_pad(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images with gray (0) around them as (N, C, *size), the inverse of `center_crop`."""
    if images.shape[-2:] == size:
        return images
    top, left = ((target - side) // 2 for side, target in zip(images.shape[-2:], size, strict=True))
    bottom, right = size[0] - images.shape[-2] - top, size[1] - images.shape[-1] - left
    return F.pad(images, (left, right, top, bottom))
