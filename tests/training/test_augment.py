import pytest
import torch

from dcgan.errors import UserError
from dcgan.rng import RandomSource
from dcgan.training import augment


def random_source(seed: int = 0) -> RandomSource:
    return RandomSource(torch.Generator().manual_seed(seed))


def random_images(n: int = 6, channels: int = 3, height: int = 20, width: int = 28) -> torch.Tensor:
    return random_source(9).uniform(n, channels, height, width) * 2 - 1


def test_a_flip_mirrors_about_half_of_the_images():
    images = random_images(400, 1, 16, 16)
    flipped = augment.random_flip(images, random_source())
    is_unchanged = (flipped == images).all(dim=(1, 2, 3))
    is_mirrored = (flipped == images.flip(3)).all(dim=(1, 2, 3))
    assert (is_unchanged ^ is_mirrored).all()
    assert 150 < is_mirrored.sum() < 250


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("function", [augment.random_flip, augment.diffaugment])
def test_the_random_source_decides_and_images_differ(function, channels: int):
    images = random_images(1, channels).expand(8, -1, -1, -1)
    first, repeated, other = (function(images, random_source(seed)) for seed in (0, 0, 1))
    assert first.shape == images.shape
    assert torch.equal(first, repeated)
    assert not torch.equal(first, other)
    assert len(first.flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize(
    "function", [augment.random_flip, augment.random_color, augment.random_translation, augment.random_cutout]
)
def test_gradients_equal_finite_differences(function):
    images = random_images(2, 3, 6, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(x, random_source()), images)


def test_colors_change_as_in_the_paper():
    images = random_images(500, 3, 8, 8)
    augmented = augment.random_color(images, random_source())
    shift = (augmented - images).mean(dim=(1, 2, 3))
    assert -0.5 <= shift.min() < -0.45
    assert 0.45 < shift.max() <= 0.5
    gray = random_images(5, 1)
    contrast = augment.random_color(gray, random_source()).std(dim=(1, 2, 3)) / gray.std(dim=(1, 2, 3))
    assert ((contrast >= 0.5) & (contrast <= 1.5)).all()


def test_opacity_does_not_change():
    images = random_images(5, 4)
    assert torch.equal(augment.random_color(images, random_source())[:, 3], images[:, 3])


def test_an_image_is_translated_by_at_most_an_eighth_of_its_side():
    images = torch.zeros(300, 1, 16, 24)
    images[:, :, 8, 12] = 1
    positions = augment.random_translation(images, random_source()).flatten(1).argmax(1)
    rows, columns = positions // 24, positions % 24
    assert (rows.min(), rows.max()) == (6, 10)
    assert (columns.min(), columns.max()) == (9, 15)


def test_at_most_a_quarter_of_an_image_is_cut_out():
    share = (augment.random_cutout(torch.ones(300, 1, 16, 24), random_source()) == 0).float().mean(dim=(1, 2, 3))
    assert share.max() == 0.25
    assert share.min() >= 0.0625


def test_only_real_images_are_flipped():
    images = random_images(40, 1, 16, 16)
    for only_reals, expected in ((True, augment.random_flip), (False, augment.diffaugment)):
        result = augment.apply_augmentations("flip+diffaugment", images, random_source(), only_reals=only_reals)
        assert torch.equal(result, expected(images, random_source()))


@pytest.mark.parametrize("setting", ["none", "auto"])
def test_without_an_augmentation_images_stay_as_they_are(setting: str):
    images = random_images()
    for only_reals in (True, False):
        assert augment.apply_augmentations(setting, images, random_source(), only_reals=only_reals) is images


@pytest.mark.parametrize("setting", ["flop", "flip+difaugment", "flip+", "", "none+flip"])
def test_an_unknown_augmentation_is_refused(setting: str):
    with pytest.raises(UserError, match=r"--augment must be one of none, auto, flip, diffaugment, or several"):
        augment.find_augmentations(setting)
