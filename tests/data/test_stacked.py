import torch

from dcgan.data import mnist, stacked
from dcgan.data.open import open_images


def test_three_digits_make_one_picture():
    pixels, labels = stacked.read_stacked("test", 0)
    digits, digit_labels = mnist.read_mnist("test")
    assert pixels.shape == (26_000, 3, 28, 28)
    for row in (0, 77):
        for channel, place_value in enumerate((100, 10, 1)):
            equal_rows = (digits == pixels[row, channel]).all(dim=(1, 2)).nonzero().ravel()
            assert digit_labels[equal_rows[0]] == labels[row] // place_value % 10


def test_the_seed_draws_the_digits_and_every_class_occurs():
    first, other = stacked.read_stacked("test", 0), stacked.read_stacked("test", 1)
    assert torch.equal(first[1], stacked.read_stacked("test", 0)[1])
    assert not torch.equal(first[1], other[1])
    assert len(first[1].unique()) == 1000


def test_it_opens_by_name():
    images = open_images("stacked-mnist", "test", seed=3)
    assert images.classes[7] == "007"
    assert images.content_key != open_images("stacked-mnist", "test", seed=4).content_key
