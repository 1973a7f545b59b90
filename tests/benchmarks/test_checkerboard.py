import pytest
import torch
from torch import Tensor

from benchmarks.checkerboard import measure_checkerboard


def draw_strokes(roughness: float) -> Tensor:
    """Return gray pictures of strokes at random places, whose pixels differ at random by `roughness`."""
    random = torch.Generator().manual_seed(0)
    images = torch.zeros(400, 1, 28, 28)
    for image in images:
        row, column = torch.randint(2, 20, (2,), generator=random).tolist()
        image[0, row : row + 3, 3:25] = image[0, 3:25, column : column + 3] = 160
    noise = torch.randn(images.shape, generator=random) * roughness
    return torch.where(images > 0, images + noise, images)


def checker(images: Tensor, height: float) -> Tensor:
    """Return the pictures with a checkerboard where they are not black."""
    parity = (torch.arange(28)[:, None] + torch.arange(28)) % 2
    return images + height * (2 * parity - 1) * (images > 0)


@pytest.mark.parametrize(("height", "roughness"), [(0.0, 40.0), (40.0, 0.0), (20.0, 40.0)])
def test_a_checkerboard_has_a_fixed_place_and_roughness_has_none(height: float, roughness: float):
    pixels = checker(draw_strokes(roughness), height).clamp(0, 255).to(torch.uint8)
    measured = measure_checkerboard(pixels)
    assert (measured["fixed"] > 0.3) == (height > 0)


def test_a_pattern_is_in_flat_areas_and_has_a_fixed_place():
    images = torch.full((50, 1, 28, 28), 100.0)
    images[:, :, ::2, ::2] += 20
    pattern = measure_checkerboard(images.to(torch.uint8))
    assert pattern["flat"] == 1
    assert pattern["fixed"] > 0.99
    assert pattern["uneven"] == pytest.approx(1)


def test_roughness_that_is_stronger_in_even_rows_and_columns_is_uneven():
    random = torch.Generator().manual_seed(0)
    noise = 20 * torch.randn(200, 1, 28, 28, generator=random)
    everywhere = measure_checkerboard((100 + noise).to(torch.uint8))
    assert everywhere["uneven"] < 1.1
    assert everywhere["fixed"] < 0.1
    is_even = torch.arange(28) % 2 == 0
    in_some_places = measure_checkerboard((100 + noise * (is_even[:, None] & is_even)).to(torch.uint8))
    assert in_some_places["uneven"] > 3
