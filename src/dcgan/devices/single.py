"""One process on one CPU, in the place of Lightning Fabric, which has nothing to do there."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class SingleDevice:
    """What the engine asks of Fabric, as Fabric answers it for one CPU in full precision.

    Fabric is not imported for that: it imports torch's compiler, to know a compiled network when it meets one, and
    the two took 1.3 of the 2.7 s between torch's own import and the first step of `dcgan train`.
    """

    device = torch.device("cpu")
    world_size = 1
    global_rank = local_rank = 0
    is_global_zero = True

    def setup(self, network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """A network and its optimizer as they are."""
        return network, optimizer

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, added to those that are there."""
        torch.autograd.backward(loss)

    def broadcast(self, value: Any) -> Any:
        """What the first process has: this one."""
        return value
