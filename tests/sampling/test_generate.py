import copy

import numpy as np
import pytest
import torch

import dcgan
from dcgan.models.build import build_networks
from dcgan.presets import configure
from dcgan.sampling.generate import fuse_for_inference
from dcgan.sampling.model import Model
from tests.conftest import SMALL
from tests.rounding import assert_equal_up_to_rounding


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_a_sample_does_not_depend_on_how_many_are_drawn(rgb_model: Model, n: int):
    assert (rgb_model.sample(n, seed=5) == rgb_model.sample(200, seed=5)[:n]).all()


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_a_sample_with_a_class_does_not_depend_on_how_many_are_drawn(class_model: Model, n: int):
    assert (class_model.sample(n, seed=5) == class_model.sample(200, seed=5)[:n]).all()
    assert (class_model.sample(n, seed=5, label=2) == class_model.sample(200, seed=5, label=2)[:n]).all()


def test_samples_are_bytes(rgb_model: Model):
    pixels = rgb_model.sample(3)
    assert pixels.shape == (3, 28, 28, 3)
    assert pixels.dtype == np.uint8
    assert (rgb_model.sample(3, seed=1) != pixels).any()


@pytest.mark.parametrize("preset", ["vanilla", "dcgan", "dcgan64", "cgan", "r3gan", "match"])
def test_the_fused_copy_draws_the_same_except_for_rounding(preset: str):
    torch.manual_seed(0)
    generator, _ = build_networks(
        configure(preset, **SMALL | ({"z_dim": 16} if preset == "match" else {})),
        (1, 28, 28),
        3 if preset == "cgan" else 0,
    )
    for norm in (m for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        for tensor in (*norm.parameters(), norm.running_mean):
            torch.nn.init.normal_(tensor)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    generator.eval()
    before = copy.deepcopy(generator.state_dict())
    inputs = (torch.randn(64, generator.z_dim), *((torch.arange(64) % 3,) if generator.classes else ()))
    with torch.no_grad():
        expected, actual = generator(*inputs), fuse_for_inference(generator)(*inputs)
    assert expected.std() > 0.01
    assert_equal_up_to_rounding(actual, generator, *inputs)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_the_fused_copy_of_the_study_has_no_batchnorm():
    generator = dcgan.Generator(4).eval()
    layer_names = [type(m).__name__ for m in fuse_for_inference(generator).modules()]
    assert layer_names.count("Identity") == 3
    assert "BatchNorm2d" not in layer_names
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in generator.modules()) == 3
