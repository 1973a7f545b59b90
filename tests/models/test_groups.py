from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan.images import to_float
from dcgan.models import groups
from dcgan.models.grouped_generator import vote_offsets
from tests.models.conftest import write_shades


def test_similar_pictures_become_a_group(tmp_path: Path):
    pixels = torch.from_numpy(np.load(write_shades(tmp_path / "shades.npz"))["arr_0"]).permute(0, 3, 1, 2)
    centers = groups.find_group_centers(pixels, 3, seed=0)
    assigned = groups.assign_groups(pixels, centers)
    assert sorted(assigned.bincount().tolist()) == [100, 200, 300]
    means = pixels.float().mean((1, 2, 3))
    assert all(means[assigned == k].std() < 5 for k in range(3))
    assert torch.equal(groups.find_group_centers(pixels, 3, seed=0), centers)


def test_equal_pictures_leave_groups_empty():
    pixels = torch.zeros(50, 1, 16, 16, dtype=torch.uint8)
    assigned = groups.assign_groups(pixels, groups.find_group_centers(pixels, 4, seed=0))
    assert assigned.bincount(minlength=4).tolist() == [50, 0, 0, 0]
    offsets = vote_offsets(assigned.bincount(minlength=4) / 50)
    assert offsets.isfinite().all()
    assert (torch.randn(1000, 4) + offsets).argmax(1).bincount(minlength=4)[0] > 980


def test_fewer_pictures_than_groups_leave_groups_empty():
    pixels = torch.tensor([0, 100, 200], dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 16, 16)
    assigned = groups.assign_groups(pixels, groups.find_group_centers(pixels, 5, seed=0))
    assert len(set(assigned.tolist())) == 3
    assert assigned.max() < 3


def test_large_pictures_are_processed_in_small_batches(monkeypatch: pytest.MonkeyPatch):
    batch_sizes = []
    monkeypatch.setattr(groups, "to_float", lambda pixels: (batch_sizes.append(len(pixels)), to_float(pixels))[1])
    pixels = torch.randint(0, 256, (50, 3, 256, 256), dtype=torch.uint8)
    groups.assign_groups(pixels, groups.find_group_centers(pixels, 2, seed=0))
    assert max(batch_sizes) * 3 * 256 * 256 * 4 <= 2**24


@pytest.mark.parametrize(
    ("image_count", "max_groups", "z_dim", "expected"),
    [
        (60_000, 128, 192, 128), (1_000, 32, 64, 10), (99, 32, 64, 1), (5, 32, 64, 1), (900, 4, 64, 4),
        (60_000, 32, 9, 6), (60_000, 32, 1, 0), (60_000, 0, 64, 0),
    ],
)  # fmt: skip
def test_few_pictures_or_a_short_z_get_few_groups(image_count: int, max_groups: int, z_dim: int, expected: int):
    assert groups.choose_group_count(image_count, max_groups, z_dim) == expected


def test_groups_of_classes_with_few_pictures():
    pixels = torch.randint(0, 256, (60, 1, 16, 16), dtype=torch.uint8)
    labels = torch.tensor([0] * 58 + [2] * 2)
    assigned = groups.assign_groups(pixels, groups.find_group_centers(pixels, 9, 0, labels, 3), labels, 3)
    assert torch.equal(assigned // 3, labels)
    assert [groups.choose_group_count(60_000, 128, 192, n) for n in (0, 10, 64, 65, 1000)] == [128, 120, 128, 0, 0]


def draw_bar(*, row: int = 4, column: int = 4, height: int, width: int, level: int = 255) -> torch.Tensor:
    """Return a picture with a bar, uint8 (1, 28, 28)."""
    picture = torch.zeros(1, 28, 28, dtype=torch.uint8)
    picture[:, row : row + height, column : column + width] = level
    return picture


def test_edges_tell_directions_apart_and_not_contrast_or_a_pixel_of_translation():
    upright, lying = draw_bar(height=20, width=4, column=12), draw_bar(height=4, width=20, row=12)
    moved, faint = draw_bar(height=20, width=4, column=13), draw_bar(height=20, width=4, column=12, level=170)
    edges = groups.describe_edges(torch.stack([upright, lying, moved, faint]))
    other, near, same = (float(distance) for distance in (edges[1:] - edges[0]).norm(dim=1))
    assert same < 0.25 * other
    assert near < 0.5 * other
    assert edges[:, : groups.EDGE_DIRECTIONS * groups.EDGE_CELLS**2].norm(dim=1) == pytest.approx([1.0] * 4)


def test_edges_of_flat_pictures_are_none_and_their_brightness_counts():
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8)[:, None, None, None].expand(3, 1, 16, 24)
    edges = groups.describe_edges(pixels)
    assert (edges[:, : groups.EDGE_DIRECTIONS * groups.EDGE_CELLS**2] == 0).all()
    assert edges.diff(dim=0).norm(dim=1).min() > 0.3


def test_edges_do_not_depend_on_the_batch():
    pixels = torch.randint(0, 256, (groups.EDGE_BATCH + 3, 1, 40, 20), dtype=torch.uint8)
    together = groups.describe_edges(pixels)
    assert torch.allclose(together[-1:], groups.describe_edges(pixels[-1:]), atol=1e-6)
