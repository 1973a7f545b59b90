"""Small sets of pictures for the tests of the metrics."""

import torch

from dcgan.data.open import open_images


def mnist_test_pixels(n: int = 600) -> torch.Tensor:
    return open_images("mnist", "test").pixels[:n]


def random_pixels(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def make_stripes(n: int, shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes that a classifier learns quickly: a bright upper or a bright lower half, with noise."""
    source = torch.Generator().manual_seed(0)
    pixels, labels = torch.randint(100, (n, *shape), generator=source), torch.arange(n) % 2
    half = shape[1] // 2
    pixels[labels == 0, :, :half] += 100
    pixels[labels == 1, :, half:] += 100
    return pixels.to(torch.uint8), labels


JUDGE_ORIGIN = {"data": "d", "accuracy": 1.0, "train_pictures": 2, "test_pictures": 1, "seed": 0, "command": "c"}
"""What `save_judge` needs to know about a judge."""
