import pytest
import torch
from torch import Tensor, nn

from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training.networks import CustomParts
from dcgan.training.state import set_up
from dcgan.training.step import (
    Batch,
    _noise,
    _of_another_class,
    _step_if_finite,
    next_batch,
    train_step,
    update_generator,
)
from tests.conftest import SMALL


def test_the_generators_update_leaves_no_gradient_in_the_discriminator(finished_run: RunFolder):
    state = set_up(configure("dcgan", **SMALL))
    train_step(state)
    before = [p.grad.clone() for p in state.discriminator.parameters()]
    batch = next_batch(state)
    fake = state.generator(_noise(state, batch, 9))
    update_generator(state, batch, fake.detach(), fake, ())
    assert all(torch.equal(a, p.grad) for a, p in zip(before, state.discriminator.parameters(), strict=True))
    assert all(p.requires_grad for p in state.discriminator.parameters())


class Heard(nn.Module):
    """A discriminator that scores a picture by its own number and by what it is told, and remembers both."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.heard: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, images: Tensor, told: Tensor) -> Tensor:
        scores = self.weight * (images.mean((1, 2, 3)) + told / 10)[:, None]
        self.heard.append((images.detach(), told, scores.detach()))
        return scores


def test_a_share_of_ds_loss_is_on_real_pictures_told_another_class():
    d = Heard()
    state = set_up(configure("dcgan", **SMALL, conditional=True, mismatch=0.25), CustomParts(discriminator=d))
    d.heard.clear()
    train_step(state)
    (_, own, fake), (reals, theirs, real), (again, other, wrong) = d.heard[:3]
    assert torch.equal(own, theirs)
    assert torch.equal(reals, again)
    assert not (own == other).any()
    loss = state.objective.discriminator
    assert state.totals[0].item() == pytest.approx((0.75 * loss(real, fake) + 0.25 * loss(real, wrong)).item())


@pytest.mark.parametrize("change", [{"mismatch": 0.0}, {"mismatch": 0.0, "conditional": True}, {"mismatch": 0.9}])
def test_without_a_share_or_without_classes_d_hears_no_others(change: dict[str, object]):
    heard = []
    state = set_up(configure("dcgan", **SMALL | change))
    state.discriminator.register_forward_hook(lambda _d, given, _scores: heard.append(given))
    train_step(state)
    assert len(heard) == 3  # fakes, reals, fakes for the generator


def test_another_class_is_any_but_ones_own_and_any_group_of_it():
    state = set_up(configure("fast", **SMALL | {"groups": 20, "z_dim": 40, "g_norm": "batch"}, conditional=True))
    assert state.generator.groups == 20
    told = torch.arange(20).repeat(500)
    found = _of_another_class(state, Batch(len(told), slice(None), 1.0), told)
    pairs = set(zip(told.tolist(), found.tolist(), strict=True))
    assert pairs == {(a, b) for a in range(20) for b in range(20) if a // 2 != b // 2}


@pytest.mark.parametrize(("clip", "expected"), [(0.0, 1000.0), (2.0, 2.0), (1e9, 1000.0)])
def test_a_gradient_is_shortened_to_what_is_usual(clip: float, expected: float):
    state = set_up(configure("dcgan", **SMALL, clip=clip))
    parameters, loss = list(state.generator.parameters()), torch.ones(())
    for length in (1.0, 1.0, 1000.0):
        for p in parameters:
            p.grad = torch.full_like(p, length / sum(p.numel() for p in parameters) ** 0.5)
        norm = _step_if_finite(state, state.optimizer_g, loss, 3)
    assert norm.item() == pytest.approx(1000, rel=1e-4)  # the log shows what it was
    length = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in parameters])).item()
    assert length == pytest.approx(expected, rel=1e-3)


def test_a_first_gradient_is_not_shortened_whatever_came_before_it():
    state = set_up(configure("dcgan", **SMALL, clip=2.0))
    parameters = list(state.generator.parameters())
    for length in (0.0, 1.0):
        for p in parameters:
            p.grad = torch.full_like(p, length)
        _step_if_finite(state, state.optimizer_g, torch.ones(()), 3)
    assert all((p.grad == 1).all() for p in parameters)
