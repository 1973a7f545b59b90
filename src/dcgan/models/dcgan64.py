"""The paper's networks: strided layers without padding tricks, at any size from 16 to 256.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks" (2016), generalised by depth: as many doublings as bring the larger side down to 4..7 pixels. At 64x64 with
RGB and z 100 they are the networks that everyone knows: 3,576,704 and 2,765,568 parameters.

With classes, a one-hot vector is put behind z, every normalisation of the generator has its scale and shift for each
class (conditional BatchNorm; de Vries et al. 2017), and the discriminator adds the projection of its features on the
class's vector (Miyato and Koyama 2018, eq. 4). The features are taken where they are, not summed over the picture: a
digit's parts are told by their place.
"""

from torch import Tensor, nn

from dcgan.config import Norm
from dcgan.models.blocks import (
    ConditionalNorm,
    ConvTranspose2d,
    append_one_hot,
    center_crop,
    center_pad,
    checked_shape,
    doublings,
    init_weights,
    norm_layer,
    with_weight_norm,
)
from dcgan.models.saved import SavedGenerator

WIDEST = 8
"""No layer has more channels than this many times the width: 512 of 64, as in the paper."""


class PaperGenerator(SavedGenerator):
    """z -> picture: a transposed convolution to 4..7 pixels, then a doubling a layer.

    Args:
        z_dim: length of the latent vector.
        picture_shape: (C, H, W) of what it draws.
        width: channels before the last layer.
        norm: what normalises the hidden layers; the paper's is `batch`.
        classes: how many it can draw, 0 for an unconditional one.
    """

    family = "dcgan64"

    def __init__(
        self,
        z_dim: int = 100,
        picture_shape: tuple[int, int, int] = (3, 64, 64),
        width: int = 64,
        norm: Norm = "batch",
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.classes = classes
        self.picture_shape = checked_shape(picture_shape)
        count, start = doublings(self.picture_shape[1:])
        widths = [width * min(2**i, WIDEST) for i in reversed(range(count))]
        layers: list[nn.Module] = [ConvTranspose2d(z_dim + classes, widths[0], start, bias=False)]
        for a, b in zip(widths, [*widths[1:], self.picture_shape[0]], strict=True):
            layers.append(ConvTranspose2d(a, b, 4, 2, 1, bias=False))
        self.layers = nn.ModuleList(with_weight_norm(layer, norm) for layer in layers)
        self.norms = nn.ModuleList(
            ConditionalNorm(norm, c, classes) if classes else norm_layer(norm, c) for c in widths
        )
        self.relu = nn.ReLU(inplace=True)
        self.tanh = nn.Tanh()

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim), and labels (N,) if there are classes -> pictures (N, C, H, W) in [-1, 1]."""
        given = () if labels is None else (labels,)
        z = z if labels is None else append_one_hot(z, labels, self.classes)
        x = z.view(*z.shape, 1, 1)
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = self.relu(norm(layer(x), *given))
        images: Tensor = self.tanh(self.layers[-1](x))
        return center_crop(images, self.picture_shape[1:])


class PaperDiscriminator(nn.Module):
    """Picture -> score: a halving a layer down to 4..7 pixels, then one convolution over all that is left.

    Args:
        picture_shape: (C, H, W) of what it looks at.
        width: channels after the first layer.
        norm: what normalises the hidden layers but the first, which the paper leaves alone.
        classes: how many, 0 for an unconditional one.
    """

    def __init__(
        self,
        picture_shape: tuple[int, int, int] = (3, 64, 64),
        width: int = 64,
        norm: Norm = "batch",
        classes: int = 0,
    ) -> None:
        super().__init__()
        count, end = doublings(checked_shape(picture_shape)[1:])
        self.padded = (end[0] * 2**count, end[1] * 2**count)
        widths = [width * min(2**i, WIDEST) for i in range(count)]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(zip([picture_shape[0], *widths], widths, strict=False)):
            layers.append(with_weight_norm(nn.Conv2d(a, b, 4, 2, 1, bias=False), norm))
            layers += [norm_layer(norm, b)] if i else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.features = nn.Sequential(*layers)
        self.score = with_weight_norm(nn.Conv2d(widths[-1], 1, end, bias=False), norm)
        self.classes = nn.Embedding(classes, widths[-1] * end[0] * end[1]) if classes else None

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1], and labels (N,) if there are classes -> scores (N, 1)."""
        features: Tensor = self.features(center_pad(image, self.padded))
        scores: Tensor = self.score(features).view(-1, 1)
        if self.classes is not None:
            scores = scores + (features.flatten(1) * self.classes(labels)).sum(1, keepdim=True)
        return scores


def init(layer: nn.Module) -> None:
    """N(0, 0.02) for convolutions, N(1, 0.02) for BatchNorm scales, as in the paper; small vectors for classes."""
    init_weights(layer)
    if isinstance(layer, nn.BatchNorm2d) and layer.affine:
        nn.init.normal_(layer.weight, 1.0, 0.02)
    if isinstance(layer, PaperDiscriminator) and layer.classes is not None:
        nn.init.normal_(layer.classes.weight, 0.0, 0.02)
