"""Claims (g) and (h): the layer sizes and the losses of the study's networks, measured by running the networks."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.models.dcgan import Discriminator, Generator
from dcgan.notebook import get_disc_loss, get_gen_loss, get_noise

Z_DIM = 64
"""Length of the latents."""
BATCH_SIZE = 256
"""Images that a loss is measured on."""


def make_networks() -> tuple[Generator, Discriminator]:
    """Return the study's networks, untrained, with the weights of seed 0."""
    torch.manual_seed(0)
    return Generator(Z_DIM), Discriminator()


def measure_layer_sizes() -> dict[str, Any]:
    """Return the heights from layer to layer, as the networks make them and by the document's formula."""
    generator, discriminator = make_networks()
    generator_sizes = _layer_heights(generator, get_noise(2, Z_DIM), first_height=1)
    discriminator_sizes = _layer_heights(discriminator, torch.randn(2, 1, 28, 28), first_height=28)
    return {
        "seen": {"generator": generator_sizes[0], "discriminator": discriminator_sizes[0]},
        "by_formula": {"generator": generator_sizes[1], "discriminator": discriminator_sizes[1]},
    }


def _layer_heights(network: nn.Module, inputs: Tensor, first_height: int) -> tuple[list[int], list[int]]:
    """Return the height before and after each convolution, first as measured, then by the formula."""
    measured, by_formula, handles = [first_height], [first_height], []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kernel, stride, height = layer.kernel_size[0], layer.stride[0], by_formula[-1]
            is_transposed = isinstance(layer, nn.ConvTranspose2d)
            by_formula.append((height - 1) * stride + kernel if is_transposed else (height - kernel) // stride + 1)
            handles.append(layer.register_forward_hook(lambda _, __, output: measured.append(output.shape[-1])))
    network(inputs)
    for handle in handles:
        handle.remove()
    return measured, by_formula


@torch.no_grad()
def measure_losses() -> dict[str, Any]:
    """Return the losses of the document's code and those of its text, computed from the same scores."""
    gen, disc = make_networks()
    criterion = F.binary_cross_entropy_with_logits
    real = torch.rand(BATCH_SIZE, 1, 28, 28) * 2 - 1
    torch.manual_seed(1)
    generator_loss = float(get_gen_loss(gen, disc, criterion, BATCH_SIZE, Z_DIM, "cpu"))
    torch.manual_seed(1)  # the same latents again
    d_fake = disc(gen(get_noise(BATCH_SIZE, Z_DIM))).sigmoid()
    torch.manual_seed(2)
    discriminator_loss = float(get_disc_loss(gen, disc, criterion, real, BATCH_SIZE, Z_DIM, "cpu"))
    torch.manual_seed(2)  # the same latents again
    fake_scores, real_scores = disc(gen(get_noise(BATCH_SIZE, Z_DIM))), disc(real)
    value = real_scores.sigmoid().log().mean() + (1 - fake_scores.sigmoid()).log().mean()
    return {
        "generator_code": generator_loss,
        "minus_log_d": float(-d_fake.log().mean()),
        "log_one_minus_d": float((1 - d_fake).log().mean()),
        "discriminator_code": discriminator_loss,
        "minus_half_of_v": float(-value / 2),
    }
