"""One process on one CPU, without Lightning Fabric, which has nothing to do there."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class SingleDevice:
    """The part of Fabric's interface that training uses, for one CPU in full precision.

    Fabric is not imported for this case. It imports torch's compiler, to recognize compiled networks, and the two
    imports took 1.3 of the 2.7 s between torch's own import and the first step of `dcgan train`.
    """

    device = torch.device("cpu")
    world_size = 1
    global_rank = local_rank = 0
    is_global_zero = True

    def setup(self, network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return a network and its optimizer as they are."""
        return network, optimizer

    def backward(self, loss: Tensor, gradient: Tensor | None = None) -> None:
        """Add the gradients of a loss to those of the weights; or of any tensor, given the gradient at that tensor."""
        torch.autograd.backward(loss, gradient)

    def broadcast(self, value: Any) -> Any:
        """Return the value of the first process, which is this one."""
        return value
