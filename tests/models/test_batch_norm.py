import pytest
import torch
from torch import Tensor, nn

from dcgan.models.batch_norm import BatchNorm2d


def _maps(*shape: int, dtype: torch.dtype = torch.double) -> Tensor:
    """Return maps in `channels_last` whose channels have means of 0 to 6 deviations."""
    maps = torch.randn(shape, dtype=dtype) + torch.linspace(0, 6, shape[1], dtype=dtype).view(-1, 1, 1)
    return maps.to(memory_format=torch.channels_last)


def _copies(channels: int, **options) -> tuple[BatchNorm2d, nn.BatchNorm2d]:
    """Return our layer and torch's with the same weights."""
    ours, torchs = BatchNorm2d(channels, **options).double(), nn.BatchNorm2d(channels, **options).double()
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (1, 3, 2, 2), (2, 3, 1, 2)])
@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_it_equals_torchs_with_its_first_and_second_derivatives(shape, momentum) -> None:
    torch.manual_seed(0)
    ours, torchs = _copies(shape[1], momentum=momentum)
    for _ in range(3):
        x = _maps(*shape).requires_grad_()
        for actual, expected in zip(_derivatives(ours, x), _derivatives(torchs, x), strict=True):
            assert torch.allclose(actual, expected)
    for name, buffer in torchs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name], buffer), name


def _derivatives(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the output, its gradients, and the gradients of a penalty on them."""
    out = layer(x)
    inputs = [x, *layer.parameters()]
    first = torch.autograd.grad(out.tanh().square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [out, *first, *second]


def test_in_channels_last_it_is_as_exact_as_torchs_in_the_usual_layout() -> None:
    torch.manual_seed(0)
    ours, torchs = _copies(16)
    x, weights = _maps(128, 16, 13, 13, dtype=torch.float32), torch.randn(128, 16, 13, 13)
    exact = _results(torchs, x.double(), weights.double())
    usual = _distances(_results(torchs.float(), x.contiguous(), weights), exact)
    last = _distances(_results(ours.float(), x, weights.contiguous(memory_format=torch.channels_last)), exact)
    for name, distance in last.items():
        assert distance < 2 * usual[name], name


def _results(layer: nn.Module, x: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Return the output, the gradients of its weighted sum, and the running statistics after one call."""
    layer.reset_running_stats()
    x = x.detach().requires_grad_()
    out = layer(x)
    gradients = torch.autograd.grad((out * weights).sum(), [x, *layer.parameters()])
    names = ("output", "gradient of x", "gradient of the scale", "gradient of the shift")
    return dict(zip(names, (out.detach(), *gradients), strict=True)) | {
        "mean": layer.running_mean.clone(),
        "variance": layer.running_var.clone(),
    }


def _distances(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    return {name: float((actual[name].double() - value).norm() / value.norm()) for name, value in expected.items()}


def test_only_training_in_channels_last_is_not_torchs_own() -> None:
    """Its result is then the same to the bit."""
    torch.manual_seed(0)
    x = _maps(128, 3, 13, 13, dtype=torch.float32)
    ours, torchs = (layer.float() for layer in _copies(3))
    assert not torch.equal(ours(x), torchs(x))
    assert torch.equal(ours(x.contiguous()), torchs(x.contiguous()))
    torchs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.eval()(x), torchs.eval()(x))
    for options in ({"affine": False}, {"bias": False}, {"track_running_stats": False}):
        assert torch.equal(BatchNorm2d(3, **options)(x), nn.BatchNorm2d(3, **options)(x))


def test_one_value_for_each_channel_is_refused_as_torch_refuses_it() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm2d(3)(_maps(1, 3, 1, 1, dtype=torch.float32))


def test_its_derivatives_are_those_of_its_values() -> None:
    """As differences of values show them; outputs that no gradient reaches are allowed too."""
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(BatchNorm2d(3).double(), _maps(4, 3, 2, 2).requires_grad_())
    assert torch.autograd.gradgradcheck(BatchNorm2d(3).double(), _maps(4, 3, 2, 2).requires_grad_())


def test_all_rows_of_a_jacobian_can_be_computed_at_once() -> None:
    torch.manual_seed(0)
    layer, x = BatchNorm2d(3).double(), _maps(2, 3, 2, 2)
    at_once, one_by_one = (torch.autograd.functional.jacobian(layer, x, vectorize=v) for v in (True, False))
    assert torch.allclose(at_once, one_by_one)
