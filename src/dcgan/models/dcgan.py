"""The family `dcgan`: the study's networks for 28x28, with the names that the study gives their layers.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks" (2016), in the small unpadded form that the study teaches. Without classes and with BatchNorm they are exactly
the study's. With classes, a one-hot vector follows z and one-hot maps follow the picture's channels (Mirza and
Osindero, "Conditional Generative Adversarial Nets", 2014).
"""

from torch import Tensor, nn

from dcgan.config import Config, Norm
from dcgan.errors import UserError
from dcgan.models.batch_norm import BatchNorm2d
from dcgan.models.blocks import LabelConv2d, append_one_hot, init_weights, layer_sizes, make_norm, normalize_weight
from dcgan.models.conv_transpose import ConvTranspose2d
from dcgan.models.families import ImageShape
from dcgan.models.saved import SavedGenerator

PICTURE_SIDE = 28
"""The only side that these layers can draw: 1-3-6-13-28 in the generator, 28-13-5-1 in the discriminator."""


class Generator(SavedGenerator):
    """Draws a picture from a latent z: four transposed convolutions, 1-3-6-13-28.

    Args:
        z_dim: length of the latent.
        im_chan: channels of the picture.
        hidden_dim: channels before the last layer; the first block has four times as many.
        norm: normalization of the three hidden layers; the study uses `batch`.
        classes: number of classes, 0 for an unconditional generator.
    """

    family = "dcgan"

    def __init__(
        self, z_dim: int = 10, im_chan: int = 1, hidden_dim: int = 64, norm: Norm = "batch", classes: int = 0
    ) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.classes = classes
        self.picture_shape = (im_chan, PICTURE_SIDE, PICTURE_SIDE)
        self.gen = nn.Sequential(
            self.gen_block(z_dim + classes, hidden_dim * 4),
            self.gen_block(hidden_dim * 4, hidden_dim * 2, kernel_size=4, stride=1),
            self.gen_block(hidden_dim * 2, hidden_dim),
            self.gen_block(hidden_dim, im_chan, kernel_size=4, final_layer=True),
        )
        _replace_norm(self.gen, norm)

    @staticmethod
    def gen_block(
        in_channel: int, out_channel: int, kernel_size: int = 3, stride: int = 2, final_layer: bool = False
    ) -> nn.Sequential:
        """Return a transposed convolution with BatchNorm and ReLU, or with only Tanh in the final layer."""
        if final_layer:
            return nn.Sequential(ConvTranspose2d(in_channel, out_channel, kernel_size, stride), nn.Tanh())
        return nn.Sequential(
            ConvTranspose2d(in_channel, out_channel, kernel_size=kernel_size, stride=stride),
            BatchNorm2d(out_channel),
            nn.ReLU(inplace=True),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take latents (N, z_dim), and labels (N,) with classes; return images (N, im_chan, 28, 28) in [-1, 1]."""
        z = z if labels is None else append_one_hot(z, labels, self.classes)
        images: Tensor = self.gen(z.view(*z.shape, 1, 1))
        return images


class Discriminator(nn.Module):
    """Scores a picture: three convolutions, 28-13-5-1.

    Args:
        im_chan: channels of the picture.
        hidden_dim: channels after the first layer.
        norm: normalization of the two hidden layers; the study uses `batch`.
        classes: number of classes, 0 for an unconditional discriminator.
    """

    def __init__(self, im_chan: int = 1, hidden_dim: int = 16, norm: Norm = "batch", classes: int = 0) -> None:
        super().__init__()
        self.disc = nn.Sequential(
            self.disc_block(im_chan, hidden_dim),
            self.disc_block(hidden_dim, hidden_dim * 2),
            self.disc_block(hidden_dim * 2, 1, final_layer=True),
        )
        if classes:
            first = self.disc[0]
            assert isinstance(first, nn.Sequential)
            first[0] = LabelConv2d(im_chan, hidden_dim, 4, 2, classes)
        _replace_norm(self.disc, norm)

    @staticmethod
    def disc_block(
        in_: int, out: int, kernel_size: int = 4, stride: int = 2, final_layer: bool = False
    ) -> nn.Sequential:
        """Return a convolution with BatchNorm and LeakyReLU(0.2), or without both in the final layer."""
        if final_layer:
            return nn.Sequential(nn.Conv2d(in_, out, kernel_size, stride))
        return nn.Sequential(
            nn.Conv2d(in_, out, kernel_size, stride),
            BatchNorm2d(out),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take images (N, im_chan, H, W) in [-1, 1], and labels (N,) if there are classes; return scores (N, 1).

        A score is a logit of "real". H and W may be 22 to 29.

        Raises:
            UserError: the three layers do not reduce H x W to 1 x 1.
        """
        for side in set(image.shape[-2:]):
            if layer_sizes(self.disc, side)[-1] != 1:
                raise UserError(f"this discriminator takes pictures of {PICTURE_SIDE} pixels: {side} do not end at 1x1")
        first, *others = [layer for block in self.disc.children() for layer in block.children()]
        x: Tensor = first(image) if labels is None else first(image, labels)
        for layer in others:
            x = layer(x)
        return x.view(len(image), -1)


def build(config: Config, shape: ImageShape, classes: int) -> tuple[Generator, Discriminator]:
    """Return both networks for the settings, see `families.FamilyModule`."""
    channels, height, width = shape
    generator = Generator(config.z_dim, channels, config.g_width, config.g_norm, classes)
    sizes = layer_sizes(generator, 1)
    if (height, width) != (sizes[-1], sizes[-1]):
        raise UserError(
            f"the network dcgan draws {sizes[-1]}x{sizes[-1]} only (its layers go {'-'.join(map(str, sizes))}), "
            f"not --image-size {height if height == width else f'{height}x{width}'}"
        )
    return generator, Discriminator(channels, config.d_width, config.d_norm, classes)


def init(layer: nn.Module) -> None:
    """Initialize a layer as the study does."""
    init_weights(layer)


def _replace_norm(blocks: nn.Sequential, norm: Norm) -> None:
    """Replace BatchNorm, which all blocks but the last have, by another normalization."""
    if norm == "batch":
        return
    for block in blocks.children():
        assert isinstance(block, nn.Sequential)
        block[0] = normalize_weight(block[0], norm)
        for i, layer in enumerate(block):
            if isinstance(layer, nn.BatchNorm2d):
                block[i] = make_norm(norm, layer.num_features)
