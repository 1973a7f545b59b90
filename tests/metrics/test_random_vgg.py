import pytest
import torch
import torch.nn.functional as F

from dcgan.data.resize import convert_channels
from dcgan.images import to_float
from dcgan.metrics import fidelity, random_vgg
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


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 16, 20), (4, 32, 9)])
def test_features_of_small_pictures_are_those_of_version_0_1_0(shape: tuple[int, int, int]):
    """To the bit: they are resized to 32x32, where the last map has one pixel."""
    network, pixels = RandomVgg().to(memory_format=torch.channels_last).eval(), random_pixels((6, *shape))
    images = to_float(convert_channels(pixels, 3))
    if shape[1:] != (32, 32):
        images = F.interpolate(images, (32, 32), mode="bilinear", antialias=True, align_corners=False)
    images = images.to(memory_format=torch.channels_last)
    for layer in network.convolutions:
        images = F.max_pool2d(images, 2) if isinstance(layer, torch.nn.MaxPool2d) else layer(images)
    with torch.no_grad():
        assert torch.equal(open_extractor("random").extract(pixels)[0], network.head(images.flatten(1)))


def make_smooth_pictures(n: int, shape: tuple[int, int, int], seed: int) -> torch.Tensor:
    """Draw smooth pictures with a little grain, float32 (n, C, H, W) from 40 to 215."""
    source = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    coarse = torch.randn(n, channels, max(2, height // 8), max(2, width // 8), generator=source)
    grain = 8 * torch.randn(n, *shape, generator=source)
    return (128 + 25 * F.interpolate(coarse, (height, width), mode="bicubic") + grain).clamp(40, 215)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 64, 64), (3, 48, 48), (3, 40, 100)])
def test_what_is_fine_is_seen_at_any_size(shape: tuple[int, int, int]):
    """The issue's checkerboard of 40 gray levels: made smaller, it became a plain gray, and the distance the floor."""
    extract = open_extractor("random").extract

    def distance(images: torch.Tensor) -> float:
        statistics = fidelity.gaussian_statistics(extract(images.round().to(torch.uint8))[0])
        return fidelity.frechet_distance(statistics, real)

    real_images, images = (make_smooth_pictures(300, shape, seed) for seed in (0, 1))
    real = fidelity.gaussian_statistics(extract(real_images.round().to(torch.uint8))[0])
    sign = (torch.arange(shape[1])[:, None] + torch.arange(shape[2])) % 2 * 2 - 1
    floor, checkerboard = distance(images), distance(images + 20 * sign)
    noise = 10 * torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    assert checkerboard > 100 * floor
    assert distance((images + noise).clamp(0, 255)) > 5 * floor
    assert distance(F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)) > 5 * floor
    assert extract(images[:3].to(torch.uint8))[0].shape == (3, 64)


def test_metrics_of_larger_pictures_have_another_name_and_cache_entry():
    extractor = open_extractor("random")
    assert [extractor.name_for((3, side, 32)) for side in (28, 32, 33)] == ["random", "random", "random (full size)"]
    assert open_extractor("judge").name_for((1, 28, 28)) == "judge"


def test_features_do_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch):
    expected = open_extractor("random").extract(mnist_test_pixels(40))[0]
    monkeypatch.setattr(random_vgg, "EXTRACTION_BATCH_SIZE", 7)
    actual = open_extractor("random").extract(mnist_test_pixels(40))[0]
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
