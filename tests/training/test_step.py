import pytest
import torch
from torch import Tensor, nn

from dcgan.models.blocks import ProjectionDiscriminator
from dcgan.presets import configure
from dcgan.rng import RandomPurpose
from dcgan.training import step
from dcgan.training.networks import CustomParts
from dcgan.training.set_up import set_up
from dcgan.training.step import Batch, next_batch, train_step, update_generator
from tests.conftest import SMALL


def test_the_generators_update_leaves_no_gradient_in_the_discriminator():
    state = set_up(configure("dcgan", **SMALL))
    train_step(state)
    before = [p.grad.clone() for p in state.discriminator.parameters()]
    batch = next_batch(state)
    fakes = state.generator(step._latents(state, batch, RandomPurpose.G_LATENTS))
    update_generator(state, batch, fakes.detach(), fakes, ())
    assert all(torch.equal(a, p.grad) for a, p in zip(before, state.discriminator.parameters(), strict=True))
    assert all(p.requires_grad for p in state.discriminator.parameters())


class RecordingDiscriminator(nn.Module):
    """A discriminator that scores an image by its mean and its condition, and records both."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        scores = self.weight * (images.mean((1, 2, 3)) + conditions / 10)[:, None]
        self.calls.append((images.detach(), conditions, scores.detach()))
        return scores


def test_a_share_of_ds_loss_comes_from_real_images_with_a_wrong_class():
    discriminator = RecordingDiscriminator()
    config = configure("dcgan", **SMALL, conditional=True, mismatch=0.25)
    state = set_up(config, CustomParts(discriminator=discriminator))
    discriminator.calls.clear()
    train_step(state)
    (_, fake_classes, fake_scores), (reals, classes, real_scores), (same_reals, wrong_classes, wrong_scores) = (
        discriminator.calls[:3]
    )
    assert torch.equal(fake_classes, classes)
    assert torch.equal(reals, same_reals)
    assert not (classes == wrong_classes).any()
    loss = state.objective.discriminator
    expected = 0.75 * loss(real_scores, fake_scores) + 0.25 * loss(real_scores, wrong_scores)
    assert state.sums.totals[0].item() == pytest.approx(expected.item())


def test_wrong_classes_are_scored_from_the_same_features(monkeypatch: pytest.MonkeyPatch):
    losses, passes = [], []
    for at_once in (True, False):
        monkeypatch.setattr(ProjectionDiscriminator, "scores_several_classes", at_once)
        state = set_up(configure("fast", **SMALL | {"groups": 20, "z_dim": 40}, conditional=True))
        calls = []
        state.discriminator.features.register_forward_hook(lambda *_, calls=calls: calls.append(None))
        train_step(state)
        losses.append(state.sums.totals[:2].tolist())
        passes.append(len(calls))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert passes == [3, 4]  # fakes, reals, once more reals with a wrong class, fakes for the generator


@pytest.mark.parametrize("change", [{"mismatch": 0.0}, {"mismatch": 0.0, "conditional": True}, {"mismatch": 0.9}])
def test_without_a_mismatch_or_without_classes_d_is_given_no_wrong_classes(change: dict[str, object]):
    calls = []
    state = set_up(configure("dcgan", **SMALL | change))
    state.discriminator.register_forward_hook(lambda _d, arguments, _scores: calls.append(arguments))
    train_step(state)
    assert len(calls) == 3  # fakes, reals, fakes for the generator


def test_a_wrong_class_is_any_other_class_and_any_group_of_it():
    state = set_up(configure("fast", **SMALL | {"groups": 20, "z_dim": 40, "g_norm": "batch"}, conditional=True))
    assert state.generator.groups == 20
    conditions = torch.arange(20).repeat(500)
    others = step._other_classes(state, Batch(state.fabric, len(conditions), slice(None), 1.0), conditions)
    pairs = set(zip(conditions.tolist(), others.tolist(), strict=True))
    assert pairs == {(a, b) for a in range(20) for b in range(20) if a // 2 != b // 2}


@pytest.mark.parametrize(("clip", "expected"), [(0.0, 1000.0), (2.0, 2.0), (1e9, 1000.0)])
def test_a_long_gradient_is_shortened_to_a_multiple_of_its_usual_norm(clip: float, expected: float):
    state = set_up(configure("dcgan", **SMALL, clip=clip))
    parameters, loss = list(state.generator.parameters()), torch.ones(())
    for length in (1.0, 1.0, 1000.0):
        for p in parameters:
            p.grad = torch.full_like(p, length / sum(p.numel() for p in parameters) ** 0.5)
        norm = step._step_if_finite(state, state.optimizer_g, loss, step.G_LOSS_FAULT)
    assert norm.item() == pytest.approx(1000, rel=1e-4)  # the log gets the norm before it was shortened
    shortened = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in parameters])).item()
    assert shortened == pytest.approx(expected, rel=1e-3)


def test_a_first_gradient_that_is_not_zero_is_not_shortened():
    state = set_up(configure("dcgan", **SMALL, clip=2.0))
    parameters = list(state.generator.parameters())
    for value in (0.0, 1.0):
        for p in parameters:
            p.grad = torch.full_like(p, value)
        step._step_if_finite(state, state.optimizer_g, torch.ones(()), step.G_LOSS_FAULT)
    assert all((p.grad == 1).all() for p in parameters)


def test_a_rare_penalty_weighs_as_many_times_more(monkeypatch: pytest.MonkeyPatch):
    seen: list[bool] = []

    def record(scores: Tensor, images: Tensor) -> Tensor:
        seen.append(images.requires_grad)
        return torch.tensor(1.0)

    monkeypatch.setattr(step.losses, "zero_centered_penalty", record)
    losses_by_step: list[list[float]] = []
    for settings in ({}, {"r1": 0.1, "penalty_every": 3}):
        state = set_up(configure("fast", **SMALL | {"d_norm": "none", "lr": 1e-12, **settings}))
        totals = []
        for _ in range(7):
            before = state.sums.totals[0].item()
            train_step(state)
            totals.append(state.sums.totals[0].item() - before)
        losses_by_step.append(totals)
    differences = [round(b - a, 3) for a, b in zip(*losses_by_step, strict=True)]
    assert differences == [0.3, 0, 0, 0.3, 0, 0, 0.3]
    assert seen == [True] * 3
