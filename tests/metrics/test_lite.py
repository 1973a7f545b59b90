import pytest
import torch

from dcgan.metrics import lite
from dcgan.metrics.features import open_extractor
from tests.metrics.helpers import random_pixels


@pytest.mark.parametrize("name", ["lite0", "lite2"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (4, 16, 20), (3, 100, 256)])
def test_lite_features_accept_pictures_of_any_shape(name: str, shape: tuple[int, int, int]):
    extractor = open_extractor(name)
    features, scores = extractor.extract(random_pixels((3, *shape)))
    assert features.shape == (3, extractor.feature_count)
    assert features.isfinite().all()
    assert scores is None
    assert extractor.notices[0].startswith(f"{name}: EfficientNet-Lite")


@pytest.mark.parametrize(
    ("size", "expected"), [((28, 28), (64, 64)), ((64, 32), (64, 32)), ((100, 90), (100, 90)), ((1, 448), (1, 224))]
)
def test_small_pictures_are_enlarged_and_large_ones_made_smaller(size: tuple[int, int], expected: tuple[int, int]):
    assert lite.input_size(*size) == expected


def test_lite_features_do_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch):
    pixels = random_pixels((7, 3, 64, 64))
    expected = open_extractor("lite0").extract(pixels)[0]
    monkeypatch.setattr(lite, "EXTRACTION_BATCH_PIXELS", 2 * 64 * 64)
    torch.testing.assert_close(open_extractor("lite0").extract(pixels)[0], expected, rtol=1e-3, atol=1e-4)
