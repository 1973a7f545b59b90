import numpy as np
import pytest
import torch

import dcgan
from dcgan.sampling.generate import generate_pixels
from dcgan.sampling.mix import draw_mixed


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_share_of_zero_or_one_is_a_pure_class(norm: str):
    generator = dcgan.Generator(16, 1, 8, norm=norm, classes=3).eval()
    z, labels = torch.randn(4, 16), torch.tensor([0, 1, 2, 0])
    for share, expected in ((0.0, labels), (1.0, torch.full((4,), 2))):
        difference = draw_mixed(generator, z, labels, 2, share).astype(int) - generate_pixels(generator, z, expected)
        assert np.abs(difference).max() <= 1  # another batch size may round differently
