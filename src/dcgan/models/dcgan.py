"""The study's networks: 28x28, every layer named as it is there.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks" (2016), in the small unpadded form that the study teaches.
"""

from torch import Tensor, nn

from dcgan.config import UserError
from dcgan.models.blocks import layer_sizes
from dcgan.models.saved import SavedGenerator

SIZE = 28
"""The only side these layers can draw: 1-3-6-13-28 up, 28-13-5-1 down."""


class Generator(SavedGenerator):
    """z -> picture: four transposed convolutions, 1-3-6-13-28.

    Args:
        z_dim: length of the latent vector.
        im_chan: channels of the picture.
        hidden_dim: channels before the last layer; the first block has four times as many.
    """

    family = "dcgan"

    def __init__(self, z_dim: int = 10, im_chan: int = 1, hidden_dim: int = 64) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.picture_shape = (im_chan, SIZE, SIZE)
        self.gen = nn.Sequential(
            self.gen_block(z_dim, hidden_dim * 4),
            self.gen_block(hidden_dim * 4, hidden_dim * 2, kernel_size=4, stride=1),
            self.gen_block(hidden_dim * 2, hidden_dim),
            self.gen_block(hidden_dim, im_chan, kernel_size=4, final_layer=True),
        )

    @staticmethod
    def gen_block(
        in_channel: int, out_channel: int, kernel_size: int = 3, stride: int = 2, final_layer: bool = False
    ) -> nn.Sequential:
        """Transposed convolution, then BatchNorm and ReLU, or only Tanh in the final layer."""
        if final_layer:
            return nn.Sequential(nn.ConvTranspose2d(in_channel, out_channel, kernel_size, stride), nn.Tanh())
        return nn.Sequential(
            nn.ConvTranspose2d(in_channel, out_channel, kernel_size=kernel_size, stride=stride),
            nn.BatchNorm2d(out_channel),
            nn.ReLU(inplace=True),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Latents (N, z_dim) -> pictures (N, im_chan, 28, 28) in [-1, 1]."""
        images: Tensor = self.gen(z.view(len(z), self.z_dim, 1, 1))
        return images


class Discriminator(nn.Module):
    """Picture -> score: three convolutions, 28-13-5-1.

    Args:
        im_chan: channels of the picture.
        hidden_dim: channels after the first layer.
    """

    def __init__(self, im_chan: int = 1, hidden_dim: int = 16) -> None:
        super().__init__()
        self.disc = nn.Sequential(
            self.disc_block(im_chan, hidden_dim),
            self.disc_block(hidden_dim, hidden_dim * 2),
            self.disc_block(hidden_dim * 2, 1, final_layer=True),
        )

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

    def forward(self, image: Tensor) -> Tensor:
        """Pictures (N, im_chan, H, W) in [-1, 1] -> scores (N, 1), logits of "real". H and W may be 22 to 29.

        Raises:
            UserError: the three layers do not bring H x W down to 1 x 1.
        """
        for side in set(image.shape[-2:]):
            if layer_sizes(self.disc, side)[-1] != 1:
                raise UserError(f"this discriminator is for pictures of {SIZE} pixels: {side} do not end at 1x1")
        scores: Tensor = self.disc(image)
        return scores.view(len(image), -1)
