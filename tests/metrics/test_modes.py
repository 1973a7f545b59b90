import numpy as np
import pytest
import torch

from dcgan.data.open import open_images
from dcgan.metrics import modes
from dcgan.metrics.judge import training


def test_class_shares_and_their_entropy_equal_their_formulae():
    shares = modes.class_shares(torch.tensor([0, 0, 2, 3]), 5)
    assert shares == [0.5, 0, 0.25, 0.25, 0]
    p = np.array([0.5, 0.25, 0.25])
    assert modes.entropy(shares) == pytest.approx(-(p * np.log(p)).sum(), abs=1e-12)
    assert modes.kl_to_uniform(shares) == pytest.approx((p * np.log(p * 5)).sum(), abs=1e-12)


def test_the_limits_of_entropy():
    assert modes.entropy([0.1] * 10) == pytest.approx(np.log(10))
    assert modes.kl_to_uniform([0.1] * 10) == pytest.approx(0, abs=1e-12)
    assert modes.entropy([1.0] + [0.0] * 9) == 0


def test_label_agreement():
    assert modes.label_agreement(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 0, 4])) == 0.75


def test_three_digits_are_one_mode():
    scores = torch.full((2, 30), -1.0)
    for row, digits in enumerate([(7, 0, 9), (0, 1, 2)]):
        for channel, digit in enumerate(digits):
            scores[row, 10 * channel + digit] = 1
    drawn_modes = modes.stacked_modes(scores)
    assert drawn_modes.tolist() == [709, 12]
    assert modes.count_modes(drawn_modes) == 2


def test_the_bias_of_the_estimator_is_that_of_uniform_draws():
    source = torch.Generator().manual_seed(0)
    values = [
        modes.kl_to_uniform(modes.class_shares(torch.randint(1000, (26_000,), generator=source), 1000))
        for _ in range(20)
    ]
    assert np.mean(values) == pytest.approx(modes.kl_bias(26_000), rel=0.03)  # 0.0192


@pytest.mark.slow
def test_a_judge_that_is_trained_on_samples_is_tested_on_real_pictures(monkeypatch: pytest.MonkeyPatch):
    """Here the samples are real digits."""
    monkeypatch.setattr(training, "MIN_BATCHES", 40)
    monkeypatch.setattr(modes, "MIN_JUDGE_BATCHES", 1)
    train, test = open_images("mnist"), open_images("mnist", "test")
    accuracy = modes.train_on_fakes(train.pixels[:1000], train.labels[:1000], test.pixels[:300], test.labels[:300], 10)
    assert accuracy > 0.8
