"""A transposed convolution that is fast on a CPU."""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.models.blocks import conv_transpose_size

LARGEST_PRODUCT = 6
"""Coefficients that a product of polynomials may have in each direction; values that round little determine no more."""


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`, computed in other but equal ways where torch's own kernels are slow on a CPU.

    Times of forward and backward at batch 128 (docs/experiments.md), for the layers of the study's generator:

    - The first spreads one pixel. As a product of matrices it takes 0.9 instead of 3.3 ms on 2 threads.
    - The second goes from 3x3 to 6x6. As a product of polynomials it takes 18.9 instead of 25.4 ms on 1 thread, and
      with AVX2 19.3 instead of 40.9.
    - The third doubles the size with a kernel of 3x3. As four convolutions it takes 2.3 instead of 3.7 ms forward on 2
      threads. Its gradients are torch's own, which take less time than those of the four.
    - The last has one output channel. As a product and `fold` it takes 3.5 instead of 6.7 ms on 2 threads. With three
      output channels, `fold` is slower than torch's own way.

    In training the third has first and second derivatives, but not those of forward mode (`torch.func.jvp`).
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Take images (N, in_channels, H, W); return (N, out_channels, H', W')."""
        is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        if x.device.type != "cpu" or x.dim() != 4 or is_traced or output_size is not None or self.groups > 1:
            return super().forward(x, output_size)
        is_plain = self.dilation == (1, 1) and not any((*self.padding, *self.output_padding))
        if is_plain and x.shape[2:] == (1, 1):
            return self._forward_one_pixel(x)
        if is_plain and self.stride == (1, 1) and self._has_few_points(x):
            return self._forward_polynomials(x)
        if self.out_channels == 1:
            return self._forward_fold(x)
        is_doubling = is_plain and self.stride == (2, 2) and self.kernel_size == (3, 3)
        if is_doubling and not torch.is_grad_enabled():
            return _convolve_parities(x, self.weight, self.bias)
        # In evaluation mode torch's own way keeps the derivatives of forward mode.
        if is_doubling and self.training and not torch.is_autocast_enabled("cpu"):
            out: Tensor = _ConvolveParities.apply(x, self.weight, self.bias)
            return out
        return super().forward(x)

    def _forward_one_pixel(self, x: Tensor) -> Tensor:
        """Multiply one pixel by the kernel: (N, C, 1, 1) -> (N, C', K, K)."""
        weight = self.weight.permute(0, 2, 3, 1)  # (C, K, K, C'), so that the result is in channels_last
        bias = None if self.bias is None else self.bias.repeat(weight[0, :, :, 0].numel())
        pixels = F.linear(x.flatten(1), weight.flatten(1).T, bias)
        return pixels.view(len(x), *weight.shape[1:]).permute(0, 3, 1, 2)

    def _has_few_points(self, x: Tensor) -> bool:
        """Return whether few points determine the result, and the numbers are precise enough for it; bf16 is not."""
        height, width, *kernel = *x.shape[2:], *self.kernel_size
        is_square = height == width and kernel[0] == kernel[1]
        is_small = height + kernel[0] - 1 <= LARGEST_PRODUCT
        is_precise = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
        return is_square and is_small and is_precise

    def _forward_polynomials(self, x: Tensor) -> Tensor:
        """Multiply image and kernel as polynomials (Toom 1963, Cook 1966): a transposed convolution of stride 1.

        The product has as many coefficients as there are output pixels, 36 in the study's layer, and is determined by
        its values at as many points: 0, 1, -1, infinity and the complex i in each direction. A complex value takes
        three multiplications and counts as two, so there are 46 multiplications instead of 9 * 16. With six real points
        there are 36, but the result is three to five times as inexact (docs/experiments.md).
        """
        matrices = _polynomial_matrices(x.shape[2], self.kernel_size[0])
        image_matrix, kernel_matrix, inverse_matrix = (matrix.to(x) for matrix in matrices)
        image_values = image_matrix @ x.permute(0, 2, 3, 1).flatten(1, 2)  # (N, points, C)
        kernel_values = kernel_matrix @ self.weight.permute(0, 2, 3, 1).flatten(1, 2)  # (C, points, C')
        product = torch.bmm(image_values.transpose(0, 1), kernel_values.transpose(0, 1))  # (points, N, C')
        out = inverse_matrix @ product.transpose(0, 1)  # (N, H' * W', C'), in channels_last
        out = out if self.bias is None else out + self.bias
        side = x.shape[2] + self.kernel_size[0] - 1
        return out.view(len(x), side, side, -1).permute(0, 3, 1, 2)

    def _forward_fold(self, x: Tensor) -> Tensor:
        """Multiply every pixel by the kernel, then add up overlapping values, as the study's transposed matrix does."""
        n, channels, height, width = x.shape
        columns = x.permute(0, 2, 3, 1).reshape(-1, channels) @ self.weight.flatten(1)  # (N * H * W, K * K)
        columns = columns.view(n, height * width, -1).transpose(1, 2)
        padding = int(self.padding[0]), int(self.padding[1])
        geometry = self.kernel_size, self.stride, padding, self.output_padding, self.dilation
        size = tuple(conv_transpose_size(*sides) for sides in zip((height, width), *geometry, strict=True))
        folded = F.fold(columns, size, self.kernel_size, self.dilation, padding, self.stride)
        return folded if self.bias is None else folded + self.bias.view(1, 1, 1, 1)


def _convolve_parities(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute even and odd rows and columns by a convolution each: (N, C, H, W) -> (N, C', 2H + 1, 2W + 1).

    An odd row sees the middle row of the kernel (C, C', 3, 3), and an even one the outer two, on neighboring pixels.
    """
    weight, (height, width) = weight.transpose(0, 1), x.shape[2:]
    parts = {
        (row, column): F.conv2d(x, weight[:, :, row::2, column::2].flip(2, 3), bias, padding=(1 - row, 1 - column))
        for row in (0, 1)
        for column in (0, 1)
    }
    # The parts have the type that autocast may choose. The result is in channels_last.
    n, channels, rows, columns = len(x), len(weight), 2 * height + 1, 2 * width + 1
    strides = rows * columns * channels, 1, columns * channels, channels
    out = parts[0, 0].new_empty_strided((n, channels, rows, columns), strides)
    for (row, column), part in parts.items():
        out[:, :, row::2, column::2] = part
    return out


class _ConvolveParities(torch.autograd.Function):
    """`_convolve_parities` with torch's own gradients, which take less time than those of the four convolutions."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _convolve_parities(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, bias = ctx.saved_tensors
        sizes = None if bias is None else list(bias.shape)
        geometry = [2, 2], [0, 0], [1, 1], True, [0, 0], 1  # stride, padding, dilation, transposed, and the rest
        needed = list(ctx.needs_input_grad)
        return torch.ops.aten.convolution_backward(gradients[0], x, weight, sizes, *geometry, needed)


@lru_cache
@torch.inference_mode(False)  # a training may use what a drawing has computed first
def _polynomial_matrices(image_side: int, kernel_side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return matrices that evaluate square polynomials in x and y at points, and one that goes back to coefficients.

    The first two, (values, S * S), take the coefficients of image and kernel, each with its side S. The third takes the
    products of their values, and returns the coefficients of the product, whose side is the sum of both minus 1. There
    are three values at a complex point: the real part, the imaginary part, and the sum of both.
    """
    side = image_side + kernel_side - 1
    image, kernel = (
        torch.cat([real, at_i.real, at_i.imag, at_i.real + at_i.imag])
        for real, at_i in (_evaluate(image_side, side), _evaluate(kernel_side, side))
    )
    real, at_i = _evaluate(side, side)
    # (a + bi)(c + di): the real part is ac - bd, the imaginary part (a + b)(c + d) - ac - bd.
    parts = torch.tensor([[1, -1, 0], [-1, -1, 1]], dtype=torch.float64)
    blocks = torch.eye(len(real)), torch.kron(parts, torch.eye(len(at_i)))
    to_values = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return image, kernel, torch.linalg.inv(torch.cat([real, at_i.real, at_i.imag])) @ to_values


def _evaluate(coefficients: int, side: int) -> tuple[Tensor, Tensor]:
    """Return matrices from the coefficients of a square polynomial to its values at real points, and at complex ones.

    In each direction the points are 0, 1, -1, infinity, where only the last coefficient counts, and i: as many of them
    as determine a polynomial with `side` coefficients. The value at conjugate coordinates is the conjugate, so that of
    the four points (±i, ±i) two are enough, (i, i) and (i, -i).
    """
    powers = torch.arange(coefficients, dtype=torch.float64)
    real = torch.stack([torch.tensor(float(point)) ** powers for point in (0, 1, -1)[:side]])
    needs_i = side > len(real) + 1
    if side > len(real) + 2 * needs_i:
        at_infinity = (powers == powers[-1]).double()
        real = torch.cat([real, at_infinity[None]])
    if not needs_i:
        return torch.kron(real, real), torch.zeros(0, coefficients**2, dtype=torch.complex128)
    at_i = torch.polar(torch.ones_like(powers), torch.pi / 2 * powers)[None]
    at_i = torch.complex(at_i.real.round(), at_i.imag.round())
    pairs = ((real + 0j, at_i), (at_i, real + 0j), (at_i, at_i), (at_i, at_i.conj()))
    return torch.kron(real, real), torch.cat([torch.kron(*pair) for pair in pairs])
