"""The averaged generator (EMA): smoother than the weights of any single step. It is the generator that is saved."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

MAX_HALF_LIFE_SHARE = 0.05
"""The half-life is at most this share of the images seen so far (Karras et al. 2020), so that an early average does not
consist of the random initial weights."""


class Ema:
    """Exponential moving average of a network's parameters, with a half-life in images."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, images_seen: int, new_images: int, half_life: float) -> None:
        """Average the weights after a step.

        Args:
            network: the network that is trained.
            images_seen: images seen after the step.
            new_images: images seen in the step.
            half_life: number of images after which a weight counts half.
        """
        half_life = min(half_life, MAX_HALF_LIFE_SHARE * images_seen)
        decay = 0.5 ** (new_images / half_life) if half_life > 0 else 0.0
        averages: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averages, list[Tensor](network.parameters()), 1 - decay)


@torch.no_grad()
def estimate_batchnorm(network: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> None:
    """Set the running statistics of every BatchNorm layer to their means over `batches`; leave evaluation mode on.

    Averaged weights need statistics of their own: those recorded during training belong to other weights. The vectors
    of spectral normalization are updated too.

    Args:
        network: the averaged network.
        batches: what the network takes: (z,), or (z, labels).
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then computes the plain mean over all batches
    network.eval()  # so that the network as a whole draws, and takes conditions, as it does after training
    spectral = [m.get_submodule("parametrizations") for m in network.modules() if parametrize.is_parametrized(m)]
    updated = [*norms, *spectral]
    for module in updated:
        module.train()
    if updated:
        for batch in batches:
            network(*batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
