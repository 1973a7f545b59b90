import pytest
import torch

from dcgan.metrics import random_vgg
from dcgan.metrics.extractor import hash_weights
from dcgan.metrics.features import open_extractor
from dcgan.metrics.random_vgg import RandomVgg
from tests.metrics.helpers import mnist_test_pixels, random_pixels

FIRST_WEIGHTS = [-0.04486608, -0.3291149, -0.1835376]
"""Three weights as they were when this was written."""


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (4, 16, 20), (3, 100, 256)])
def test_random_features_accept_pictures_of_any_shape(shape: tuple[int, int, int]):
    features, scores = open_extractor("random").extract(random_pixels((5, *shape)))
    assert features.shape == (5, random_vgg.FEATURE_COUNT)
    assert features.isfinite().all()
    assert features.std(0).min() > 0
    assert scores is None


def test_random_features_are_the_same_everywhere():
    """The weights do not come from torch's generator."""
    torch.manual_seed(5)
    network = RandomVgg()
    assert open_extractor("random").weights_key == hash_weights(network)
    assert network.head.weight[0, :3].tolist() == pytest.approx(FIRST_WEIGHTS, rel=1e-6)


def test_gray_becomes_three_equal_channels_and_transparent_becomes_white():
    gray = random_pixels((4, 1, 16, 16))
    extractor = open_extractor("random")
    assert torch.equal(extractor.extract(gray)[0], extractor.extract(gray.expand(-1, 3, -1, -1))[0])
    transparent = torch.cat([random_pixels((4, 3, 16, 16)), torch.zeros(4, 1, 16, 16, dtype=torch.uint8)], 1)
    white = torch.full((4, 3, 16, 16), 255, dtype=torch.uint8)
    assert torch.equal(extractor.extract(transparent)[0], extractor.extract(white)[0])


def test_features_do_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch):
    expected = open_extractor("random").extract(mnist_test_pixels(40))[0]
    monkeypatch.setattr(random_vgg, "EXTRACTION_BATCH_SIZE", 7)
    actual = open_extractor("random").extract(mnist_test_pixels(40))[0]
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
