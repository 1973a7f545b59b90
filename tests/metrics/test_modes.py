import numpy as np
import pytest
import torch

from dcgan.data.open import open_images
from dcgan.metrics import judge as judges
from dcgan.metrics import modes
from dcgan.metrics.memorization import nearest_neighbours, train_distance_ratio


def test_shares_and_their_entropy_are_their_formulae():
    drawn = torch.tensor([0, 0, 2, 3])
    shares = modes.class_shares(drawn, 5)
    assert shares == [0.5, 0, 0.25, 0.25, 0]
    p = np.array([0.5, 0.25, 0.25])
    assert modes.entropy(shares) == pytest.approx(-(p * np.log(p)).sum(), abs=1e-12)
    assert modes.kl_to_uniform(shares) == pytest.approx((p * np.log(p * 5)).sum(), abs=1e-12)


def test_the_ends_of_entropy():
    assert modes.entropy([0.1] * 10) == pytest.approx(np.log(10))
    assert modes.kl_to_uniform([0.1] * 10) == pytest.approx(0, abs=1e-12)
    assert modes.entropy([1.0] + [0.0] * 9) == 0


def test_agreement():
    assert modes.label_agreement(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 0, 4])) == 0.75


def test_three_digits_are_one_mode():
    scores = torch.full((2, 30), -1.0)
    for row, digits in enumerate([(7, 0, 9), (0, 1, 2)]):
        for channel, digit in enumerate(digits):
            scores[row, 10 * channel + digit] = 1
    found = modes.stacked_modes(scores)
    assert found.tolist() == [709, 12]
    assert modes.modes_covered(found) == 2


def test_the_estimators_bias_is_what_uniform_draws_show():
    source = torch.Generator().manual_seed(0)
    values = [
        modes.kl_to_uniform(modes.class_shares(torch.randint(1000, (26_000,), generator=source), 1000))
        for _ in range(20)
    ]
    assert np.mean(values) == pytest.approx(modes.kl_bias(26_000), rel=0.03)  # 0.0192


def test_nearest_is_its_formula(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(modes, "DISTANCE_ROWS", 7)
    source = np.random.default_rng(0)
    a, b = source.normal(size=(30, 5)), source.normal(size=(40, 5))
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    distance, place = nearest_neighbours(torch.from_numpy(a), torch.from_numpy(b))
    assert distance.numpy() == pytest.approx(apart.min(1), abs=1e-6)
    assert place.tolist() == apart.argmin(1).tolist()


def test_memorisation_is_seen_and_learning_is_not_taken_for_it():
    source = torch.Generator().manual_seed(0)
    train, held_out, learnt, copied = (torch.randn(500, 8, generator=source) for _ in range(4))
    copied = train[:300] + 0.01 * copied[:300]
    assert train_distance_ratio(learnt, train, held_out) == pytest.approx(1, abs=0.05)
    assert train_distance_ratio(copied, train, held_out) < 0.05
    # half of them copied
    assert 0.3 < train_distance_ratio(torch.cat([copied, learnt[:300]]), train, held_out) < 0.7


def test_the_memorisation_ratio_is_not_moved_by_the_sizes_of_the_two_sets():
    source = torch.Generator().manual_seed(0)
    train, held_out, learnt = (torch.randn(n, 8, generator=source) for n in (2000, 200, 300))
    assert train_distance_ratio(learnt, train, held_out) == train_distance_ratio(learnt, train[:200], held_out)


def test_a_classifier_that_learnt_from_samples_is_tried_on_real_pictures(monkeypatch: pytest.MonkeyPatch):
    """Here the samples are real digits."""
    monkeypatch.setattr(judges, "LEAST_BATCHES", 40)
    monkeypatch.setattr(modes, "JUDGE_BATCHES", 1)
    digits, test = open_images("mnist"), open_images("mnist", "test")
    few, answers = test.pixels[:300], test.labels[:300]
    assert modes.train_on_fakes(digits.pixels[:1000], digits.labels[:1000], few, answers, 10) > 0.8
