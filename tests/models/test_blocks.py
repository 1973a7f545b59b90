import pytest
import torch
from torch import nn

from dcgan import Discriminator, Generator, UserError
from dcgan.models.blocks import (
    ConditionalNorm,
    LabelConv2d,
    center_crop,
    center_pad,
    conv_size,
    conv_transpose_size,
    count_doublings,
    doubling_widths,
    init_weights,
    layer_sizes,
)


@pytest.mark.parametrize("kernel", [1, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dilation", [1, 2])
def test_the_size_formulas_give_torchs_sizes(kernel: int, stride: int, padding: int, dilation: int):
    for size in (1, 2, 7, 28):
        x = torch.zeros(1, 1, size, size)
        try:
            expected = conv_size(size, kernel, stride, padding, dilation)
            assert nn.Conv2d(1, 1, kernel, stride, padding, dilation)(x).shape[-1] == expected
        except UserError:
            with pytest.raises(RuntimeError):
                nn.Conv2d(1, 1, kernel, stride, padding, dilation)(x)
        for extra in range(max(stride, dilation)):
            layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding, extra, dilation=dilation)
            try:
                expected = conv_transpose_size(size, kernel, stride, padding, extra, dilation)
                assert layer(x).shape[-1] == expected
            except UserError:
                with pytest.raises(RuntimeError):
                    layer(x)


def test_layer_sizes_of_the_study():
    assert layer_sizes(Generator(), 1) == [1, 3, 6, 13, 28]
    assert layer_sizes(Discriminator(), 28) == [28, 13, 5, 1]


def test_initial_weights():
    generator = Generator(64).apply(init_weights)
    scales = torch.cat([m.weight for m in generator.modules() if isinstance(m, nn.BatchNorm2d)])
    kernels = torch.cat([m.weight.flatten() for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)])
    for weights in (scales, kernels):
        assert weights.mean().abs() < 0.005
        assert weights.std().item() == pytest.approx(0.02, rel=0.1)
    assert all((m.bias == 0).all() for m in generator.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((28, 28), (2, (7, 7))), ((64, 64), (4, (4, 4))), ((16, 16), (2, (4, 4))), ((32, 32), (3, (4, 4))),
        ((256, 256), (6, (4, 4))), ((100, 37), (4, (7, 3))), ((16, 256), (6, (1, 4))), ((29, 29), (3, (4, 4))),
    ],
)  # fmt: skip
def test_number_of_doublings(size: tuple[int, int], expected: tuple):
    assert count_doublings(size) == expected


@pytest.mark.parametrize("side", range(16, 257))
def test_every_side_starts_at_four_to_seven_pixels(side: int):
    count, start = count_doublings((side, side))
    assert 4 <= start[0] <= 7
    assert start[0] * 2**count >= side


def test_widths_double_up_to_eight_times_the_first():
    assert doubling_widths(3, 6) == [3, 6, 12, 24, 24, 24]


def test_cropping_undoes_padding():
    x = torch.randn(2, 1, 7, 8)
    assert torch.equal(center_crop(center_pad(x, (12, 9)), (7, 8)), x)
    assert center_pad(x, (12, 9)).sum() == pytest.approx(x.sum().item(), abs=1e-4)
    assert center_pad(x, (7, 8)) is x


@pytest.mark.parametrize("training", [True, False])
def test_conditional_batchnorm_equals_a_loop(training: bool):
    norm = ConditionalNorm("batch", 3, 4).train(training)
    torch.nn.init.normal_(norm.shift.weight)
    norm.norm.running_mean.normal_()
    x, labels = torch.randn(6, 3, 2, 5), torch.tensor([0, 3, 1, 1, 0, 2])
    mean = x.mean(dim=(0, 2, 3)) if training else norm.norm.running_mean.clone()
    variance = x.var(dim=(0, 2, 3), unbiased=False) if training else norm.norm.running_var.clone()
    out = norm(x, labels)
    for n in range(6):
        for c in range(3):
            scale, shift = norm.scale.weight[labels[n], c], norm.shift.weight[labels[n], c]
            expected = (x[n, c] - mean[c]) / torch.sqrt(variance[c] + 1e-5) * scale + shift
            assert torch.allclose(out[n, c], expected, atol=1e-5)


def test_label_convolution_equals_one_with_one_hot_maps():
    layer = LabelConv2d(2, 5, 4, 2, classes=3)
    x, labels = torch.randn(4, 2, 9, 8), torch.tensor([0, 2, 1, 2])
    maps = torch.nn.functional.one_hot(labels, 3).float()[..., None, None].expand(-1, -1, 9, 8)
    expected = torch.nn.functional.conv2d(torch.cat([x, maps], dim=1), layer.weight, layer.bias, stride=2)
    assert torch.allclose(layer(x, labels), expected, atol=1e-5)
