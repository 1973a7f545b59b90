"""The family `upsample`: what its layers compute, which sizes it draws, and how latents choose an appearance."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from dcgan.errors import UserError
from dcgan.models import upsample
from dcgan.models.store import load_generator, save_generator
from dcgan.models.upsample import APPEARANCE_RANK, LEAK, Excitation, Generator, StyleNorm, UpsampleConv, level_widths


def make_generator(shape: tuple[int, int, int] = (3, 32, 32), classes: int = 3) -> Generator:
    torch.manual_seed(0)
    generator = Generator(APPEARANCE_RANK + 4, shape, 4, classes).eval()
    positions = torch.randn(60, upsample.APPEARANCE_DIM)
    generator.fit_appearance(positions, torch.arange(60) % classes if classes else None)
    return generator


def test_the_layer_is_repeated_pixels_and_a_convolution():
    layer, x = UpsampleConv(3, 5), torch.randn(2, 3, 6, 4)
    repeated = F.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = F.conv2d(repeated, layer.weight, padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_kernels_and_gradients_are_in_channels_last():
    """Another layout is copied in every step, which took about 4% of its time."""
    assert UpsampleConv(6, 5).kernel().is_contiguous(memory_format=torch.channels_last)
    x = torch.randn(2, 6, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(Excitation(6, 5)(x).square().sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_factors_before_the_activation_are_those_after_it():
    generator = torch.Generator().manual_seed(0)
    images, style = (torch.randn(*shape, generator=generator) for shape in ((4, 6, 8, 8), (4, upsample.STYLE_DIM)))
    factors = 2 * torch.rand(4, 6, 1, 1, generator=generator)
    norm = StyleNorm(6)
    after = F.leaky_relu(norm(images, style), LEAK) * factors
    torch.testing.assert_close(F.leaky_relu(norm(images, style, factors), LEAK), after)


def test_a_flat_picture_stays_flat_inside_whatever_the_weights_are():
    out = UpsampleConv(3, 5)(torch.ones(1, 3, 8, 8))[..., 2:-2, 2:-2]
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 28, 28), (4, 16, 16), (3, 48, 64), (3, 100, 33), (1, 7 * 16, 16)])
@pytest.mark.parametrize("classes", [0, 3])
def test_any_size_is_drawn(shape: tuple[int, int, int], classes: int):
    generator = make_generator(shape, classes)
    labels = (torch.tensor([0, 2]),) if classes else ()
    images = generator(torch.randn(2, generator.z_dim), *labels)
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1


def test_widths_grow_towards_the_smallest_grid():
    assert level_widths(24, 4) == [256, 192, 96, 48, 24]
    assert level_widths(24, 2) == [96, 48, 24]
    assert level_widths(24, 6) == [256, 256, 256, 192, 96, 48, 24]


def test_weights_of_groups_and_groups_draw_the_same():
    generator, labels = make_generator(), torch.tensor([0, 1, 2, 1])
    z = torch.randn(4, generator.z_dim)
    torch.testing.assert_close(generator(z, F.one_hot(labels, 3).float()), generator(z, labels))
    assert not torch.allclose(generator(z, labels), generator(z, labels.flip(0)))


def test_latents_choose_the_appearances_that_the_pictures_of_a_group_have():
    torch.manual_seed(1)
    spread = torch.randn(5, upsample.APPEARANCE_DIM)
    positions = torch.randn(400, 5) @ spread + torch.arange(400)[:, None] % 2 * 3.0
    groups = torch.arange(400) % 2
    generator = Generator(APPEARANCE_RANK, (3, 16, 16), 4, 2)
    generator.fit_appearance(positions, groups)
    z = torch.randn(20_000, APPEARANCE_RANK)
    for group in (0, 1):
        drawn, real = generator.appearance(z, torch.full((len(z),), group)), positions[groups == group]
        torch.testing.assert_close(drawn.mean(0), real.mean(0), rtol=0.1, atol=0.1)
        torch.testing.assert_close(drawn.T.cov(), real.T.cov(correction=0), rtol=0.1, atol=0.4)
    lengths = generator.appearance_factors.norm(dim=2)
    assert (lengths.diff(dim=1) <= 1e-5).all()  # the most important direction comes first


def test_few_pictures_and_empty_groups_have_an_appearance_too():
    generator = Generator(APPEARANCE_RANK, (3, 16, 16), 4, 3)
    positions = torch.randn(4, upsample.APPEARANCE_DIM)
    generator.fit_appearance(positions, torch.tensor([0, 0, 0, 1]))
    appearance = generator.appearance(torch.randn(3, APPEARANCE_RANK), torch.tensor([0, 1, 2]))
    torch.testing.assert_close(appearance[1], positions[3])
    assert (appearance[2] == 0).all()
    assert appearance.isfinite().all()


def test_a_saved_generator_keeps_its_appearances(tmp_path: Path):
    generator = make_generator()
    save_generator(generator, tmp_path / "m", None)
    loaded, z = load_generator(tmp_path / "m"), torch.randn(3, generator.z_dim)
    assert torch.equal(loaded(z, torch.tensor([0, 1, 2])), generator(z, torch.tensor([0, 1, 2])))
    assert (tmp_path / "m" / "model.safetensors").stat().st_size < 1_000_000


def test_directions_are_those_of_all_groups():
    generator = make_generator()
    weight = generator.first_layer_weight()
    assert weight.shape == (3 * upsample.STYLE_DIM, generator.z_dim)
    assert (weight[:, :APPEARANCE_RANK].norm(dim=0) > 0).all()


def test_a_latent_that_is_too_short_is_refused():
    with pytest.raises(UserError, match=f"--z-dim of at least {APPEARANCE_RANK}"):
        Generator(APPEARANCE_RANK - 1, (3, 16, 16), 4)
