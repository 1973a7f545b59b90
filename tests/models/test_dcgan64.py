import pytest
import torch

from dcgan.models import dcgan64
from dcgan.models.build import build_networks
from dcgan.presets import PRESETS, configure
from tests.models.conftest import parameter_count


def test_the_papers_parameter_counts():
    assert parameter_count(dcgan64.Generator(100, (3, 64, 64), 64)) == 3_576_704
    assert parameter_count(dcgan64.Discriminator((3, 64, 64), 64)) == 2_765_568
    generator, discriminator = build_networks(PRESETS["dcgan64"], (3, 64, 64))
    assert (parameter_count(generator), parameter_count(discriminator)) == (3_576_704, 2_765_568)


def test_the_score_adds_the_projection_on_the_vector_of_the_class():
    discriminator = dcgan64.Discriminator((1, 16, 16), 4, norm="none", classes=3)
    x, labels = torch.randn(5, 1, 16, 16), torch.tensor([0, 1, 2, 1, 0])
    features = discriminator.features(x)
    unconditional = discriminator.score(features).view(-1, 1)
    for n, label in enumerate(labels):
        inner = features[n].flatten() @ discriminator.classes.weight[label]
        assert torch.allclose(discriminator(x, labels)[n], unconditional[n] + inner, atol=1e-5)


def test_several_classes_of_a_picture_have_the_scores_of_each_alone():
    discriminator = dcgan64.Discriminator((1, 16, 16), 4, classes=3)
    x, labels = torch.randn(5, 1, 16, 16), torch.tensor([[0, 1], [2, 2], [1, 0], [0, 2], [2, 1]])
    expected = torch.cat([discriminator(x, column) for column in labels.T], 1)
    assert expected.std() > 0
    assert torch.allclose(discriminator(x, labels), expected, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_flat_gray_can_get_any_score(norm: str):
    """Gray is 0 in [-1, 1]. Without biases its score is always 0, so that nothing tells a generator to leave it."""
    _, discriminator = build_networks(configure("fast", d_norm=norm), (1, 28, 28))
    gray = torch.zeros(1, 1, 28, 28)
    assert discriminator(gray) == 0  # at the beginning
    discriminator(gray).backward()
    gradients = [p.grad for name, p in discriminator.named_parameters() if name.endswith("bias")]
    assert gradients
    assert all(gradient.any() for gradient in gradients)
    assert "bias" not in " ".join(dcgan64.Discriminator(norm="batch").features[0].state_dict())
