import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.data import decode
from dcgan.data.decode import ResizeOptions
from dcgan.data.resize import convert_channels, resize_images


def photo(channels: int, height: int, width: int) -> np.ndarray:
    """A smooth picture with edges, uint8 (H, W, C)."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(127 + 100 * np.sin((x + 3 * c) / 7) * np.cos(y / 9)) * (x + y > height / 2) for c in range(channels)]
    return np.stack(planes, -1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("size", "wanted"), [((60, 80), (20, 24)), ((20, 16), (33, 41)), ((28, 28), (28, 28))])
def test_arrays_are_resized_as_files_are(fit: str, channels: int, size: tuple, wanted: tuple):
    picture = photo(channels, *size)
    options = ResizeOptions(*wanted, channels, fit)
    ours = resize_images(picture.transpose(2, 0, 1)[None], options)[0].transpose(1, 2, 0)
    image = Image.fromarray(picture[..., 0] if channels == 1 else picture)
    theirs = decode._pixels(decode._fitted(image, options), channels)
    assert ours.shape == theirs.shape == (*wanted, channels)
    # Cropping starts at whole pixels here and between them there, and opacity is rounded at another moment.
    assert np.abs(ours.astype(int) - theirs).mean() < (6 if fit == "crop" or channels == 4 else 1.5)


@pytest.mark.parametrize("have", [1, 3, 4])
@pytest.mark.parametrize("want", [1, 3, 4])
def test_channels(have: int, want: int):
    picture = np.full((16, 16, have), 80, np.uint8)
    found = convert_channels(torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()), want)[0, :, 0, 0].tolist()
    image = Image.fromarray(picture[..., 0] if have == 1 else picture)
    expected = decode._pixels(image, want)[0, 0].tolist()
    assert np.abs(np.array(found) - expected).max() <= 1
