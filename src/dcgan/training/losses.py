"""Objectives and penalties: pure functions of scores and pictures. They never step and never call backward.

A score is what the discriminator returns before any squashing, (N, 1): a logit of "real" for the objectives of
the cross-entropy kind, a critic's value for the others. σ is the sigmoid; softplus(s) = log(1 + eˢ) = -log σ(-s).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.config import ScoreKind
from dcgan.errors import UserError

Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """What each network minimises.

    Attributes:
        discriminator: (scores of reals, scores of fakes) -> scalar.
        generator: (scores of fakes) -> scalar; if `is_paired`, (scores of fakes, scores of as many reals) -> scalar.
        score_kind: what people read the scores as. `probability`: the scores are logits, D(x) = σ(score), and the
            optimum is D(x) = D(G(z)) = 1/2. `relative`: only differences of scores mean something. `raw`: neither.
        is_paired: the generator's loss needs scores of reals too.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[..., Tensor]
    score_kind: ScoreKind = "raw"
    is_paired: bool = False

    def shown(self, scores: Tensor) -> Tensor:
        """Scores as people read them: probabilities of "real" where they are logits, else as they are."""
        return scores.sigmoid() if self.score_kind == "probability" else scores


def bce_discriminator(
    real: Tensor,
    fake: Tensor,
    criterion: Criterion = F.binary_cross_entropy_with_logits,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-(E[log D(x)] + E[log(1 - D(G(z)))]) / 2, D = σ(score) (Goodfellow et al. 2014, eq. 1, halved).

    With smoothing the target of a real is 1 - `label_smoothing` and that of a fake stays 0 (one-sided; Salimans et
    al. 2016, §3.4): a smoothed fake target would reward D where the generator is far from the data.
    """
    reals = torch.full_like(real, 1 - label_smoothing)
    return (criterion(fake, torch.zeros_like(fake)) + criterion(real, reals)) / 2


def minimax_generator(fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], as the study's document writes the game (Goodfellow et al. 2014, eq. 1).

    Saturating: the gradient for a score s is -σ(s), which vanishes while D is sure that the picture is a fake.
    """
    return -F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor, criterion: Criterion = F.binary_cross_entropy_with_logits) -> Tensor:
    """-E[log D(G(z))]: large gradients while D wins, where log(1 - D(G(z))) has none (Goodfellow et al. 2014, §3)."""
    return criterion(fake, torch.ones_like(fake))


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

    It is one only for a critic of bounded slope, so a penalty or spectral normalisation must go with it.
    """
    return fake.mean() - real.mean()


def critic_generator(fake: Tensor) -> Tensor:
    """-E[D(G(z))], the generator's side of both the hinge and the Wasserstein game."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(G(z)) - D(x))], pairs by index (Jolicoeur-Martineau 2019; Huang et al. 2024, R3GAN, eq. 2)."""
    return F.softplus(fake - real).mean()


def relativistic_generator(fake: Tensor, real: Tensor) -> Tensor:
    """E[softplus(D(x) - D(G(z)))], pairs by index: the same game seen from the other side."""
    return F.softplus(real - fake).mean()


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(bce_discriminator, minimax_generator, score_kind="probability"),
    "non-saturating": Objective(bce_discriminator, non_saturating_generator, score_kind="probability"),
    "least-squares": Objective(least_squares_discriminator, least_squares_generator),
    "hinge": Objective(hinge_discriminator, critic_generator),
    "wasserstein": Objective(wasserstein_discriminator, critic_generator),
    "relativistic": Objective(
        relativistic_discriminator, relativistic_generator, is_paired=True, score_kind="relative"
    ),
}


def make_objective(name: str, label_smoothing: float = 0.0) -> Objective:
    """The objective of that name in `OBJECTIVES`, with its real targets smoothed.

    Raises:
        UserError: smoothing was asked for where no target is a probability.
    """
    plain = OBJECTIVES[name]
    if not label_smoothing:
        return plain
    if plain.score_kind != "probability":
        raise UserError(f"--label-smoothing goes with --loss minimax or non-saturating, {name} has no labels to smooth")
    return replace(plain, discriminator=partial(bce_discriminator, label_smoothing=label_smoothing))


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """E[(‖∇D(m)‖₂ - 1)²] at m = share · x + (1 - share) · G(z) (Gulrajani et al. 2017, eq. 3).

    Args:
        critic: pictures (N, C, H, W) -> scores (N, 1), each score a function of its own picture alone.
        real: (N, C, H, W).
        fake: (N, C, H, W), without a graph of its own.
        share: of the real in each mixture, from U(0, 1), (N, 1, 1, 1).
    """
    mixed = torch.lerp(fake, real, share).requires_grad_()
    # vector_norm, not the root of a sum: its gradient at a slope of exactly 0 is 0, not NaN.
    lengths: Tensor = torch.linalg.vector_norm(score_gradient(critic(mixed), mixed).flatten(1), dim=1)
    return (lengths - 1).square().mean()


def zero_centred_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """E[‖∇D(x)‖²] / 2, the norm summed over pixels: R1 on reals, R2 on fakes (Mescheder et al. 2018, eq. 9 and 10).

    It takes scores that are there already, so that it costs no forward of its own: `images` must have required
    gradients when D scored them.
    """
    return score_gradient(scores, images).square().flatten(1).sum(1).mean() / 2


def score_gradient(scores: Tensor, images: Tensor) -> Tensor:
    """∇D at each picture, (N, C, H, W), itself differentiable. Exact only if no score sees another's picture."""
    gradient: tuple[Tensor, ...] = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient[0]
