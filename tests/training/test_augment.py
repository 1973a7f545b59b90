import pytest
import torch

from dcgan.rng import RandomSource
from dcgan.training import augment


def source(seed: int = 0) -> RandomSource:
    return RandomSource(torch.Generator().manual_seed(seed))


def batch(n: int = 6, channels: int = 3, height: int = 20, width: int = 28) -> torch.Tensor:
    return source(9).uniform(n, channels, height, width) * 2 - 1


def test_a_flip_mirrors_about_half():
    images = batch(400, 1, 16, 16)
    flipped = augment.random_flip(images, source())
    same = (flipped == images).all(dim=(1, 2, 3))
    mirrored = (flipped == images.flip(3)).all(dim=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("vary", [augment.random_flip, augment.diffaugment])
def test_the_source_decides_and_every_picture_differs(vary, channels: int):
    images = batch(1, channels).expand(8, -1, -1, -1)
    first, again, other = vary(images, source()), vary(images, source()), vary(images, source(1))
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(first.flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize(
    "vary", [augment.random_flip, augment.random_color, augment.random_translation, augment.random_cutout]
)
def test_gradients_are_those_of_finite_differences(vary):
    images = batch(2, 3, 6, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: vary(x, source()), images)


def test_colours_change_as_the_paper_says():
    images = batch(500, 3, 8, 8)
    varied = augment.random_color(images, source())
    shift = (varied - images).mean(dim=(1, 2, 3))
    assert -0.5 <= shift.min() < -0.45
    assert 0.45 < shift.max() <= 0.5
    gray = batch(5, 1)
    contrast = augment.random_color(gray, source()).std(dim=(1, 2, 3)) / gray.std(dim=(1, 2, 3))
    assert ((contrast >= 0.5) & (contrast <= 1.5)).all()


def test_opacity_keeps_its_values():
    images = batch(5, 4)
    assert torch.equal(augment.random_color(images, source())[:, 3], images[:, 3])


def test_a_picture_is_moved_by_at_most_an_eighth():
    images = torch.zeros(300, 1, 16, 24)
    images[:, :, 8, 12] = 1
    places = augment.random_translation(images, source()).flatten(1).argmax(1)
    rows, columns = places // 24, places % 24
    assert (rows.min(), rows.max()) == (6, 10)
    assert (columns.min(), columns.max()) == (9, 15)


def test_a_quarter_at_most_is_cut_out():
    share = (augment.random_cutout(torch.ones(300, 1, 16, 24), source()) == 0).float().mean(dim=(1, 2, 3))
    assert share.max() == 0.25
    assert share.min() >= 0.0625
