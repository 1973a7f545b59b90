"""What changes while training, as functions of images seen and of the plan alone: a resumed run needs no memory."""

import math
from dataclasses import dataclass

from dcgan.config import Config

PENALTY_START = 10.0
"""R1 and R2 start at this many times their weight (Huang et al. 2024: γ from 1 to 0.1 on StackedMNIST)."""
BETA2_START = 0.9
"""Adam's second beta starts here: a short memory while the gradients are still changing fast."""
WARM_UP = 0.1
"""Over this share of the burn-in the learning rates rise from 0: at four times its rate `r3gan` could otherwise lose
its generator in the first steps, while Adam does not yet know how large a gradient is (docs/experiments.md)."""


@dataclass(frozen=True)
class ScheduledSettings:
    """The settings that hold at one moment.

    Attributes:
        lr: the generator's learning rate.
        d_lr: the discriminator's.
        beta2: Adam's second beta.
        zero_centred: what the weights of R1 and R2 are multiplied by.
        half_life: of the averaged generator's memory, in images.
    """

    lr: float
    d_lr: float
    beta2: float
    zero_centred: float
    half_life: float


def schedule_at(config: Config, images_seen: int, planned: int | None) -> ScheduledSettings:
    """The settings after `images_seen` images: a burn-in (Huang et al. 2024), and a decay of the learning rates.

    `planned` is how many images the run was first meant to see; None while that is not known yet, at its beginning.
    """
    burnt, warm = cosine_ramp(images_seen, config.burn_in), cosine_ramp(images_seen, int(WARM_UP * config.burn_in))
    rest = warm * (1 - (1 - config.lr_end) * (cosine_ramp(images_seen, planned) if planned else 0.0))
    beta2 = config.betas[1]
    return ScheduledSettings(
        lr=config.lr * rest,
        d_lr=(config.lr if config.d_lr is None else config.d_lr) * rest,
        beta2=beta2 + (min(BETA2_START, beta2) - beta2) * (1 - burnt),
        zero_centred=1 + (PENALTY_START - 1) * (1 - burnt),
        half_life=config.ema * burnt,
    )


def cosine_ramp(images_seen: int, duration: int) -> float:
    """From 0 to 1 over `duration` images along half a cosine, then 1; 1 from the start where there is no duration."""
    if images_seen >= duration:
        return 1.0
    return (1 - math.cos(math.pi * images_seen / duration)) / 2
