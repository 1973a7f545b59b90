"""Objectives and penalties: pure functions of scores and images. They never step and never call backward.

A score is what the discriminator returns before any squashing, (N, 1): a logit of "real" for the objectives of the
cross-entropy kind, a critic's value for the others. σ is the sigmoid; softplus(s) = log(1 + eˢ) = -log σ(-s).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dcgan.config import ScoreKind
from dcgan.errors import UserError, did_you_mean
from dcgan.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor
else:
    torch, F = LazyModule("torch"), LazyModule("torch.nn.functional")

Criterion = Callable[[Any, Any], Any]
"""(scores, targets), both tensors (N, 1) -> scalar, as `nn.BCEWithLogitsLoss()`."""


@dataclass(frozen=True)
class Objective:
    """What each network minimizes.

    Attributes:
        discriminator: (scores of reals, scores of fakes) -> scalar.
        generator: (scores of fakes) -> scalar; if `is_paired`, (scores of fakes, scores of as many reals) -> scalar.
        score_kind: how people read the scores. `probability`: the scores are logits, D(x) = σ(score), and the optimum
            is D(x) = D(G(z)) = 1/2. `relative`: only differences of scores mean something. `raw`: neither. `none`:
            there is no discriminator; the generator matches features of a frozen network, see `training.matching`.
        is_paired: the generator's loss needs scores of reals too.
        smoothed: a function of the label smoothing that returns the discriminator's loss with smoothed targets of
            reals; None if the loss has no targets to smooth.
        needs_bounded_critic: the discriminator's loss has no minimum unless something bounds the gradient of its
            scores, such as a penalty or spectral normalization.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[..., Tensor]
    score_kind: ScoreKind = "raw"
    is_paired: bool = False
    smoothed: Callable[[float], Callable[[Tensor, Tensor], Tensor]] | None = None
    needs_bounded_critic: bool = False

    @property
    def has_discriminator(self) -> bool:
        """Whether a discriminator is trained."""
        return self.score_kind != "none"

    def readable_scores(self, scores: Tensor) -> Tensor:
        """Return probabilities of "real" if the scores are logits, else the scores as they are."""
        return scores.sigmoid() if self.score_kind == "probability" else scores


def bce_discriminator(
    real: Tensor,
    fake: Tensor,
    criterion: Criterion | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-(E[log D(x)] + E[log(1 - D(G(z)))]) / 2, D = σ(score) (Goodfellow et al. 2014, eq. 1, halved).

    With smoothing, the target of a real is 1 - `label_smoothing` and that of a fake stays 0 (one-sided; Salimans et
    al. 2016, §3.4): a smoothed target of fakes would reward D where the generator is far from the data.
    """
    criterion = criterion or F.binary_cross_entropy_with_logits
    real_targets = torch.full_like(real, 1 - label_smoothing)
    loss: Tensor = (criterion(fake, torch.zeros_like(fake)) + criterion(real, real_targets)) / 2
    return loss


def minimax_generator(fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], as the study's document writes the game (Goodfellow et al. 2014, eq. 1).

    It saturates: the gradient with respect to a score s is -σ(s), which vanishes while D is sure that the picture is
    a fake.
    """
    return -F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor, criterion: Criterion | None = None) -> Tensor:
    """-E[log D(G(z))]: its gradient is large while D wins, where log(1 - D(G(z))) has none.

    Goodfellow et al. 2014, §3.
    """
    loss: Tensor = (criterion or F.binary_cross_entropy_with_logits)(fake, torch.ones_like(fake))
    return loss


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[(D(x) - 1)²] / 2 + E[D(G(z))²] / 2 (Mao et al. 2017, eq. 9: a = 0, b = c = 1)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    """E[(D(G(z)) - 1)²] / 2 (Mao et al. 2017, eq. 9)."""
    return (fake - 1).square().mean() / 2


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim and Ye 2017; Miyato et al. 2018, eq. 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)]: minus the estimate of the distance (Arjovsky et al. 2017, eq. 2).

    It is an estimate only if the gradient of the critic is bounded, so a penalty or spectral normalization must be
    used with it.
    """
    return fake.mean() - real.mean()


def critic_generator(fake: Tensor) -> Tensor:
    """-E[D(G(z))]: the generator's loss for both the hinge and the Wasserstein objective."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(G(z)) - D(x))], pairs by index (Jolicoeur-Martineau 2019; Huang et al. 2024, R3GAN, eq. 2)."""
    return F.softplus(fake - real).mean()


def relativistic_generator(fake: Tensor, real: Tensor) -> Tensor:
    """E[softplus(D(x) - D(G(z)))], pairs by index: the discriminator's loss with the roles exchanged."""
    return F.softplus(real - fake).mean()


def no_scores(*scores: Tensor) -> Tensor:
    """Stand for the losses of an objective without a discriminator: there are no scores to compute them from."""
    raise AssertionError("this objective has no discriminator")


def _smoothed_bce(label_smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    return partial(bce_discriminator, label_smoothing=label_smoothing)


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(
        bce_discriminator, minimax_generator, score_kind="probability", smoothed=_smoothed_bce,
    ),
    "non-saturating": Objective(
        bce_discriminator, non_saturating_generator, score_kind="probability", smoothed=_smoothed_bce,
    ),
    "least-squares": Objective(least_squares_discriminator, least_squares_generator),
    "hinge": Objective(hinge_discriminator, critic_generator),
    "wasserstein": Objective(wasserstein_discriminator, critic_generator, needs_bounded_critic=True),
    "relativistic": Objective(
        relativistic_discriminator, relativistic_generator, score_kind="relative", is_paired=True,
    ),
    "drifting": Objective(no_scores, no_scores, score_kind="none"),
}  # fmt: skip
"""The objectives that `--loss` names. To add one, add an entry: see docs/extending.md."""


def find_objective(name: str) -> Objective:
    """Return the objective of that name.

    Raises:
        UserError: there is none.
    """
    if name not in OBJECTIVES:
        raise UserError(f"--loss must be one of {', '.join(OBJECTIVES)}, not {name}{did_you_mean(name, OBJECTIVES)}")
    return OBJECTIVES[name]


def make_objective(loss: str | Objective, label_smoothing: float = 0.0) -> Objective:
    """Return an objective, or that of a name, with its targets of reals smoothed.

    Raises:
        UserError: there is no such objective, or smoothing was asked for and it has no targets to smooth.
    """
    objective = find_objective(loss) if isinstance(loss, str) else loss
    if not label_smoothing:
        return objective
    if objective.smoothed is None:
        names = " or ".join(known for known, entry in OBJECTIVES.items() if entry.smoothed)
        raise UserError(
            f"--label-smoothing can be used with --loss {names}; {loss if isinstance(loss, str) else 'your own loss'} "
            "has no labels to smooth"
        )
    return replace(objective, discriminator=objective.smoothed(label_smoothing))


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """E[(‖∇D(m)‖₂ - 1)²] at m = share · x + (1 - share) · G(z) (Gulrajani et al. 2017, eq. 3).

    Args:
        critic: images (N, C, H, W) -> scores (N, 1), each score a function of its own picture alone.
        real: (N, C, H, W).
        fake: (N, C, H, W), detached from the generator.
        share: weight of the real picture in each mixture, from U(0, 1), (N, 1, 1, 1).
    """
    mixed = torch.lerp(fake, real, share).requires_grad_()
    # vector_norm, not the root of a sum: where the norm is exactly 0 its gradient is 0, not NaN.
    lengths: Tensor = torch.linalg.vector_norm(score_gradient(critic(mixed), mixed).flatten(1), dim=1)
    return (lengths - 1).square().mean()


def zero_centered_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """E[‖∇D(x)‖²] / 2, the norm summed over pixels: R1 on reals, R2 on fakes (Mescheder et al. 2018, eq. 9 and 10).

    It uses scores that have already been computed, so that it needs no forward pass of its own: `images` must have
    required gradients when D scored them.
    """
    return score_gradient(scores, images).square().flatten(1).sum(1).mean() / 2


def score_gradient(scores: Tensor, images: Tensor) -> Tensor:
    """Return ∇D at each picture, (N, C, H, W), itself differentiable.

    It is exact only if no score depends on another picture of the batch.
    """
    gradient: tuple[Tensor, ...] = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient[0]
