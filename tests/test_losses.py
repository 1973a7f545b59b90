import math

import pytest
import torch

from dcgan.losses import OBJECTIVES, bce_discriminator, non_saturating_generator


@pytest.fixture
def scores() -> torch.Tensor:
    return torch.randn(6, 2, generator=torch.Generator().manual_seed(0)).double()


def test_the_discriminators_loss_is_the_studys_formula(scores: torch.Tensor):
    real, fake = scores[:, :1], scores[:, 1:]
    by_hand = -(torch.log(real.sigmoid()).mean() + torch.log(1 - fake.sigmoid()).mean()) / 2
    assert bce_discriminator(real, fake).item() == pytest.approx(by_hand.item(), abs=1e-12)


def test_the_generators_loss_is_minus_log_d(scores: torch.Tensor):
    by_hand = -torch.log(scores.sigmoid()).mean()
    assert non_saturating_generator(scores).item() == pytest.approx(by_hand.item(), abs=1e-12)


def test_a_discriminator_that_cannot_tell_loses_ln_2():
    zero = torch.zeros(4, 1)
    assert bce_discriminator(zero, zero).item() == pytest.approx(math.log(2))
    assert non_saturating_generator(zero).item() == pytest.approx(math.log(2))


def test_the_generators_gradient_does_not_vanish_while_d_wins():
    fake = torch.tensor([[-20.0]], requires_grad=True)
    non_saturating_generator(fake).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1, abs=1e-6)


def test_scores_are_shown_as_probabilities():
    assert OBJECTIVES["non-saturating"].shown(torch.zeros(1)).item() == 0.5


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_touch_nothing(name: str, scores: torch.Tensor):
    before = scores.clone()
    scores.requires_grad_(True)
    OBJECTIVES[name].discriminator(scores[:, :1], scores[:, 1:])
    paired = [scores[:, :1]] if OBJECTIVES[name].is_paired else []
    OBJECTIVES[name].generator(scores[:, 1:], *paired)
    assert torch.equal(scores, before)
    assert scores.grad is None
