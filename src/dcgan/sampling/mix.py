"""Pictures between two classes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.errors import UserError
from dcgan.images import Pixels, to_uint8
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.saved import SavedGenerator


def draw_mixed(generator: SavedGenerator, z: Tensor, labels: Tensor, other: int, share: float) -> Pixels:
    """Draw pictures of classes that are mixed with another class, uint8 (N, H, W, C).

    What the network knows of a class is a vector, and those of both classes are averaged with weights. In a network
    with groups, the vectors are those of the group that a latent chooses in each class.

    Args:
        generator: in evaluation mode, with classes; possibly fused by `fuse_for_inference`.
        z: latents, (N, z_dim).
        labels: the classes, int64 (N,).
        other: the class that all are mixed with.
        share: its weight, from 0 (none) to 1 (it alone).

    Raises:
        UserError: the network takes no weights of classes.
    """
    others = torch.full_like(labels, other)
    network, latents = generator, z
    if isinstance(generator, GroupedGenerator):
        first, second = generator.group_weights(z, labels), generator.group_weights(z, others)
        assert isinstance(generator.network, SavedGenerator)
        network, latents = generator.network, z[:, generator.groups :]
    else:
        first, second = (F.one_hot(each, generator.classes).float() for each in (labels, others))
    try:
        with torch.no_grad():  # in one batch, which is not filled up: somebody waits
            return to_uint8(network(latents, torch.lerp(first, second, share)))
    except (TypeError, IndexError, RuntimeError):
        raise UserError("this network cannot mix classes") from None
