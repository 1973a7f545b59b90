import torch

from dcgan.models.build import build_networks
from dcgan.models.resnet import Block
from dcgan.presets import configure


def test_blocks_start_as_the_identity():
    generator, _ = build_networks(configure("r3gan"), (1, 28, 28))
    for block in generator.modules():
        if isinstance(block, Block):
            x = torch.randn(1, block.branch[0].in_channels, 3, 3)
            assert torch.equal(block(x), x)
