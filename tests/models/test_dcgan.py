"""The study's networks against the study's own code."""

import pytest
import torch
from torch import nn

from benchmarks import study
from dcgan import Discriminator, Generator, UserError
from tests.models.conftest import parameter_count


def test_the_studys_parameter_counts():
    assert parameter_count(Generator()) == 623_425
    assert parameter_count(Generator(z_dim=64)) == 747_841
    assert parameter_count(Discriminator()) == 9_105


@pytest.mark.parametrize(
    ("make_network", "make_study_network", "shape"),
    [
        (Generator, study.Generator, (5, 10)),
        (lambda: Generator(64, 3, 8), lambda: study.Generator(64, 3, 8), (5, 64)),
        (Discriminator, study.Discriminator, (5, 1, 28, 28)),
        (lambda: Discriminator(3, 4), lambda: study.Discriminator(3, 4), (5, 3, 28, 28)),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_the_studys_weights_load_and_give_the_same_output(make_network, make_study_network, shape, training: bool):
    network, study_network = make_network().train(training), make_study_network().train(training)
    network.load_state_dict(study_network.state_dict(), strict=True)
    x = torch.randn(shape)
    # With five pictures and weights that drive tanh to its ends, rounding decides a lot: on one CPU float32 is 4e-6
    # from float64 and our way 2e-5; on others both are farther. Therefore the two are compared closely in float64 only.
    assert torch.allclose(network(x), study_network(x), atol=1e-3)
    assert torch.allclose(network.double()(x.double()), study_network.double()(x.double()), atol=1e-9)


def test_the_gradients_are_the_studys_at_the_study_size():
    """Compare both updates at batch 128 and z 64, because our layers are computed in another way than the study's.

    A unit at the bend of a ReLU may fall on the other side by rounding, and a few gradients with it: the study's own
    gradients in float32 are up to 3e-5 from those in float64.
    """
    torch.manual_seed(0)
    pairs = (Generator(64), Discriminator()), (study.Generator(64), study.Discriminator())
    for network, study_network in zip(*pairs, strict=True):
        network.load_state_dict(study_network.apply(study.weights_init).state_dict())
    z, real = torch.randn(128, 64), torch.rand(128, 1, 28, 28) * 2 - 1
    actual, expected = (_both_gradients(*pair, z, real) for pair in pairs)
    assert max(float(gradient.abs().max()) for gradient in expected) > 1e-3
    differences = torch.cat([(a - b).abs().flatten() for a, b in zip(actual, expected, strict=True)])
    assert (differences < 1e-5).float().mean() > 0.999
    assert differences.max() < 1e-4


def _both_gradients(gen: nn.Module, disc: nn.Module, z: torch.Tensor, real: torch.Tensor) -> list[torch.Tensor]:
    fake, criterion = gen(z), nn.BCEWithLogitsLoss()
    loss_g = criterion(disc(fake), torch.ones(len(z), 1))
    scores = disc(fake.detach()), disc(real)
    loss_d = (criterion(scores[0], torch.zeros(len(z), 1)) + criterion(scores[1], torch.ones(len(z), 1))) / 2
    return [*torch.autograd.grad(loss_g, list(gen.parameters())), *torch.autograd.grad(loss_d, list(disc.parameters()))]


def test_the_blocks_are_the_studys_layer_by_layer():
    for network, study_network in ((Generator(), study.Generator()), (Discriminator(), study.Discriminator())):
        assert str(network).split("\n")[1:] == str(study_network).split("\n")[1:]
    assert len(Generator().gen) == 4
    assert len(Discriminator().disc) == 3
    assert str(Generator().gen_block(3, 5)) == str(study.Generator().gen_block(3, 5))
    assert str(Discriminator().disc_block(3, 5)) == str(study.Discriminator().disc_block(3, 5))


def test_shapes_and_range():
    images = Generator(7, 3)(torch.randn(2, 7))
    assert images.shape == (2, 3, 28, 28)
    assert images.abs().max() <= 1
    assert Discriminator(3)(images).shape == (2, 1)
    assert Generator(7)(torch.randn(1, 7)).shape == (1, 1, 28, 28)


@pytest.mark.parametrize("size", [8, 21, 30, 37, 64])
def test_the_discriminator_refuses_other_sizes(size: int):
    with pytest.raises(UserError, match=r"28|cannot take"):
        Discriminator()(torch.zeros(2, 1, size, size))
