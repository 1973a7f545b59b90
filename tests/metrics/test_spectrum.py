import pytest
import torch
from torch import Tensor

from dcgan.metrics.spectrum import MAX_GAIN, Equalizer, MeanSpectrum


def noise(count: int, deviation: float, seed: int, channels: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    values = 128 + deviation * torch.randn(count, channels, 12, 20, generator=random)
    return values.round().clamp(0, 255).to(torch.uint8)


def watched(*batches: Tensor) -> MeanSpectrum:
    spectrum = MeanSpectrum()
    assert [len(batch) for batch in spectrum.watch(batches)] == [len(batch) for batch in batches]
    return spectrum


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_other_pictures_get_the_contrast_of_those_that_passed(channels: int):
    spectrum = watched(noise(300, 10, 0, channels), noise(150, 10, 1, channels))
    pictures = noise(400, 40, 2, channels)
    equalize = Equalizer.between(pictures, spectrum)
    assert equalize.gains.mean() == pytest.approx(0.25, abs=0.01)
    altered = equalize(pictures)
    assert altered.dtype == torch.uint8
    assert altered.float().std((2, 3)).mean() == pytest.approx(10, rel=0.05)


def test_the_brightness_and_its_spread_become_those_of_the_others():
    random = torch.Generator().manual_seed(0)
    levels = (torch.rand(300, 3, 1, 1, generator=random) * 200).round().expand(-1, -1, 12, 20)
    narrow, wide = (100 + levels / 10).to(torch.uint8), levels.to(torch.uint8)
    altered = Equalizer.between(wide, watched(narrow))(wide).float()
    assert (altered.mean((0, 2, 3)) - narrow.float().mean((0, 2, 3))).abs().max() < 0.5
    assert altered.mean((2, 3)).std(0).mean() == pytest.approx(
        float(narrow.float().mean((2, 3)).std(0).mean()), rel=0.05
    )


def test_each_frequency_has_a_factor_of_its_own():
    smooth = torch.nn.functional.avg_pool2d(noise(400, 60, 0).float(), (1, 3), 1, (0, 1)).to(torch.uint8)
    gains = Equalizer.between(noise(400, 30, 1), watched(smooth)).gains
    assert gains[1:, 1:4].mean() > 1.5  # along the columns nothing was averaged
    assert gains[1:, 12:14].mean() < 0.3
    assert gains.max() <= MAX_GAIN


def test_equal_pictures_are_not_altered():
    pictures = noise(300, 40, 0)
    assert torch.equal(Equalizer.between(pictures, watched(pictures))(pictures), pictures)


def test_pictures_without_a_frequency_are_not_filled_with_noise():
    flat = torch.full((5, 3, 12, 20), 77, dtype=torch.uint8)
    altered = Equalizer.between(flat, watched(noise(50, 40, 0, 3)))(flat)
    assert altered.amax((0, 2, 3)).equal(altered.amin((0, 2, 3)))
