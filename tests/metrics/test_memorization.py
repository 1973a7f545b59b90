import numpy as np
import pytest
import torch

from dcgan.metrics import memorization
from dcgan.metrics.memorization import nearest_neighbors, train_distance_ratio


def test_nearest_neighbors_equal_their_formula(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memorization, "DISTANCE_ROWS", 7)
    source = np.random.default_rng(0)
    a, b = source.normal(size=(30, 5)), source.normal(size=(40, 5))
    expected = np.linalg.norm(a[:, None] - b[None], axis=2)
    distances, indices = nearest_neighbors(torch.from_numpy(a), torch.from_numpy(b))
    assert distances.numpy() == pytest.approx(expected.min(1), abs=1e-6)
    assert indices.tolist() == expected.argmin(1).tolist()


def test_memorization_is_recognized_and_learning_is_not_mistaken_for_it():
    source = torch.Generator().manual_seed(0)
    train, held_out, learned, copied = (torch.randn(500, 8, generator=source) for _ in range(4))
    copied = train[:300] + 0.01 * copied[:300]
    assert train_distance_ratio(learned, train, held_out) == pytest.approx(1, abs=0.05)
    assert train_distance_ratio(copied, train, held_out) < 0.05
    half_copied = torch.cat([copied, learned[:300]])
    assert 0.3 < train_distance_ratio(half_copied, train, held_out) < 0.7


def test_the_ratio_does_not_depend_on_the_sizes_of_the_two_sets():
    source = torch.Generator().manual_seed(0)
    train, held_out, learned = (torch.randn(n, 8, generator=source) for n in (2000, 200, 300))
    assert train_distance_ratio(learned, train, held_out) == train_distance_ratio(learned, train[:200], held_out)
