import pytest
import torch
from torch import nn

from dcgan.models.conv_transpose import ConvTranspose2d, _polynomial_matrices


def test_a_transposed_convolution_is_the_transposed_matrix_of_the_convolution():
    conv = nn.Conv2d(1, 1, 3, stride=2, bias=False).double()
    transposed = nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False).double()
    transposed.weight.data.copy_(conv.weight)
    pixels = torch.eye(49).double().view(49, 1, 7, 7)
    matrix = conv(pixels).view(49, 9).T  # (9, 49): the convolution of 7x7 as a matrix
    y = torch.randn(1, 1, 3, 3).double()
    assert torch.allclose(transposed(y).view(49), matrix.T @ y.view(9))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("side", "channels", "options"),
    [
        (1, 5, {"kernel_size": 3, "stride": 2}),
        (1, 5, {"kernel_size": (4, 2)}),
        (1, 1, {"kernel_size": 4, "padding": 1, "stride": 2}),
        (1, 5, {"kernel_size": 3, "dilation": 2}),
        (7, 1, {"kernel_size": 4, "stride": 2}),
        (7, 1, {"kernel_size": 4, "stride": 2, "padding": 1}),
        (6, 1, {"kernel_size": (3, 5), "stride": 3, "padding": (1, 0), "output_padding": 2, "dilation": (1, 2)}),
        (5, 2, {"kernel_size": 4, "stride": 2}),
        (3, 5, {"kernel_size": 4}),
        (2, 5, {"kernel_size": 3}),
        (3, 1, {"kernel_size": 4}),
        (3, 5, {"kernel_size": (4, 2)}),
        (3, 5, {"kernel_size": 4, "padding": 1}),
        (4, 5, {"kernel_size": 4}),
        (4, 5, {"kernel_size": 3, "stride": 2}),
        ((1, 4), 5, {"kernel_size": 3, "stride": 2}),
        (4, 5, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (4, 5, {"kernel_size": 3, "stride": 2, "output_padding": 1}),
    ],
)
def test_every_way_to_compute_equals_torchs(side, channels, options, bias: bool) -> None:
    torch.manual_seed(0)
    fast = ConvTranspose2d(3, channels, bias=bias, **options).double()
    plain = nn.ConvTranspose2d(3, channels, bias=bias, **options).double()
    plain.load_state_dict(fast.state_dict())
    height, width = (side, side) if isinstance(side, int) else side
    x = torch.randn(4, 3, height, width, dtype=torch.double, requires_grad=True)
    with torch.no_grad():  # another way may be faster where no gradients are needed
        assert torch.allclose(fast(x), plain(x))
    for actual, expected in zip(_derivatives(fast, x), _derivatives(plain, x), strict=True):
        assert torch.allclose(actual, expected)


def _derivatives(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return the output, its gradients, and the gradients of a penalty on them."""
    out = layer(x).tanh()
    inputs = [x, *layer.parameters()]
    first = torch.autograd.grad(out.square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [out, *first, *second]


def test_polynomials_round_finely_enough_in_the_studys_second_layer():
    """The relative error of outputs and gradients stays below 1e-6."""
    torch.manual_seed(0)
    fast = ConvTranspose2d(256, 128, 4)
    exact = nn.ConvTranspose2d(256, 128, 4).double()
    exact.load_state_dict(fast.state_dict())
    x, weights = torch.randn(128, 256, 3, 3).requires_grad_(), torch.randn(128, 128, 6, 6)
    results = (_first_derivatives(layer, x, weights) for layer in (fast, exact))
    for actual, expected in zip(*results, strict=True):
        assert ((actual.double() - expected).abs().max() / expected.abs().max()).item() < 1e-6


def _first_derivatives(layer: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """Return the output of a layer in the precision of its weights, and the gradients of its weighted sum."""
    dtype = next(layer.parameters()).dtype
    inputs = [x.to(dtype), *layer.parameters()]
    out = layer(inputs[0])
    return [out.detach(), *torch.autograd.grad((out * weights.to(dtype)).sum(), inputs)]


def test_bf16_uses_torchs_own_way():
    """The product of polynomials would be a third as exact with the digits that bf16 has."""
    fast, plain = ConvTranspose2d(8, 4, 4), nn.ConvTranspose2d(8, 4, 4)
    plain.load_state_dict(fast.state_dict())
    x = torch.randn(2, 8, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(x), plain(x))


def test_bf16_has_gradients_in_the_layer_that_doubles_the_size():
    fast, plain = ConvTranspose2d(8, 4, 3, 2), nn.ConvTranspose2d(8, 4, 3, 2)
    plain.load_state_dict(fast.state_dict())
    x = torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        actual, expected = (torch.autograd.grad(layer(x).sum(), list(layer.parameters())) for layer in (fast, plain))
    assert all(torch.equal(*pair) for pair in zip(actual, expected, strict=True))


@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize(("side", "options"), [(1, {"kernel_size": 3}), (3, {"kernel_size": 4}), (6, {"stride": 2})])
def test_layers_of_several_networks_can_be_computed_at_once(side: int, options, with_gradients: bool) -> None:
    layer = ConvTranspose2d(5, 4, **{"kernel_size": 3} | options).double()
    x = torch.randn(2, 3, 5, side, side).double()
    with torch.set_grad_enabled(with_gradients):
        expected = torch.stack([layer(part) for part in x])
        assert torch.allclose(torch.vmap(layer)(x), expected)


def test_one_image_without_a_batch_is_accepted_as_torch_accepts_it() -> None:
    layer = ConvTranspose2d(5, 4, 3, 2)
    x = torch.randn(5, 6, 6)
    assert torch.allclose(layer(x), layer(x[None])[0], atol=1e-6)


def test_matrices_of_polynomials_that_a_drawing_computed_first_serve_a_training() -> None:
    _polynomial_matrices.cache_clear()
    layer, x = ConvTranspose2d(5, 4, 4).double(), torch.randn(2, 5, 3, 3).double()
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
