"""A batch that several processes work on together."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan.devices.connect import Devices, sum_over_ranks


@dataclass(frozen=True)
class Batch:
    """The batch of one update, and this process's part of it.

    Attributes:
        fabric: the devices.
        size: pictures over all devices.
        part: which of them are this device's.
        weight: factor of a mean over this device's pictures in the mean over all devices: see `sampler.rank_share`.
    """

    fabric: Devices
    size: int
    part: slice
    weight: float

    @property
    def own_rows(self) -> slice:
        """Which rows of the whole batch are this device's: as `part`, but none if its picture is only a stand-in."""
        return self.part if self.weight else slice(0, 0)

    def gather(self, own: Tensor) -> Tensor:
        """Return the rows of all devices (size, ...), given this device's own.

        The own rows keep their graph; the rows of the others have none.
        """
        if self.fabric.world_size == 1:
            return own
        rows = self.own_rows
        own = own[: rows.stop - rows.start]
        whole = own.new_zeros(self.size, *own.shape[1:])
        whole[rows] = own.detach()
        whole = sum_over_ranks(self.fabric, whole)
        return torch.cat([whole[: rows.start], own, whole[rows.stop :]])
