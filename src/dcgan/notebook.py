"""The study's own functions, with its names and argument order, and a callback that shows a training in a notebook.

The losses are the engine's (`training.losses`), so a notebook computes by hand what `dcgan train` computes.
"""

from typing import Any

import torch
from torch import Tensor, nn

from dcgan.training.callbacks import LogEvent, SnapshotEvent
from dcgan.training.losses import Criterion, bce_discriminator, non_saturating_generator
from dcgan.training.progress_bar import summarize_measurement


def get_noise(n_samples: int, z_dim: int, device: str | torch.device = "cpu") -> Tensor:
    """Return latents (n_samples, z_dim) from N(0, 1), drawn from torch's global random state."""
    return torch.randn(n_samples, z_dim, device=device)


def get_gen_loss(
    gen: nn.Module, disc: nn.Module, criterion: Criterion, num_images: int, z_dim: int, device: str | torch.device
) -> Tensor:
    """Return the generator's loss on new fakes: `criterion(D(G(z)), 1)`, a scalar."""
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
    """Return the discriminator's loss: the mean of `criterion(D(G(z)), 0)` and `criterion(D(x), 1)`, a scalar.

    No gradient reaches the generator. `real` is (N, C, H, W) in [-1, 1].
    """
    fake = gen(get_noise(num_images, z_dim, device=device)).detach()
    fake_scores = disc(fake)  # before the reals, as in the study: BatchNorm's running statistics depend on the order
    return bce_discriminator(disc(real), fake_scores, criterion)


def show_tensor_images(image_tensor: Tensor, num_images: int = 25, size: tuple[int, int, int] = (1, 28, 28)) -> None:
    """Show a grid of images in [-1, 1], (N, C, H, W) or flattened, five in a row."""
    import matplotlib.pyplot as plt
    from torchvision.utils import make_grid

    images = (image_tensor.detach().cpu().view(-1, *size)[:num_images] + 1) / 2
    plt.imshow(make_grid(images, nrow=5).permute(1, 2, 0).squeeze().numpy())
    plt.axis("off")
    plt.show()


class ShowSnapshots:
    """A callback that shows each grid of samples in a notebook, with the losses below it.

    Use it as `dcgan.train(..., callbacks=[ShowSnapshots()], show_progress=False)`.
    """

    def __init__(self) -> None:
        self._summary = ""

    def on_log(self, event: LogEvent) -> None:
        """Remember the losses and scores."""
        self._summary = summarize_measurement(event)

    def on_snapshot(self, event: SnapshotEvent) -> None:
        """Replace the output of the cell with the new grid."""
        import matplotlib.pyplot as plt

        _clear_output()
        image: Any = plt.imread(str(event.grid))
        plt.imshow(image, cmap="gray", interpolation="nearest")
        plt.title(f"step {event.step:,}, {event.images_seen:,} images")
        plt.axis("off")
        plt.show()
        print(self._summary)


def _clear_output() -> None:
    """Clear the output of the notebook cell; do nothing outside a notebook."""
    try:
        from IPython.display import clear_output
    except ImportError:
        return
    clear_output(wait=True)  # type: ignore[no-untyped-call]
