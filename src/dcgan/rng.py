"""Random numbers for a batch that several devices share: each draws all of them and keeps its own part.

So what a picture gets does not depend on the number of devices, and no two devices get the same.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomSource:
    """A source of random numbers, a row for each picture of this device.

    Attributes:
        source: where they come from.
        whole: pictures of the batch over all devices; None for just those that are asked for.
        part: which of them are this device's.
    """

    source: torch.Generator
    whole: int | None = None
    part: slice = field(default_factory=lambda: slice(None))

    def normal(self, n: int, *shape: int) -> Tensor:
        """From N(0, 1), (n, *shape)."""
        return torch.randn(self.whole or n, *shape, generator=self.source, device=self.source.device)[self.part]

    def uniform(self, n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """From U(0, 1), (n, *shape)."""
        size = (self.whole or n, *shape)
        return torch.rand(size, generator=self.source, device=self.source.device, dtype=dtype)[self.part]

    def integers(self, n: int, below: int) -> Tensor:
        """From 0 to `below` - 1, int64 (n, 1)."""
        size = (self.whole or n, 1)
        return torch.randint(below, size, generator=self.source, device=self.source.device)[self.part]


def derive_seed(seed: int, *path: int) -> int:
    """A seed for one purpose: independent of every other path, the same on every machine."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0]) >> 1
