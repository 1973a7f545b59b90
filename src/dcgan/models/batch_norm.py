"""A BatchNorm that is as exact in `channels_last` as in torch's usual layout, on a CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` with exact sums where torch's own kernel has none: in training on a CPU in `channels_last`.

    torch adds up the pixels of a map in double precision in its usual layout, but in single precision, one after
    another, in `channels_last`. The gradients of a step of the preset `dcgan` are then 3 to 283 times as far from those
    in double precision as the study's own. With this layer they are as near as those (docs/performance.md). Other
    families have torch's own, which is faster: there the difference is small beside that of two batches.

    It has first and second derivatives there, but not those of forward mode (`torch.func.jvp`).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Take maps (N, C, H, W); return them with mean 0 and variance 1 in each channel, then scale and shift them."""
        if not self._is_inexact(x):
            return super().forward(x)
        normalized: Tensor
        normalized, means, variances = _BatchNorm.apply(x, self.weight, self.bias, self.eps)
        self._track(means.flatten(), variances.flatten(), x.numel() // x.shape[1])
        return normalized

    def _is_inexact(self, x: Tensor) -> bool:
        """Return whether torch would add up the pixels one after another, in the precision that they have."""
        parts = self.weight, self.bias, self.running_mean, self.running_var, self.num_batches_tracked
        is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        if not self.training or is_traced or any(part is None for part in parts) or x.device.type != "cpu":
            return False
        has_layout = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return has_layout and x.dtype in (torch.float32, torch.float64)

    def _track(self, means: Tensor, variances: Tensor, count: int) -> None:
        """Update the running statistics, as torch does: with the unbiased variances, and as means without momentum."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(means.to(self.running_mean), share)
        self.running_var.lerp_((variances * (count / (count - 1))).to(self.running_var), share)


class _BatchNorm(torch.autograd.Function):
    """BatchNorm with the means and the variances of the channels, (C, 1, 1), float64."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
        means, variances = _moments(x)
        scale = weight.view(-1, 1, 1) * (variances + epsilon).rsqrt()
        shift = bias.view(-1, 1, 1) - means * scale
        return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype)), means, variances

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight, _, ctx.epsilon = inputs
        _, means, variances = output
        ctx.mark_non_differentiable(means, variances)
        ctx.set_materialize_grads(False)  # torch would fill zeros for both at each step
        ctx.save_for_backward(x, weight, means, variances)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        gradient = gradients[0]
        if gradient is None:
            return None, None, None, None
        x, weight, means, variances = ctx.saved_tensors
        if torch.is_grad_enabled():  # for second derivatives, which count that the statistics depend on x
            means, variances = _moments(x)
        inverse_deviations = (variances + ctx.epsilon).rsqrt()
        scale = weight.view(-1, 1, 1) * inverse_deviations
        gradient_means = _channel_means(gradient)
        slopes = _channel_means((x - means.to(x.dtype)) * gradient) * inverse_deviations
        # The gradient loses its mean and its part along the normalized maps, which do not change with either.
        x_scale = -slopes * scale * inverse_deviations
        shift = -scale * gradient_means - means * x_scale
        lost = torch.addcmul(shift.to(x.dtype), x, x_scale.to(x.dtype))
        count = x.numel() // x.shape[1]
        weight_gradient, bias_gradient = ((part * count).to(weight).view(-1) for part in (slopes, gradient_means))
        return torch.addcmul(lost, gradient, scale.to(x.dtype)), weight_gradient, bias_gradient, None


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means and the variances of the channels of maps (N, C, H, W), (C, 1, 1), float64."""
    means = _channel_means(x)
    return means, _channel_means(F.mse_loss(x, means.to(x.dtype).expand_as(x), reduction="none"))


def _channel_means(x: Tensor) -> Tensor:
    """Return the mean of each channel of maps (N, C, H, W), (C, 1, 1), float64.

    Within one picture single precision is exact enough, and faster.
    """
    return x.mean((2, 3), keepdim=True).mean(0, dtype=torch.double)
