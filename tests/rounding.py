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
