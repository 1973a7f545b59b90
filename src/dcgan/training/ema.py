"""The averaged generator: smoother than any single moment of training, and the one that is saved."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

RAMP = 0.05
"""The memory is at most this share of the images seen so far (Karras et al. 2020), so that an early average is not
made of the random start."""


class Ema:
    """Exponential moving average of a network's parameters, with a half-life in images."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, images_seen: int, batch: int, half_life: float) -> None:
        """Take in the weights after an update that brought the count to `images_seen`, `batch` of them new."""
        half_life = min(half_life, RAMP * images_seen)
        keep = 0.5 ** (batch / half_life) if half_life > 0 else 0.0
        mine: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(mine, list[Tensor](network.parameters()), 1 - keep)


@torch.no_grad()
def estimate_batchnorm(network: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> None:
    """Set every BatchNorm's running statistics to the mean over `batches`, and leave the network in evaluation mode.

    A batch is what the network takes: (z,), or (z, labels). Spectral normalisation's vectors are brought up to date
    on the way.

    Averaged weights need statistics of their own: those recorded while training belong to other weights.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's sign for a plain mean over all batches
    network.eval()  # the whole: what is drawn, and told, is what will be
    spectral = [m.get_submodule("parametrizations") for m in network.modules() if parametrize.is_parametrized(m)]
    learners = [*norms, *spectral]
    for module in learners:
        module.train()
    if learners:
        for batch in batches:
            network(*batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
