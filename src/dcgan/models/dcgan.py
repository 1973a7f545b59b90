"""The study's networks: 28x28, every layer named as it is there.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks" (2016), in the small unpadded form that the study teaches. Without classes and with BatchNorm they are the
study's to the letter. With classes, a one-hot vector is put behind z and one-hot maps behind the picture's channels
(Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014).
"""

from torch import Tensor, nn

from dcgan.config import Norm
from dcgan.errors import UserError
from dcgan.models.blocks import ConvTranspose2d, LabelConv2d, append_one_hot, layer_sizes, norm_layer, with_weight_norm
from dcgan.models.saved import SavedGenerator

SIZE = 28
"""The only side these layers can draw: 1-3-6-13-28 up, 28-13-5-1 down."""


class Generator(SavedGenerator):
    """z -> picture: four transposed convolutions, 1-3-6-13-28.

    Args:
        z_dim: length of the latent vector.
        im_chan: channels of the picture.
        hidden_dim: channels before the last layer; the first block has four times as many.
        norm: what normalises the three hidden layers; the study's is `batch`.
        classes: how many it can draw, 0 for an unconditional one.
    """

    family = "dcgan"

    def __init__(
        self, z_dim: int = 10, im_chan: int = 1, hidden_dim: int = 64, norm: Norm = "batch", classes: int = 0
    ) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.classes = classes
        self.picture_shape = (im_chan, SIZE, SIZE)
        self.gen = nn.Sequential(
            self.gen_block(z_dim + classes, hidden_dim * 4),
            self.gen_block(hidden_dim * 4, hidden_dim * 2, kernel_size=4, stride=1),
            self.gen_block(hidden_dim * 2, hidden_dim),
            self.gen_block(hidden_dim, im_chan, kernel_size=4, final_layer=True),
        )
        _normalise(self.gen, norm)

    @staticmethod
    def gen_block(
        in_channel: int, out_channel: int, kernel_size: int = 3, stride: int = 2, final_layer: bool = False
    ) -> nn.Sequential:
        """Transposed convolution, then BatchNorm and ReLU, or only Tanh in the final layer."""
        if final_layer:
            return nn.Sequential(ConvTranspose2d(in_channel, out_channel, kernel_size, stride), nn.Tanh())
        return nn.Sequential(
            ConvTranspose2d(in_channel, out_channel, kernel_size=kernel_size, stride=stride),
            nn.BatchNorm2d(out_channel),
            nn.ReLU(inplace=True),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim), and labels (N,) if there are classes -> pictures (N, im_chan, 28, 28) in [-1, 1]."""
        z = z if labels is None else append_one_hot(z, labels, self.classes)
        images: Tensor = self.gen(z.view(*z.shape, 1, 1))
        return images


class Discriminator(nn.Module):
    """Picture -> score: three convolutions, 28-13-5-1.

    Args:
        im_chan: channels of the picture.
        hidden_dim: channels after the first layer.
        norm: what normalises the two hidden layers; the study's is `batch`.
        classes: how many, 0 for an unconditional one.
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
        _normalise(self.disc, norm)

    @staticmethod
    def disc_block(
        in_: int, out: int, kernel_size: int = 4, stride: int = 2, final_layer: bool = False
    ) -> nn.Sequential:
        """Convolution, then BatchNorm and LeakyReLU(0.2), or nothing more in the final layer."""
        if final_layer:
            return nn.Sequential(nn.Conv2d(in_, out, kernel_size, stride))
        return nn.Sequential(
            nn.Conv2d(in_, out, kernel_size, stride),
            nn.BatchNorm2d(out),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures (N, im_chan, H, W) in [-1, 1], and labels (N,) if there are classes -> scores (N, 1).

        A score is a logit of "real". H and W may be 22 to 29.

        Raises:
            UserError: the three layers do not bring H x W down to 1 x 1.
        """
        for side in set(image.shape[-2:]):
            if layer_sizes(self.disc, side)[-1] != 1:
                raise UserError(f"this discriminator is for pictures of {SIZE} pixels: {side} do not end at 1x1")
        first, *others = [layer for block in self.disc.children() for layer in block.children()]
        x: Tensor = first(image) if labels is None else first(image, labels)
        for layer in others:
            x = layer(x)
        return x.view(len(image), -1)


def _normalise(blocks: nn.Sequential, norm: Norm) -> None:
    """Put another normalisation in the place of BatchNorm, which all blocks but the last have."""
    if norm == "batch":
        return
    for block in blocks.children():
        assert isinstance(block, nn.Sequential)
        block[0] = with_weight_norm(block[0], norm)
        for i, layer in enumerate(block):
            if isinstance(layer, nn.BatchNorm2d):
                block[i] = norm_layer(norm, layer.num_features)
