"""The study's own functions, under its own names and in its own argument order, for notebooks.

The losses are the engine's (`dcgan.losses`), so what a notebook computes by hand is what `dcgan train` computes.
"""

import torch
from torch import Tensor, nn

from dcgan.training.losses import Criterion, bce_discriminator, non_saturating_generator


def get_noise(n_samples: int, z_dim: int, device: str | torch.device = "cpu") -> Tensor:
    """Latents (n_samples, z_dim) from N(0, 1), from torch's global random state."""
    return torch.randn(n_samples, z_dim, device=device)


def get_gen_loss(
    gen: nn.Module, disc: nn.Module, criterion: Criterion, num_images: int, z_dim: int, device: str | torch.device
) -> Tensor:
    """The generator's loss on fresh fakes: `criterion(D(G(z)), 1)`, a scalar."""
    fake = gen(get_noise(num_images, z_dim, device=device))
    return non_saturating_generator(disc(fake), criterion)


def get_disc_loss(
    gen: nn.Module,
    disc: nn.Module,
    criterion: Criterion,
    real: Tensor,
    num_images: int,
    z_dim: int,
    device: str | torch.device,
) -> Tensor:
    """The discriminator's loss: the mean of `criterion(D(G(z)), 0)` and `criterion(D(x), 1)`, a scalar.

    No gradient reaches the generator. `real` is (N, C, H, W) in [-1, 1].
    """
    fake = gen(get_noise(num_images, z_dim, device=device)).detach()
    fake_scores = disc(fake)  # before the reals, as in the study: BatchNorm's running statistics see that order
    return bce_discriminator(disc(real), fake_scores, criterion)


def show_tensor_images(image_tensor: Tensor, num_images: int = 25, size: tuple[int, int, int] = (1, 28, 28)) -> None:
    """Show a grid of images in [-1, 1], (N, C, H, W) or flattened, five in a row."""
    import matplotlib.pyplot as plt
    from torchvision.utils import make_grid

    images = (image_tensor.detach().cpu().view(-1, *size)[:num_images] + 1) / 2
    plt.imshow(make_grid(images, nrow=5).permute(1, 2, 0).squeeze().numpy())
    plt.axis("off")
    plt.show()
