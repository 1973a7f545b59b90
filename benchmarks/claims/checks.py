"""(g) and (h): sizes and formulae of the study's networks, by running them."""

from typing import Any

import torch
import torch.nn.functional as F

from dcgan.models.dcgan import Discriminator, Generator
from dcgan.notebook import get_disc_loss, get_gen_loss, get_noise

Z, N = 64, 256


def networks() -> tuple[Generator, Discriminator]:
    """The study's, untrained, weights of seed 0."""
    torch.manual_seed(0)
    return Generator(Z), Discriminator()


def sizes() -> dict[str, Any]:
    """Heights from layer to layer, as the networks make them and as the document's formula does."""
    seen: dict[str, list[int]] = {}
    by_formula: dict[str, list[int]] = {}
    for name, network, start in zip(
        ("generator", "discriminator"), networks(), ((2, Z, 1, 1), (2, 1, 28, 28)), strict=True
    ):
        heights, formula, handles = [start[-1]], [start[-1]], []
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                kernel, stride = layer.kernel_size[0], layer.stride[0]
                is_up = isinstance(layer, torch.nn.ConvTranspose2d)
                formula.append((formula[-1] - 1) * stride + kernel if is_up else (formula[-1] - kernel) // stride + 1)
                handles.append(layer.register_forward_hook(lambda _, __, out, h=heights: h.append(out.shape[-1])))
        network(torch.randn(start) if name == "discriminator" else get_noise(2, Z))
        for handle in handles:
            handle.remove()
        seen[name], by_formula[name] = heights, formula
    return {"seen": seen, "by_formula": by_formula}


@torch.no_grad()
def formulae() -> dict[str, Any]:
    """What the document's code minimises, against what its text says, on the same scores."""
    gen, disc = networks()
    criterion = F.binary_cross_entropy_with_logits
    real = torch.rand(N, 1, 28, 28) * 2 - 1
    torch.manual_seed(1)
    code_g = float(get_gen_loss(gen, disc, criterion, N, Z, "cpu"))
    torch.manual_seed(1)
    fake = disc(gen(get_noise(N, Z)))
    torch.manual_seed(2)
    code_d = float(get_disc_loss(gen, disc, criterion, real, N, Z, "cpu"))
    torch.manual_seed(2)
    fakes, reals = disc(gen(get_noise(N, Z))), disc(real)
    value = reals.sigmoid().log().mean() + (1 - fakes.sigmoid()).log().mean()
    return {
        "generator_code": code_g,
        "minus_log_d": float(-fake.sigmoid().log().mean()),
        "log_one_minus_d": float((1 - fake.sigmoid()).log().mean()),
        "discriminator_code": code_d,
        "minus_half_of_v": float(-value / 2),
    }
