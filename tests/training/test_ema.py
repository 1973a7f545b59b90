import pytest
import torch
from torch import nn

from dcgan.training.ema import MAX_HALF_LIFE_SHARE, Ema, estimate_batchnorm


def test_half_of_a_weight_is_left_after_the_half_life():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    ema = Ema(network)
    network.weight.data.fill_(1.0)
    for _ in range(10):
        ema.update(network, images_seen=10**9, new_images=100, half_life=1000)
    assert ema.network.weight.item() == pytest.approx(0.5)


def test_the_half_life_is_short_at_the_start():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    ema = Ema(network)
    network.weight.data.fill_(1.0)
    ema.update(network, images_seen=100, new_images=100, half_life=10**9)
    assert ema.network.weight.item() == pytest.approx(1 - 0.5 ** (1 / MAX_HALF_LIFE_SHARE))


def test_with_a_half_life_of_zero_the_average_is_the_network():
    network = nn.Linear(2, 2)
    ema = Ema(network)
    network.weight.data.normal_()
    ema.update(network, images_seen=100, new_images=100, half_life=0)
    assert torch.equal(ema.network.weight, network.weight)


def test_no_gradient_reaches_the_average():
    network = nn.Linear(2, 2)
    ema = Ema(network)
    ema.update(network, 10, 1, 10)
    assert not any(p.requires_grad for p in ema.network.parameters())


def test_batchnorm_statistics_are_the_means_over_the_batches():
    norm = nn.BatchNorm1d(3)
    norm.running_mean.fill_(99)
    batches = torch.randn(5, 8, 3)
    estimate_batchnorm(norm, [(batch,) for batch in batches])
    assert torch.allclose(norm.running_mean, batches.mean(dim=(0, 1)), atol=1e-6)
    assert torch.allclose(norm.running_var, batches.var(dim=1).mean(dim=0), atol=1e-6)
    assert norm.momentum == 0.1
    assert not norm.training


def test_a_network_without_batchnorm_is_not_run():
    estimate_batchnorm(nn.Sequential(nn.ReLU()), iter(lambda: pytest.fail("run"), 0))
