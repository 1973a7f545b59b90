"""The family `upsample`: repeated pixels and convolutions, with a style for every layer, at any size from 16 to 256.

The generator has no transposed convolution of stride 2 with free weights, whose uneven overlap draws a checkerboard
(Odena et al., "Deconvolution and Checkerboard Artifacts", 2016). Each layer repeats every pixel and applies a 3x3
convolution, and is computed as the transposed convolution of kernel 4 that equals both: 4 instead of 9 multiplications
for each output pixel. A style vector sets scale and shift of every normalization (Karras et al. 2019). Early layers
scale the channels of late ones (skip-layer excitation; Liu et al., "Towards Faster and Stabilized GAN Training for
High-fidelity Few-shot Image Synthesis", 2021).

With classes or groups, the generator also has an `appearance`: how the pictures of a group differ from each other, in a
space of frozen features. The first numbers of z choose it from the Gaussian distribution that the training pictures of
the group have there, most important direction first. It is fitted before the training (see `training.matching`).

The discriminator is that of `dcgan64`.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.models import dcgan64
from dcgan.models.blocks import center_crop, check_picture_shape, count_doublings, embed_labels
from dcgan.models.families import ImageShape
from dcgan.models.saved import SavedGenerator

STYLE_DIM = 128
MAX_WIDTH = 256
"""No layer of the generator has more channels."""
MAX_LEVEL_FACTORS = (1, 2, 4, 8)
"""Channels of the last layers as multiples of the width, the last layer first. Earlier layers have `MAX_WIDTH`."""
APPEARANCE_DIM, APPEARANCE_RANK = 64, 16
"""Length of the appearance, and how many numbers of z choose it."""
EXCITATION_DISTANCE = 3
"""A layer's channels are scaled by the layer that is so many before it."""
LEAK = 0.2


class UpsampleConv(nn.Module):
    """Repeat each pixel 2 x 2 times, then convolve with a 3x3 kernel: (N, C, H, W) -> (N, C', 2H, 2W).

    Args:
        in_channels: C.
        out_channels: C'.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        nn.init.normal_(self.weight, 0.0, 1 / math.sqrt(9 * in_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Take images (N, C, H, W); return (N, C', 2H, 2W)."""
        if torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
            # For ONNX, whose transposed convolution takes no weights that are computed.
            return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), self.weight, padding=1)
        return F.conv_transpose2d(x, self.kernel(), stride=2, padding=1)

    def kernel(self) -> Tensor:
        """Return the kernel of the transposed convolution that equals this layer, (C, C', 4, 4)."""
        # In the layout of `channels_last`, as the convolution reads it, so that no copy is made (docs/experiments.md).
        kernel = self.weight.flip(2, 3).permute(1, 2, 3, 0)  # a transposed convolution turns its kernel around
        return _spread(_spread(kernel, 1), 2).permute(0, 3, 1, 2)

    @torch.no_grad()
    def fuse(self, norm: nn.BatchNorm2d) -> nn.ConvTranspose2d:
        """Return one layer that equals this one and then a BatchNorm without parameters in evaluation mode."""
        kernel = self.kernel()
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        scale = (variance + norm.eps).rsqrt()
        fused = nn.ConvTranspose2d(kernel.shape[0], kernel.shape[1], 4, 2, 1, device=kernel.device, dtype=kernel.dtype)
        fused.weight.copy_(kernel * scale[:, None, None])
        assert fused.bias is not None
        fused.bias.copy_(-mean * scale)
        return fused.eval()


def _spread(kernel: Tensor, dim: int) -> Tensor:
    """Return the 4 weights (a, a + b, b + c, c) that a kernel (a, b, c) along a dimension has on repeated pixels."""
    first, middle, last = kernel.split(1, dim)  # type: ignore[no-untyped-call]
    return torch.cat([first, first + middle, middle + last, last], dim)


class StyleNorm(nn.Module):
    """BatchNorm whose scale and shift are linear functions of a style vector.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm2d(channels, affine=False)
        self.scale_and_shift = nn.Linear(STYLE_DIM, 2 * channels)
        nn.init.normal_(self.scale_and_shift.weight, 0.0, 0.5 / math.sqrt(STYLE_DIM))
        nn.init.zeros_(self.scale_and_shift.bias)

    def forward(self, x: Tensor, style: Tensor, factors: Tensor | None = None) -> Tensor:
        """Take images (N, C, H, W) and styles (N, S), and factors of the result (N, C, 1, 1); return (N, C, H, W)."""
        scale, shift = self.scale_and_shift(style)[..., None, None].chunk(2, 1)
        scale = scale + 1
        if factors is not None:
            scale, shift = scale * factors, shift * factors  # many fewer numbers than the images have
        return torch.addcmul(shift, self.norm(x), scale)


class Excitation(nn.Module):
    """Factors from 0 to 2 for the channels of a late layer, from the means of an early one."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_channels, out_channels), nn.SiLU(), nn.Linear(out_channels, out_channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Take images (N, C, H, W); return factors (N, C', 1, 1)."""
        # In the order of `channels_last`, so that the gradient has this layout too.
        factors: Tensor = 2 * self.layers(x.permute(0, 2, 3, 1).mean((1, 2)))
        return factors[..., None, None]


class Generator(SavedGenerator):
    """Draws a picture from a latent z: a linear layer to 4 to 7 pixels, then each layer doubles the size.

    Args:
        z_dim: length of the latent; the first `APPEARANCE_RANK` numbers choose the appearance.
        picture_shape: (C, H, W) of the pictures.
        width: channels before the last layer.
        classes: number of classes or groups, 0 for an unconditional generator.
    """

    family = "upsample"
    appearance_means: Tensor
    """Mean appearance of each group, (K, A); one group without classes."""
    appearance_factors: Tensor
    """What each of the first numbers of z adds to the appearance of each group, (K, R, A)."""

    def __init__(
        self,
        z_dim: int = 128,
        picture_shape: tuple[int, int, int] = (3, 64, 64),
        width: int = 24,
        classes: int = 0,
    ) -> None:
        super().__init__()
        if z_dim < APPEARANCE_RANK:
            raise UserError(f"the network upsample needs a --z-dim of at least {APPEARANCE_RANK} beside groups")
        self.z_dim = z_dim
        self.classes = classes
        self.picture_shape = check_picture_shape(picture_shape)
        doublings, self.start_size = count_doublings(self.picture_shape[1:])
        widths = level_widths(width, doublings)
        inputs = z_dim - APPEARANCE_RANK + STYLE_DIM
        self.embedding = nn.Embedding(max(1, classes), STYLE_DIM)
        self.appearance_layer = nn.Linear(APPEARANCE_DIM, STYLE_DIM)
        self.style = nn.Sequential(nn.Linear(inputs, STYLE_DIM), nn.LeakyReLU(LEAK), nn.Linear(STYLE_DIM, STYLE_DIM))
        self.start_channels = widths[0]
        self.start = nn.Linear(inputs, widths[0] * math.prod(self.start_size))
        self.layers = nn.ModuleList(UpsampleConv(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(StyleNorm(channels) for channels in widths)
        self.excitations = nn.ModuleList(
            Excitation(a, b) for a, b in zip(widths, widths[EXCITATION_DISTANCE:], strict=False)
        )
        self.to_picture = nn.Conv2d(widths[-1], self.picture_shape[0], 3, padding=1)
        groups = max(1, classes)
        self.register_buffer("appearance_means", torch.zeros(groups, APPEARANCE_DIM))
        self.register_buffer("appearance_factors", torch.zeros(groups, APPEARANCE_RANK, APPEARANCE_DIM))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take latents (N, z_dim), and labels (N,) if there are classes; return images (N, C, H, W) in [-1, 1]."""
        labels = torch.zeros_like(z[:, 0], dtype=torch.int64) if labels is None else labels
        description = embed_labels(self.embedding, labels) + self.appearance_layer(self.appearance(z, labels))
        inputs = torch.cat([z[:, APPEARANCE_RANK:], description], 1)
        style = self.style(inputs)
        x = self.start(inputs).view(z.shape[0], *self.start_size, self.start_channels)
        x = x.permute(0, 3, 1, 2)  # in channels_last
        levels: list[Tensor] = []
        for i, norm in enumerate(self.norms):
            early = i - EXCITATION_DISTANCE
            # Factors above 0 may come before the LeakyReLU as well as after it.
            factors = self.excitations[early](levels[early]) if early >= 0 else None
            x = norm(self.layers[i - 1](x) if i else x, style, factors)
            x = F.leaky_relu(x, LEAK, inplace=True)
            levels.append(x)
        return center_crop(torch.tanh(self.to_picture(x)), self.picture_shape[1:])

    def appearance(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return the appearance (N, A) that latents (N, z_dim) choose among those of their groups.

        Args:
            z: latents.
            labels: groups int64 (N,), or weights of the groups (N, K).
        """
        if labels.is_floating_point():
            means, factors = (
                labels @ self.appearance_means,
                torch.einsum("nk,kra->nra", labels, self.appearance_factors),
            )
        else:
            means, factors = self.appearance_means[labels], self.appearance_factors[labels]
        return means + torch.einsum("nr,nra->na", z[:, :APPEARANCE_RANK], factors)

    @torch.no_grad()
    def fit_appearance(self, positions: Tensor, groups: Tensor | None = None) -> None:
        """Set the distribution of the appearance in each group to that of the training pictures.

        Args:
            positions: where each picture is in the space of appearances, (N, A).
            groups: the group of each picture, int64 (N,); without it all are one group.
        """
        groups = torch.zeros(len(positions), dtype=torch.int64) if groups is None else groups.cpu()
        for group in range(len(self.appearance_means)):
            members = positions[groups == group]
            if not len(members):
                continue
            mean = members.mean(0)
            _, lengths, directions = torch.linalg.svd(members - mean, full_matrices=False)
            rank = min(APPEARANCE_RANK, len(lengths))
            factors = lengths[:rank, None] * directions[:rank] / math.sqrt(len(members))
            self.appearance_means[group] = mean
            self.appearance_factors[group, :rank] = factors

    def fuse_norms(self) -> None:
        """Replace each layer and the BatchNorm behind it by one layer, for drawing; the network can train no more."""
        for i, layer in enumerate(self.layers):
            style_norm = self.norms[i + 1]
            assert isinstance(layer, UpsampleConv)
            assert isinstance(style_norm, StyleNorm)
            assert isinstance(style_norm.norm, nn.BatchNorm2d)
            self.layers[i] = layer.fuse(style_norm.norm)
            style_norm.norm = nn.Identity()

    def first_layer_weight(self) -> Tensor:
        """Return the matrices from z to the first hidden layer of the style in all groups, (K · S, z_dim).

        They stand one below the other: S rows for each of K groups.
        """
        weight: Tensor = self.style.get_parameter("0.weight").detach()
        latent, description = weight[:, :-STYLE_DIM], weight[:, -STYLE_DIM:]
        by_appearance = (
            description @ self.appearance_layer.weight.detach() @ self.appearance_factors.transpose(1, 2)
        )  # (K, S, R)
        by_latent = latent.expand(len(by_appearance), *latent.shape)
        return torch.cat([by_appearance, by_latent], 2).flatten(0, 1).cpu()

    def middle_layer(self) -> nn.Module:
        """Return the layer that enlarges the maps in the middle; many other layers only make its style."""
        return self.layers[len(self.layers) // 2]


def level_widths(width: int, doublings: int) -> list[int]:
    """Return the channels of each level, the smallest grid first: `width` at the end, and at most `MAX_WIDTH`."""
    factors = [*MAX_LEVEL_FACTORS, *[MAX_WIDTH] * doublings][: doublings + 1]
    return [min(MAX_WIDTH, width * factor) for factor in reversed(factors)]


def build(config: Config, shape: ImageShape, classes: int) -> tuple[Generator, dcgan64.Discriminator]:
    """Return both networks for the settings, see `families.FamilyModule`."""
    if config.g_norm != "batch":
        raise UserError(f"the generator of the network upsample has BatchNorm: --g-norm batch, not {config.g_norm}")
    generator = Generator(config.z_dim, shape, config.g_width, classes)
    return generator, dcgan64.Discriminator(shape, config.d_width, config.d_norm, classes)


def init(layer: nn.Module) -> None:
    """Initialize a layer of the discriminator as `dcgan64` does. The generator's layers have initialized themselves."""
    if not (isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)):
        dcgan64.init(layer)
