"""Settings that change while training, as functions of images seen and of the plan alone: resuming needs no memory."""

import math
from dataclasses import dataclass

from dcgan.config import Config

INITIAL_PENALTY_SCALE = 10.0
"""The weights of R1 and R2 start at this many times their value (Huang et al. 2024: γ from 1 to 0.1, StackedMNIST)."""
INITIAL_BETA2 = 0.9
"""Adam's second beta starts here: a short memory while the gradients still change fast."""
WARM_UP_SHARE = 0.1
"""The learning rates rise from 0 over this share of the burn-in. Without it, at four times its learning rate, `r3gan`
could lose its generator in the first steps, while Adam has not yet seen how large a gradient is
(docs/experiments.md)."""


@dataclass(frozen=True)
class ScheduledSettings:
    """The settings at one moment of the training.

    Attributes:
        lr: learning rate of the generator.
        d_lr: learning rate of the discriminator.
        beta2: Adam's second beta.
        penalty_scale: factor on the weights of R1 and R2.
        half_life: half-life of the averaged generator, in images.
    """

    lr: float
    d_lr: float
    beta2: float
    penalty_scale: float
    half_life: float


def schedule_at(config: Config, images_seen: int, first_plan: int | None) -> ScheduledSettings:
    """Return the settings after `images_seen` images: a burn-in (Huang et al. 2024), and a decay of the learning rates.

    Args:
        config: the settings.
        images_seen: real images seen so far.
        first_plan: the number of images that the run was first planned for; None while that is not yet known, at its
            beginning.
    """
    burn_in = cosine_ramp(images_seen, config.burn_in)
    warm_up = cosine_ramp(images_seen, int(WARM_UP_SHARE * config.burn_in))
    decay = cosine_ramp(images_seen, first_plan) if first_plan else 0.0
    lr_factor = warm_up * (1 - (1 - config.lr_end) * decay)
    beta2 = config.betas[1]
    return ScheduledSettings(
        lr=config.lr * lr_factor,
        d_lr=(config.lr if config.d_lr is None else config.d_lr) * lr_factor,
        beta2=beta2 + (min(INITIAL_BETA2, beta2) - beta2) * (1 - burn_in),
        penalty_scale=1 + (INITIAL_PENALTY_SCALE - 1) * (1 - burn_in),
        half_life=config.ema * burn_in,
    )


def cosine_ramp(images_seen: int, duration: int) -> float:
    """Rise from 0 to 1 over `duration` images along half a cosine, then stay at 1; without a duration it is 1."""
    if images_seen >= duration:
        return 1.0
    return (1 - math.cos(math.pi * images_seen / duration)) / 2
