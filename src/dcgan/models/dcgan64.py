"""The family `dcgan64`: the paper's strided convolutions, at any size from 16 to 256.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks" (2016), with a variable depth: as many doublings as reduce the larger side to 4 to 7 pixels. At 64x64 with RGB
and z 100 they are the well-known networks with 3,576,704 and 2,765,568 parameters.

With classes, a one-hot vector follows z, every normalization of the generator has a scale and a shift for each class
(conditional BatchNorm; de Vries et al. 2017), and the discriminator adds the projection of its features on the vector
of the class (Miyato and Koyama 2018, eq. 4). The features are not summed over the picture before that, because the
parts of a digit are recognized by their position.
"""

from torch import Tensor, nn

from dcgan.config import Config, Norm
from dcgan.models.blocks import (
    ConditionalNorm,
    ProjectionDiscriminator,
    append_one_hot,
    center_crop,
    check_picture_shape,
    count_doublings,
    doubling_widths,
    init_weights,
    make_norm,
    normalize_weight,
)
from dcgan.models.conv_transpose import ConvTranspose2d
from dcgan.models.families import ImageShape
from dcgan.models.saved import SavedGenerator


class Generator(SavedGenerator):
    """Draws a picture from a latent z: a transposed convolution to 4 to 7 pixels, then each layer doubles the size.

    Args:
        z_dim: length of the latent.
        picture_shape: (C, H, W) of the pictures.
        width: channels before the last layer.
        norm: normalization of the hidden layers; the paper uses `batch`.
        classes: number of classes, 0 for an unconditional generator.
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
        self.picture_shape = check_picture_shape(picture_shape)
        doublings, start = count_doublings(self.picture_shape[1:])
        widths = doubling_widths(width, doublings)[::-1]  # at most 512 for a width of 64, as in the paper
        layers: list[nn.Module] = [ConvTranspose2d(z_dim + classes, widths[0], start, bias=False)]
        for inputs, outputs in zip(widths, [*widths[1:], self.picture_shape[0]], strict=True):
            layers.append(ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False))
        self.layers = nn.ModuleList(normalize_weight(layer, norm) for layer in layers)
        self.norms = nn.ModuleList(
            ConditionalNorm(norm, channels, classes) if classes else make_norm(norm, channels) for channels in widths
        )
        self.relu = nn.ReLU(inplace=True)
        self.tanh = nn.Tanh()

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take latents (N, z_dim), and labels (N,) if there are classes; return images (N, C, H, W) in [-1, 1]."""
        conditions = () if labels is None else (labels,)
        z = z if labels is None else append_one_hot(z, labels, self.classes)
        x = z.view(*z.shape, 1, 1)
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = self.relu(norm(layer(x), *conditions))
        images: Tensor = self.tanh(self.layers[-1](x))
        return center_crop(images, self.picture_shape[1:])


class Discriminator(ProjectionDiscriminator):
    """Scores a picture: each layer halves the size down to 4 to 7 pixels, then one convolution covers all of it.

    Args:
        picture_shape: (C, H, W) of the pictures.
        width: channels after the first layer.
        norm: normalization of the hidden layers except the first, which the paper does not normalize. For `none` and
            `spectral` the hidden layers have biases.
        classes: number of classes, 0 for an unconditional discriminator.
    """

    def __init__(
        self,
        picture_shape: tuple[int, int, int] = (3, 64, 64),
        width: int = 64,
        norm: Norm = "batch",
        classes: int = 0,
    ) -> None:
        doublings, end = count_doublings(check_picture_shape(picture_shape)[1:])
        widths = doubling_widths(width, doublings)
        # Without them such a discriminator gives flat gray, which is 0, the score 0 whatever it has learned.
        has_bias = norm in ("none", "spectral")
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(zip([picture_shape[0], *widths], widths, strict=False)):
            layers.append(normalize_weight(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=has_bias), norm))
            layers += [make_norm(norm, outputs)] if i else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        score = normalize_weight(nn.Conv2d(widths[-1], 1, end, bias=False), norm)
        padded_size = (end[0] * 2**doublings, end[1] * 2**doublings)
        super().__init__(padded_size, nn.Sequential(*layers), score, widths[-1] * end[0] * end[1], classes)


def build(config: Config, shape: ImageShape, classes: int) -> tuple[Generator, Discriminator]:
    """Return both networks for the settings, see `families.FamilyModule`."""
    generator = Generator(config.z_dim, shape, config.g_width, config.g_norm, classes)
    return generator, Discriminator(shape, config.d_width, config.d_norm, classes)


def init(layer: nn.Module) -> None:
    """Initialize a layer as in the paper: convolutions from N(0, 0.02), BatchNorm scales from N(1, 0.02).

    The vectors of classes, which the paper does not have, are drawn from N(0, 0.02), and biases are 0.
    """
    init_weights(layer)
    if isinstance(layer, nn.Conv2d) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
    if isinstance(layer, nn.BatchNorm2d) and layer.affine:
        nn.init.normal_(layer.weight, 1.0, 0.02)
    if isinstance(layer, Discriminator) and layer.classes is not None:
        nn.init.normal_(layer.classes.weight, 0.0, 0.02)
