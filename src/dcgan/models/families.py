"""The families of networks: how each is built from the settings."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.models import dcgan, dcgan64, mlp, resnet
from dcgan.models.blocks import init_weights, layer_sizes
from dcgan.models.saved import SavedGenerator

Shape = tuple[int, int, int]
"""(C, H, W) of a picture."""
Pair = tuple[SavedGenerator, nn.Module]


@dataclass(frozen=True)
class Family:
    """One kind of network pair.

    Attributes:
        generator: the class, for reading saved ones.
        build: (settings, shape of a picture, classes or 0) -> generator and discriminator, weights as drawn by torch.
        init: what the weights start from, applied to every module.
    """

    generator: type[SavedGenerator]
    build: Callable[[Config, Shape, int], Pair]
    init: Callable[[nn.Module], None]


def _build_mlp(config: Config, shape: Shape, classes: int) -> Pair:
    generator = mlp.FlatGenerator(config.z_dim, shape, config.g_width, config.g_norm, classes)
    return generator, mlp.FlatDiscriminator(shape, config.d_width, config.d_norm, classes)


def _build_dcgan(config: Config, shape: Shape, classes: int) -> Pair:
    channels, height, width = shape
    generator = dcgan.Generator(config.z_dim, channels, config.g_width, config.g_norm, classes)
    sizes = layer_sizes(generator, 1)
    if (height, width) != (sizes[-1], sizes[-1]):
        raise UserError(
            f"the network dcgan draws {sizes[-1]}x{sizes[-1]} only (its layers go {'-'.join(map(str, sizes))}), "
            f"not --image-size {height if height == width else f'{height}x{width}'}"
        )
    return generator, dcgan.Discriminator(channels, config.d_width, config.d_norm, classes)


def _build_dcgan64(config: Config, shape: Shape, classes: int) -> Pair:
    generator = dcgan64.PaperGenerator(config.z_dim, shape, config.g_width, config.g_norm, classes)
    return generator, dcgan64.PaperDiscriminator(shape, config.d_width, config.d_norm, classes)


def _build_resnet(config: Config, shape: Shape, classes: int) -> Pair:
    resnet.check_norm("g-norm", config.g_norm)
    resnet.check_norm("d-norm", config.d_norm)
    generator = resnet.ResidualGenerator(config.z_dim, shape, config.g_width, classes)
    return generator, resnet.ResidualDiscriminator(shape, config.d_width, classes)


FAMILIES: dict[str, Family] = {
    "mlp": Family(mlp.FlatGenerator, _build_mlp, mlp.init),
    "dcgan": Family(dcgan.Generator, _build_dcgan, init_weights),
    "dcgan64": Family(dcgan64.PaperGenerator, _build_dcgan64, dcgan64.init),
    "resnet": Family(resnet.ResidualGenerator, _build_resnet, resnet.init),
}
