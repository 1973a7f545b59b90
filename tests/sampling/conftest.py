"""Two small models."""

import pytest
import torch

from dcgan import Generator
from dcgan.models.store import save_generator
from dcgan.sampling.model import Model, load


@pytest.fixture(scope="module")
def rgb_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("m")
    generator = Generator(16, 3, 8)
    generator(torch.randn(200, 16))  # so that BatchNorm has other statistics than at the start
    save_generator(generator.eval(), folder / "model")
    return load(folder / "model")


@pytest.fixture(scope="module")
def class_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of three classes, which draws brighter pictures for higher classes."""
    folder = tmp_path_factory.mktemp("c")
    generator = Generator(16, 1, 8, norm="none", classes=3)
    with torch.no_grad():
        generator.gen[0][0].weight[16:] = torch.tensor([0.0, 0.3, 0.6]).view(3, 1, 1, 1)
    save_generator(generator.eval(), folder, {"data": "pets", "classes": ["cat", "dog", "1"]})
    return load(folder)
