import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from dcgan import UserError
from dcgan.training import losses
from dcgan.training.losses import OBJECTIVES, bce_discriminator, minimax_generator, non_saturating_generator

ADVERSARIAL_OBJECTIVES = [name for name, objective in OBJECTIVES.items() if objective.has_discriminator]


@pytest.fixture
def scores() -> torch.Tensor:
    return torch.randn(6, 2, generator=torch.Generator().manual_seed(0)).double()


def test_the_discriminators_loss_is_the_studys_formula(scores: torch.Tensor):
    real, fake = scores[:, :1], scores[:, 1:]
    expected = -(torch.log(real.sigmoid()).mean() + torch.log(1 - fake.sigmoid()).mean()) / 2
    assert bce_discriminator(real, fake).item() == pytest.approx(expected.item(), abs=1e-12)


def test_the_generators_loss_is_minus_log_d(scores: torch.Tensor):
    expected = -torch.log(scores.sigmoid()).mean()
    assert non_saturating_generator(scores).item() == pytest.approx(expected.item(), abs=1e-12)


def test_the_loss_of_a_discriminator_that_guesses_is_ln_2():
    zero = torch.zeros(4, 1)
    assert bce_discriminator(zero, zero).item() == pytest.approx(math.log(2))
    assert non_saturating_generator(zero).item() == pytest.approx(math.log(2))


def test_the_generators_gradient_does_not_vanish_while_d_wins():
    fake = torch.tensor([[-20.0]], requires_grad=True)
    non_saturating_generator(fake).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1, abs=1e-6)


def test_logits_are_shown_as_probabilities_and_other_scores_as_they_are():
    assert OBJECTIVES["non-saturating"].readable_scores(torch.zeros(1)).item() == 0.5
    assert OBJECTIVES["relativistic"].readable_scores(torch.full((1,), 3.0)).item() == 3
    assert OBJECTIVES["hinge"].readable_scores(torch.full((1,), 3.0)).item() == 3


@pytest.mark.parametrize("name", ADVERSARIAL_OBJECTIVES)
def test_losses_change_nothing(name: str, scores: torch.Tensor):
    before = scores.clone()
    scores.requires_grad_(True)
    OBJECTIVES[name].discriminator(scores[:, :1], scores[:, 1:])
    paired = [scores[:, :1]] if OBJECTIVES[name].is_paired else []
    OBJECTIVES[name].generator(scores[:, 1:], *paired)
    assert torch.equal(scores, before)
    assert scores.grad is None


def sigmoid(scores: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-scores))


def test_minimax_is_the_documents_formula(scores: Tensor):
    expected = torch.log(1 - sigmoid(scores)).mean()
    assert minimax_generator(scores).item() == pytest.approx(expected.item(), abs=1e-12)


@pytest.mark.parametrize("score", [-20.0, -10.0, -5.0, 0.0, 3.0])
def test_while_d_wins_the_minimax_gradient_vanishes_and_the_other_does_not(score: float):
    """The document: D(G(z)) is near 0 at first, so descend on -log D(G(z)), which "has the larger value"."""
    gradients = []
    for loss in (minimax_generator, non_saturating_generator):
        fake = torch.tensor([[score]], dtype=torch.float64, requires_grad=True)
        loss(fake).backward()
        gradients.append(fake.grad.item())
    d = 1 / (1 + math.exp(-score))
    assert gradients == pytest.approx([-d, d - 1], abs=1e-12)  # the closed forms: -D and -(1 - D)
    assert (abs(gradients[1]) > abs(gradients[0])) == (d < 0.5)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("least-squares", lambda r, f: ((r - 1) ** 2 + f**2).mean() / 2, lambda r, f: ((f - 1) ** 2).mean() / 2),
        ("hinge", lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(), lambda r, f: -f.mean()),
        ("wasserstein", lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
        (
            "relativistic",
            lambda r, f: torch.log(1 + torch.exp(f - r)).mean(),
            lambda r, f: torch.log(1 + torch.exp(r - f)).mean(),
        ),
    ],
)  # fmt: skip
def test_the_other_objectives_are_their_papers_formulae(name: str, discriminator, generator, scores: Tensor):
    real, fake = scores[:, :1], scores[:, 1:]
    objective = OBJECTIVES[name]
    paired = [real] if objective.is_paired else []
    assert objective.discriminator(real, fake).item() == pytest.approx(discriminator(real, fake).item(), abs=1e-12)
    assert objective.generator(fake, *paired).item() == pytest.approx(generator(real, fake).item(), abs=1e-12)


@pytest.mark.parametrize("name", ADVERSARIAL_OBJECTIVES)
def test_large_scores_have_finite_losses(name: str):
    huge = torch.tensor([[1e4], [-1e4]])
    paired = [huge.flip(0)] if OBJECTIVES[name].is_paired else []
    assert OBJECTIVES[name].discriminator(huge, huge.flip(0)).isfinite()
    assert OBJECTIVES[name].generator(huge, *paired).isfinite()


def test_the_optimal_discriminator_is_p_over_p_plus_q():
    """Goodfellow et al. 2014, proposition 1, on four outcomes: a free logit for each, found by descent."""
    p, q = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 1, 3, 1])
    real, fake = (torch.repeat_interleave(torch.arange(4), counts) for counts in (p, q))
    logits = torch.zeros(4, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=500, tolerance_grad=1e-12, tolerance_change=0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = bce_discriminator(logits[real], logits[fake])
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.allclose(logits.sigmoid().flatten(), (p / (p + q)).double(), atol=1e-6)


def test_the_optimum_is_one_half_and_its_value_is_the_documents():
    """Where P_g = P_data, D = 1/2 and V(D, G) = -log 4; the package's loss is minus half of V."""
    zero = torch.zeros(3, 1)
    assert bce_discriminator(zero, zero).item() * -2 == pytest.approx(-math.log(4))


def test_label_smoothing_moves_the_optimum():
    objective = losses.make_objective("non-saturating", 0.2)
    score = torch.tensor([[math.log(0.8 / 0.2)]], requires_grad=True)  # sigmoid of it is 0.8
    objective.discriminator(score, torch.full_like(score.detach(), -50)).backward()
    assert score.grad.item() == pytest.approx(0, abs=1e-6)
    assert objective.generator is OBJECTIVES["non-saturating"].generator
    assert losses.make_objective("hinge") is OBJECTIVES["hinge"]
    with pytest.raises(UserError, match=r"minimax or non-saturating; hinge has no labels"):
        losses.make_objective("hinge", 0.1)


def make_linear_critic(scale: float) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    weight = scale * torch.randn(12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return lambda x: x.flatten(1) @ weight[:, None], weight


def random_images(seed: int, n: int = 4) -> Tensor:
    return torch.randn(n, 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
def test_the_penalties_of_a_linear_critic_are_known(scale: float):
    critic, weight = make_linear_critic(scale)
    real, fake, share = random_images(0), random_images(1), torch.rand(4, 1, 1, 1, dtype=torch.float64)
    norm = weight.norm().item()
    assert losses.gradient_penalty(critic, real, fake, share).item() == pytest.approx((norm - 1) ** 2)
    real.requires_grad_()
    assert losses.zero_centered_penalty(critic(real), real).item() == pytest.approx(norm**2 / 2)


def test_the_gradient_penalty_is_measured_between_real_and_fake_images():
    scored = []
    critic, _ = make_linear_critic(1.0)

    def record(x: Tensor) -> Tensor:
        scored.append(x.detach())
        return critic(x)

    real, fake = random_images(0), random_images(1)
    share = torch.tensor([0.0, 1.0, 0.5, 0.25], dtype=torch.float64).view(-1, 1, 1, 1)
    losses.gradient_penalty(record, real, fake, share)
    for i, a in enumerate(share.flatten()):
        assert torch.allclose(scored[0][i], a * real[i] + (1 - a) * fake[i])


def test_a_flat_critics_penalty_has_a_finite_gradient():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1)).double()
    nn.init.zeros_(critic[1].weight)
    share = torch.full((4, 1, 1, 1), 0.5, dtype=torch.float64)
    losses.gradient_penalty(critic, random_images(0), random_images(1), share).backward()
    assert critic[1].weight.grad.isfinite().all()


def make_small_critic() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4, 1)).double()


def relativistic_loss(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    scores = critic(real), critic(fake)
    return losses.relativistic_discriminator(*scores) + losses.relativistic_generator(scores[1], scores[0]) * 0.3


def zero_centered_loss(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    r, f = real.clone().requires_grad_(), fake.clone().requires_grad_()
    return losses.zero_centered_penalty(critic(r), r) + 0.7 * losses.zero_centered_penalty(critic(f), f)


def gradient_penalty_loss(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    share = torch.linspace(0, 1, len(real), dtype=torch.float64).view(-1, 1, 1, 1)
    return losses.gradient_penalty(critic, real, fake, share)


@pytest.mark.parametrize("loss", [relativistic_loss, zero_centered_loss, gradient_penalty_loss])
def test_gradients_equal_finite_differences(loss):
    """Compare the gradient of D's weights, double backward included, with central differences in float64."""
    critic, real, fake, step = make_small_critic(), random_images(0), random_images(1), 1e-6
    weights = {name: p.detach().clone() for name, p in critic.named_parameters()}

    def value() -> float:
        return loss(lambda x: functional_call(critic, weights, (x,)), real, fake).item()

    loss(critic, real, fake).backward()
    for name, parameter in critic.named_parameters():
        expected = torch.zeros_like(parameter).flatten()
        flat = weights[name].view(-1)
        for i in range(len(flat)):
            weight = flat[i].item()
            flat[i] = weight + step
            value_above = value()
            flat[i] = weight - step
            expected[i] = (value_above - value()) / (2 * step)
            flat[i] = weight
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        assert torch.allclose(gradient.flatten(), expected, rtol=1e-5, atol=1e-8), name
