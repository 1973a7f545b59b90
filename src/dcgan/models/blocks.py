"""What all networks share: the size of a layer's output, normalisation, classes, and how weights start."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm
from torch.overrides import TorchFunctionMode

from dcgan.config import Norm
from dcgan.errors import UserError

MIN_SIDE, MAX_SIDE = 16, 256
"""The sides of pictures that networks of any size can draw."""


def conv_transpose_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Output size of a transposed convolution, as the study writes it.

    H_out = (H_in - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1

    Raises:
        UserError: no pixel would be left.
    """
    out = (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1
    return _reachable(out, "transposed convolution", size, kernel_size, stride, padding)


def conv_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Output size of a convolution: floor((H_in + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1.

    Raises:
        UserError: the kernel is larger than the padded input.
    """
    out = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    return _reachable(out, "convolution", size, kernel_size, stride, padding)


def _reachable(out: int, kind: str, size: int, kernel_size: int, stride: int, padding: int) -> int:
    if size < 1 or out < 1:
        raise UserError(
            f"a {kind} with kernel {kernel_size}, stride {stride} and padding {padding} cannot take {size} pixels: "
            f"{max(out, 0)} would be left; use larger pictures or a smaller kernel"
        )
    return out


def layer_sizes(network: nn.Module, size: int) -> list[int]:
    """The side of a square picture before and after every convolution of a sequential network, by the formulae."""
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
    """Networks are built without values for their weights, as on the device `meta`, where there are none.

    There torch's own way to draw them imports its compiler, 1.3 s before the first step or the first sample.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given.get("tensor", args[0] if args else None)
        return func(*args, **given)


def init_weights(layer: nn.Module) -> None:
    """N(0, 0.02) for convolution weights and for BatchNorm scales, 0 for BatchNorm biases: the study's start.

    Radford et al. (2016) draw BatchNorm scales from N(1, 0.02). Use as `network.apply(init_weights)`.
    """
    if parametrize.is_parametrized(layer):
        return  # spectral normalisation divides the scale out again
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or (isinstance(layer, nn.BatchNorm2d) and layer.affine):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    if isinstance(layer, nn.BatchNorm2d) and layer.affine:
        nn.init.zeros_(layer.bias)


def norm_layer(kind: Norm, channels: int, *, affine: bool = True) -> nn.Module:
    """The layer after a convolution with `channels` outputs; nothing for `none`, and for `spectral`: see `weighted`."""
    if kind == "batch":
        return nn.BatchNorm2d(channels, affine=affine)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=affine)
    # One group is layer normalisation over (C, H, W), with a scale a channel: it never sees another picture.
    return nn.GroupNorm(1, channels, affine=affine) if kind == "layer" else nn.Identity()


def with_weight_norm(layer: nn.Module, kind: Norm) -> nn.Module:
    """The layer itself; for `spectral`, its weight is divided by its largest singular value (Miyato et al. 2018)."""
    return spectral_norm(layer) if kind == "spectral" else layer


EVALUATION_POINTS = (0.0, 1.0, -1.0, 2.0, -0.5)
"""Where polynomials are evaluated, and at infinity: of five sets these rounded least (docs/experiments.md)."""


@lru_cache
def _polynomials(*sides: int) -> tuple[Tensor, Tensor, Tensor]:
    """From the coefficients of two square polynomials in x and y to values at points, and from their product's back.

    (points, S * S) for each of the two sides S, and the inverse for the product's side, their sum - 1.
    """

    def values(side: int) -> Tensor:
        powers = torch.tensor(EVALUATION_POINTS[: sum(sides) - 2], dtype=torch.float64).view(-1, 1) ** torch.arange(
            side
        )
        return torch.cat([powers, torch.eye(side, dtype=torch.float64)[-1:]])  # at infinity only the last one counts

    first, second, back = values(sides[0]), values(sides[1]), torch.linalg.inv(values(sum(sides) - 1))
    return torch.kron(first, first), torch.kron(second, second), torch.kron(back, back)


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`, computed by its exact equals where torch's own kernels are slow on a CPU.

    Forward and backward at batch 128 (docs/experiments.md): the study's first layer, which spreads one pixel, as a
    product of matrices 3.3 -> 0.9 ms on 2 threads; its second, from 3x3 to 6x6, as a product of polynomials 58.8 ->
    27.4 ms on 1; its last, which has one output channel, as a product and `fold` 6.7 -> 3.5 ms on 2. With three
    output channels `fold` is the slower one.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Pictures (N, in_channels, H, W) -> (N, out_channels, H', W')."""
        is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        if x.device.type != "cpu" or is_traced or output_size is not None or self.groups > 1:
            return super().forward(x, output_size)
        is_plain = self.dilation == (1, 1) and not any((*self.padding, *self.output_padding))
        if is_plain and x.shape[2:] == (1, 1):
            return self._spread(x)
        if is_plain and self.stride == (1, 1) and self._is_small(x):
            return self._multiplied(x)
        return self._folded(x) if self.out_channels == 1 else super().forward(x)

    def _spread(self, x: Tensor) -> Tensor:
        """One pixel times the kernel: (N, C, 1, 1) -> (N, C', K, K)."""
        weight = self.weight.permute(0, 2, 3, 1)  # (C, K, K, C'): the result is born in channels_last
        bias = None if self.bias is None else self.bias.repeat(weight[0, :, :, 0].numel())
        pixels = F.linear(x.flatten(1), weight.flatten(1).T, bias)
        return pixels.view(len(x), *weight.shape[1:]).permute(0, 3, 1, 2)

    def _is_small(self, x: Tensor) -> bool:
        """Whether few points tell the result, in numbers that bear it: not in bf16."""
        height, width, *kernel = *x.shape[2:], *self.kernel_size
        is_square = height == width and kernel[0] == kernel[1] and x.dtype in (torch.float32, torch.float64)
        return (
            is_square and height + kernel[0] - 1 <= len(EVALUATION_POINTS) + 1 and not torch.is_autocast_enabled("cpu")
        )

    def _multiplied(self, x: Tensor) -> Tensor:
        """With stride 1, picture and kernel are polynomials, and the result is their product (Toom 1963, Cook 1966).

        It has as many coefficients as there are output pixels, 36 in the study's layer, and as many values at points
        tell it: each takes one multiplication, 36 instead of 9 * 16. It rounds to 4e-6 of the largest value,
        torch's own way to 2e-6.
        """
        ours, kernels, back = (matrix.to(x) for matrix in _polynomials(x.shape[2], self.kernel_size[0]))
        values = ours @ x.permute(0, 2, 3, 1).flatten(1, 2)  # (N, points, C)
        weights = kernels @ self.weight.permute(0, 2, 3, 1).flatten(1, 2)  # (C, points, C')
        product = torch.bmm(values.transpose(0, 1), weights.transpose(0, 1))  # (points, N, C')
        out = back @ product.transpose(0, 1)  # (N, H' * W', C'): born in channels_last
        out = out if self.bias is None else out + self.bias
        side = x.shape[2] + self.kernel_size[0] - 1
        return out.view(len(x), side, side, -1).permute(0, 3, 1, 2)

    def _folded(self, x: Tensor) -> Tensor:
        """Every pixel times the kernel, added up where the kernels lie: the document's transposed matrix."""
        n, channels, height, width = x.shape
        columns = x.permute(0, 2, 3, 1).reshape(-1, channels) @ self.weight.flatten(1)  # (N * H * W, K * K)
        columns = columns.view(n, height * width, -1).transpose(1, 2)
        padding = int(self.padding[0]), int(self.padding[1])
        given = self.kernel_size, self.stride, padding, self.output_padding, self.dilation
        size = tuple(conv_transpose_size(side, *rest) for side, *rest in zip((height, width), *given, strict=True))
        folded = F.fold(columns, size, self.kernel_size, self.dilation, padding, self.stride)
        return folded if self.bias is None else folded + self.bias.view(1, 1, 1, 1)


class ConditionalNorm(nn.Module):
    """A normalisation whose scale and shift are the class's own: conditional BatchNorm (de Vries et al. 2017).

    Args:
        kind: what is normalised over; `none` leaves just the scale and the shift.
        channels: of the input.
        classes: how many.
    """

    def __init__(self, kind: Norm, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = norm_layer(kind, channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.normal_(self.scale.weight, 1.0, 0.02)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Pictures (N, C, H, W) and labels (N,), or weights of the classes (N, K) -> (N, C, H, W)."""
        scale, shift = (embed_labels(table, labels)[..., None, None] for table in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), scale)


class LabelConv2d(nn.Conv2d):
    """A convolution over a picture with a one-hot map for each class behind its channels (Mirza and Osindero 2014).

    The maps are never built: without padding, a map of ones adds the sum of its kernel to every output pixel, so the
    class only chooses which sum is added. A thousand classes cost as little as ten.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, classes: int) -> None:
        super().__init__(in_channels + classes, out_channels, kernel_size, stride)
        self.pixel_channels = in_channels

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Pictures (N, in_channels, H, W) and labels (N,) -> (N, out_channels, H', W')."""
        weight = self.weight  # read once: under spectral normalisation each reading is a power iteration
        pixels, maps = weight[:, : self.pixel_channels], weight[:, self.pixel_channels :]
        out = F.conv2d(x, pixels, self.bias, self.stride)
        return out + F.embedding(labels, maps.sum((2, 3)).T)[..., None, None]


def append_one_hot(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Vectors (N, D) and labels (N,), or weights of the classes (N, K) -> (N, D + classes)."""
    weights = labels if labels.is_floating_point() else F.one_hot(labels, classes)
    return torch.cat([x, weights.to(x.dtype)], dim=1)


def embed_labels(table: nn.Embedding, labels: Tensor) -> Tensor:
    """The rows of labels (N,), or the mixtures of rows by weights (N, K) -> (N, D)."""
    rows: Tensor = labels @ table.weight if labels.is_floating_point() else table(labels)
    return rows


def checked_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W) as given, or as a saved model's config.json names it.

    Raises:
        UserError: no such pictures can be drawn.
    """
    if len(shape) != 3 or not all(isinstance(side, int) for side in shape) or shape[0] < 1:
        raise UserError(f"a picture's shape is three whole numbers, (channels, height, width), not {shape}")
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in shape[1:]):
        raise UserError(f"pictures must be {MIN_SIDE} to {MAX_SIDE} pixels high and wide, not {shape[1]}x{shape[2]}")
    return shape[0], shape[1], shape[2]


def doublings(size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """How often a network doubles its grid to cover pictures of `size`, and the grid that it starts from.

    The larger side starts at 4 to 7 pixels, ceil(size / 2^doublings); what is drawn over the edge is cropped.
    """
    count = 0
    while math.ceil(max(size) / 2**count) > 7:
        count += 1
    return count, (math.ceil(size[0] / 2**count), math.ceil(size[1] / 2**count))


def center_crop(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of pictures (N, C, H', W') as (N, C, *size)."""
    top, left = ((have - want) // 2 for have, want in zip(images.shape[-2:], size, strict=True))
    return images[..., top : top + size[0], left : left + size[1]]


def center_pad(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The opposite of `crop`: gray (0) around pictures, up to (N, C, *size)."""
    if images.shape[-2:] == size:
        return images
    top, left = ((want - have) // 2 for have, want in zip(images.shape[-2:], size, strict=True))
    rest = size[0] - images.shape[-2] - top, size[1] - images.shape[-1] - left
    return F.pad(images, (left, rest[1], top, rest[0]))
