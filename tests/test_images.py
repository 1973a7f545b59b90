from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.images import grid, save_png, to_float, to_uint8


def test_every_byte_comes_back():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images = to_float(pixels)
    assert images.min() == -1
    assert images.max() == 1
    assert (to_uint8(images)[0, :, :, 0] == pixels[0, 0].numpy()).all()


def test_values_outside_the_range_are_clipped():
    assert to_uint8(torch.tensor([[[[-9.0, 9.0]]]])).tolist() == [[[[0], [255]]]]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_keeps_every_picture(channels: int):
    pictures = np.random.default_rng(0).integers(1, 256, (5, 4, 6, channels), dtype=np.uint8)
    sheet = grid(pictures, columns=3, gap=2)
    assert sheet.shape == (2 + 2 * 6, 2 + 3 * 8, channels)
    assert (sheet[2:6, 2:8] == pictures[0]).all()
    assert (sheet[8:12, 10:16] == pictures[4]).all()
    assert (sheet[8:12, 18:] == 0).all()


def test_a_grid_is_as_square_as_it_can_be():
    assert grid(np.zeros((64, 28, 28, 1), np.uint8)).shape == (242, 242, 1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_png_holds_the_pixels(tmp_path: Path, channels: int, mode: str):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    save_png(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        assert (np.asarray(image).reshape(picture.shape) == picture).all()
