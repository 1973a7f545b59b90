import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.data import decode
from dcgan.data.decode import ResizeOptions
from dcgan.data.resize import convert_channels, resize_images
from dcgan.images import to_pillow


def smooth_picture(channels: int, height: int, width: int) -> np.ndarray:
    """Return a smooth picture with edges, uint8 (H, W, C)."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(127 + 100 * np.sin((x + 3 * c) / 7) * np.cos(y / 9)) * (x + y > height / 2) for c in range(channels)]
    return np.stack(planes, -1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("size", "new_size"), [((60, 80), (20, 24)), ((20, 16), (33, 41)), ((28, 28), (28, 28))])
def test_arrays_are_resized_as_files_are(fit: str, channels: int, size: tuple, new_size: tuple):
    picture = smooth_picture(channels, *size)
    options = ResizeOptions(*new_size, channels, fit)
    from_array = resize_images(picture.transpose(2, 0, 1)[None], options)[0].transpose(1, 2, 0)
    from_file = decode._to_pixels(decode._resize_to_fit(to_pillow(picture), options), channels)
    assert from_array.shape == from_file.shape == (*new_size, channels)
    # An array is cropped at whole pixels and a file between them, and opacity is rounded at another moment.
    assert np.abs(from_array.astype(int) - from_file).mean() < (6 if fit == "crop" or channels == 4 else 1.5)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("new_channels", [1, 3, 4])
def test_channels_are_converted_as_those_of_files_are(channels: int, new_channels: int):
    picture = np.full((16, 16, channels), 80, np.uint8)
    images = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())
    converted = convert_channels(images, new_channels)[0, :, 0, 0].tolist()
    expected = decode._to_pixels(to_pillow(picture), new_channels)[0, 0].tolist()
    assert np.abs(np.array(converted) - expected).max() <= 1


def test_every_color_of_every_opacity_on_white_is_that_of_a_file():
    color, alpha = np.mgrid[0:256, 0:256].astype(np.uint8)
    picture = np.stack([color, color[::-1], color.T, alpha], -1)
    converted = convert_channels(torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()), 3)
    assert (converted[0].permute(1, 2, 0).numpy() == decode._to_pixels(Image.fromarray(picture), 3)).all()
