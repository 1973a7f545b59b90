import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.images import composite_on_white, make_grid, save_png, to_float, to_uint8


def test_every_byte_survives_the_way_to_float_and_back():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images = to_float(pixels)
    assert images.min() == -1
    assert images.max() == 1
    assert (to_uint8(images)[0, :, :, 0] == pixels[0, 0].numpy()).all()


def test_values_outside_the_range_are_clipped():
    assert to_uint8(torch.tensor([[[[-9.0, 9.0]]]])).tolist() == [[[[0], [255]]]]


def test_every_color_of_every_opacity_on_white_is_pillows():
    color, alpha = np.mgrid[0:256, 0:256].astype(np.uint8)
    image = Image.fromarray(np.stack([color, color, color, alpha], -1))
    expected = np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image))[..., 0]
    assert (composite_on_white(color, alpha).round() == expected).all()
    tensor, alpha_tensor = torch.from_numpy(color), torch.from_numpy(alpha)
    assert (composite_on_white(tensor, alpha_tensor).round().numpy() == expected).all()
    assert (composite_on_white(tensor.float(), alpha_tensor.float()).round().numpy() == expected).all()


def test_one_opacity_is_used_for_all_colors():
    images = torch.tensor([0.0, 100.0, 200.0, 51.0]).view(1, 4, 1, 1)
    on_white = composite_on_white(images[:, :3], images[:, 3:])
    assert on_white.flatten().tolist() == pytest.approx([204, 224, 244])


def test_images_can_be_used_without_torch():
    code = "import sys, dcgan.images; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_every_picture(channels: int):
    pictures = np.random.default_rng(0).integers(1, 256, (5, 4, 6, channels), dtype=np.uint8)
    grid = make_grid(pictures, columns=3, gap=2)
    assert grid.shape == (2 + 2 * 6, 2 + 3 * 8, channels)
    assert (grid[2:6, 2:8] == pictures[0]).all()
    assert (grid[8:12, 10:16] == pictures[4]).all()
    assert (grid[8:12, 18:] == 0).all()


def test_a_grid_is_as_square_as_possible():
    assert make_grid(np.zeros((64, 28, 28, 1), np.uint8)).shape == (242, 242, 1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_png_holds_the_pixels(tmp_path: Path, channels: int, mode: str):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    save_png(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        assert (np.asarray(image).reshape(picture.shape) == picture).all()


def test_a_grid_with_rows_fills_columns():
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    assert make_grid(pixels, gap=0, rows=2)[..., 0].tolist() == [[0, 2, 4], [1, 3, 0]]
    assert make_grid(pixels, gap=0, columns=3)[..., 0].tolist() == [[0, 1, 2], [3, 4, 0]]
