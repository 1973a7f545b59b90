"""Random numbers: a seed for each purpose, and numbers for a batch that several devices share."""

import hashlib
import json
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
import torch
from torch import Tensor


class RandomPurpose(IntEnum):
    """What random numbers are drawn for. Each purpose has a stream of its own, see `derive_seed`.

    The numbers are part of what a seed stands for: with another number, a run could not be repeated or resumed. The
    list is complete. A new purpose is a `SeparatePurpose`.
    """

    WEIGHTS = 0
    """Initial weights of the generator and the discriminator, and of the random feature extractor."""
    DATA_ORDER = 1
    """The order of the training pictures in an epoch."""
    D_LATENTS = 2
    """Latents of the fakes that the discriminator is trained on."""
    G_LATENTS = 3
    """Latents of the fakes that the generator is trained on."""
    BATCHNORM_LATENTS = 4
    """Latents from which the BatchNorm statistics of the averaged generator are estimated."""
    STACKED_DIGITS = 5
    """Which digits are stacked to a picture of Stacked MNIST."""
    GRADIENT_PENALTY = 6
    """Where between a real picture and a fake the gradient penalty is measured."""
    FLIP = 7
    """Which real pictures are mirrored."""
    DIFFAUGMENT_D_FAKES = 8
    """DiffAugment of the fakes in the discriminator's update."""
    DIFFAUGMENT_REALS = 9
    """DiffAugment of the real pictures in the discriminator's update, and in the generator's for paired objectives."""
    DIFFAUGMENT_G_FAKES = 10
    """DiffAugment of the fakes in the generator's update."""
    JUDGE_WEIGHTS = 11
    """Initial weights of a judge."""
    JUDGE_ORDER = 12
    """Order and jitter of the pictures that a judge is trained on."""
    REFERENCE_IMAGES = 13
    """Which real pictures a model is evaluated against."""
    VALIDATION_LATENTS = 14
    """Latents of the samples that are evaluated during training."""
    GROUPS = 15
    """Which pictures groups are found from, and where k-means starts."""
    WRONG_CLASSES = 16
    """Which wrong class the discriminator is given with a real picture."""


class SeparatePurpose(StrEnum):
    """What random numbers are drawn for, since version 0.2.0. See `derive_separate_seed`."""

    MATCHING_FILTERS = "filters and directions by which samples are compared with real pictures"
    PROBE_SAMPLES = "samples that a comparison measures while it trains"
    PERMUTATIONS = "divisions of pictures in a test of equality"
    CROSS_SPLITS = "halves of a small set that are compared with each other"
    OWN_LAYERS = "what layers of the user's own networks draw in a step, such as dropout"


def derive_seed(seed: int, *path: int) -> int:
    """Return a seed from 0 to 2^63 - 1 for a purpose, the same on every machine.

    NumPy's `SeedSequence` divides the numbers into words of 32 bits and ignores zeros at the end of a short list.
    Therefore some seeds are equal, and this cannot be changed without changing what every seed stands for:

    - `derive_seed(s, p)` is `derive_seed(s, p, 0)`. Block p of the samples of a seed s has the seed of the purpose p.
      All purposes that draw from torch's generators differ from it nevertheless, because samples are drawn from
      NumPy's Philox. What is left are the blocks 5 (`STACKED_DIGITS`) and 13 (`REFERENCE_IMAGES`), whose numbers
      choose pictures and are not latents, and block 0, which has the seed of the weights of the extractor `random`.
    - A seed of 2^32 or more has two words: block 0 of the samples of the seed s + 2^32 b is block b of the seed s, and
      the purpose p has the seed of a longer path of the seed s.

    Purposes that are added use `derive_separate_seed`, where nothing is equal.

    Args:
        seed: of the run or the command.
        *path: a `RandomPurpose`, then whatever else the numbers depend on, such as the images seen. The latents of
            samples have a path of one number that is no purpose, the number of their block.
    """
    return int(np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0]) >> 1


def derive_separate_seed(seed: int, purpose: SeparatePurpose, *path: int) -> int:
    """Return a seed from 0 to 2^63 - 1 that is independent of every other seed, purpose and path.

    It is a hash of a text in which every number has its own place, the same on every machine.

    Args:
        seed: of the run or the command.
        purpose: what the numbers are for.
        *path: whatever else the numbers depend on.
    """
    text = json.dumps(["dcgan seed 2", seed, str(purpose), *path])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class RandomSource:
    """Random numbers for this device's pictures of a batch, one row for each.

    Every device draws the numbers of the whole batch and uses only its own rows. So the numbers that a picture gets do
    not depend on the number of devices, and no two devices use the same numbers.

    Attributes:
        generator: what draws the numbers.
        batch_size: number of pictures over all devices; None draws just as many rows as are asked for.
        rows: which rows of the batch are this device's.
    """

    generator: torch.Generator
    batch_size: int | None = None
    rows: slice = field(default_factory=lambda: slice(None))

    def normal(self, n: int, *shape: int) -> Tensor:
        """Draw from N(0, 1), float32 (n, *shape)."""
        size = (self.batch_size or n, *shape)
        return torch.randn(size, generator=self.generator, device=self.generator.device)[self.rows]

    def uniform(self, n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw from U(0, 1), (n, *shape)."""
        size = (self.batch_size or n, *shape)
        return torch.rand(size, generator=self.generator, device=self.generator.device, dtype=dtype)[self.rows]

    def integers(self, n: int, high: int) -> Tensor:
        """Draw whole numbers from 0 to `high` - 1, int64 (n, 1)."""
        size = (self.batch_size or n, 1)
        return torch.randint(high, size, generator=self.generator, device=self.generator.device)[self.rows]
