"""Objectives: pure functions of the discriminator's scores. They never step and never call backward.

A score is what the discriminator returns before any squashing, (N, 1): a logit of "real" for the objectives of
the cross-entropy kind.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """What each network minimises.

    Attributes:
        discriminator: (scores of reals, scores of fakes) -> scalar.
        generator: (scores of fakes) -> scalar.
        is_bce: scores are logits, D(x) = sigmoid(score), and D(x) = D(G(z)) = 1/2 is the optimum.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    is_bce: bool

    def shown(self, scores: Tensor) -> Tensor:
        """Scores as people read them: probabilities of "real" where they are logits, else as they are."""
        return scores.sigmoid() if self.is_bce else scores


def bce_discriminator(real: Tensor, fake: Tensor, criterion: Criterion = F.binary_cross_entropy_with_logits) -> Tensor:
    """-(E[log D(x)] + E[log(1 - D(G(z)))]) / 2, D the sigmoid of a score (Goodfellow et al. 2014, eq. 1, halved)."""
    return (criterion(fake, torch.zeros_like(fake)) + criterion(real, torch.ones_like(real))) / 2


def non_saturating_generator(fake: Tensor, criterion: Criterion = F.binary_cross_entropy_with_logits) -> Tensor:
    """-E[log D(G(z))]: large gradients while D wins, where log(1 - D(G(z))) has none (Goodfellow et al. 2014, §3)."""
    return criterion(fake, torch.ones_like(fake))


OBJECTIVES: dict[str, Objective] = {
    "non-saturating": Objective(bce_discriminator, non_saturating_generator, is_bce=True),
}
