"""What all networks share: how large a layer's output is, and how weights start."""

from torch import nn

from dcgan.config import UserError


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


def init_weights(layer: nn.Module) -> None:
    """N(0, 0.02) for convolution weights and for BatchNorm scales, 0 for BatchNorm biases: the study's start.

    Radford et al. (2016) draw BatchNorm scales from N(1, 0.02). Use as `network.apply(init_weights)`.
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    if isinstance(layer, nn.BatchNorm2d):
        nn.init.zeros_(layer.bias)
