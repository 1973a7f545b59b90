"""Comparison of float32 results that may come from other kernels: the tolerance is what rounding does to them."""

import copy

import torch
from torch import Tensor, nn

from dcgan.exporting.rounding import measure_error


@torch.no_grad()
def assert_equal_up_to_rounding(actual: Tensor, network: nn.Module, *inputs: Tensor) -> None:
    """Check that a float32 result is the network's output, as well as rounding allows on this CPU."""
    precise_inputs = [t.double() if t.is_floating_point() else t for t in inputs]
    expected = copy.deepcopy(network).double()(*precise_inputs)
    float32_error = measure_error(network(*inputs).double() - expected)
    error = measure_error(actual.double() - expected)
    assert error.is_allowed(float32_error), f"{error}, PyTorch's own is {float32_error}"


def rounding_tolerance(expected: Tensor) -> float:
    """Return how far float32 values may be apart that are sums of values of their size, such as gradients.

    The error of a value that is nearly 0 is that of the large summands that cancel in it, so it is 1e-4 of the largest
    value. An error of the formula is as large as the values themselves.
    """
    return max(1e-6, 1e-4 * float(expected.abs().max()))
