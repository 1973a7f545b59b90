"""The figures of the benchmark of folders that the package itself does not compute."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.folder_sets import split_pictures
from benchmarks.folders import FREQUENCIES, Trial, compare_power, protocol, train_trial
from tests.data.pictures import draw_shapes


def make_noise() -> torch.Tensor:
    return torch.randint(80, 170, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()


def add_waves(pixels: torch.Tensor, name: str) -> torch.Tensor:
    """Add a wave of the frequency with this name, 20 levels high."""
    y, x = (np.pi * share * torch.arange(32) for share in FREQUENCIES[name])
    return (pixels + 20 * torch.cos(y[:, None] + x[None])).round().to(torch.uint8)


def test_equal_pictures_have_the_power_of_each_other():
    assert set(compare_power(make_noise(), make_noise()).values()) == {1.0}


@pytest.mark.parametrize("name", FREQUENCIES)
def test_a_wave_is_seen_at_its_frequency_and_at_no_other(name: str):
    found = compare_power(add_waves(make_noise(), name), make_noise())
    assert found[name] > 3
    assert all(found[other] < 1.3 for other in FREQUENCIES if other != name)


def test_a_blur_lacks_high_frequencies():
    blurred = torch.nn.functional.avg_pool2d(make_noise().float(), 3, 1, 1).to(torch.uint8)
    assert compare_power(blurred, make_noise())["high"] < 0.5


def test_variants_of_a_picture_are_in_one_part():
    pictures = [Image.fromarray(image) for image in draw_shapes(100).permute(0, 2, 3, 1).numpy()]
    mirrored = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in pictures]
    train, test = split_pictures(pictures + mirrored)
    assert sorted(train + test) == list(range(200))
    assert 20 <= len(test) <= 40
    assert sum((row + 100) % 200 in train for row in test) <= 2


def test_no_trial_is_planned_twice():
    names = [trial.name for trial in protocol()]
    assert len(names) == len(set(names)) == 18 + 24 + 1


def test_a_set_without_its_test_part_is_not_trained_on(tmp_path: Path):
    (tmp_path / "noto64" / "train").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="has no test part"):
        train_trial(Trial("noto64", "fast", 10, 0), tmp_path, tmp_path / "out", "cpu")
    assert not (tmp_path / "out").exists()
