"""Pictures -> features, by the name that stands beside every figure.

- `judge`: 64 penultimate features and class scores of the digit judge in the package. Of stacked digits each
  channel is judged alone: 192 features, and three digits read as one number.
- a folder that `python -m dcgan.metrics.judge` wrote: a judge of your own data.
- `random`: 64 features of a small VGG16 whose weights are drawn from a fixed seed and never trained, for any data and
  offline (Naeem et al. 2020 use such a network far from ImageNet). Its distances have no unit of their own.
- `inception`: torch-fidelity's Inception v3, 2048 features, where its weights are on the disk or can be fetched.
"""

import hashlib
import io
import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.errors import UserError, did_you_mean
from dcgan.files import printable, sha256
from dcgan.images import to_float
from dcgan.metrics import judge as judges
from dcgan.rng import derive_seed

EXTRACT_BATCH = 500
"""Pictures that go through a network at a time."""
ExtractedBatch = tuple[Tensor, Tensor | None]
"""Features float32 (N, length), and class scores (N, classes) if the network is a classifier. On the CPU."""


@dataclass(frozen=True)
class FeatureExtractor:
    """What turns pictures into features.

    Attributes:
        name: as it stands beside the figures.
        length: of the features.
        see: pictures uint8 (N, C, H, W) -> features and class scores.
        shape: (C, H, W) of the pictures that it reads; None where any will do.
        classes: the names of the scores' classes; none without.
        stacked: each channel is a picture of its own, and the scores are those of each in turn (N, C * classes).
        key: of the weights: with other weights another key.
    """

    name: str
    length: int
    see: Callable[[Tensor], ExtractedBatch]
    shape: tuple[int, int, int] | None = None
    classes: tuple[str, ...] = ()
    stacked: bool = False
    key: str = ""


def open_extractor(name: str, *, stacked: bool = False, device: str = "cpu") -> FeatureExtractor:
    """Make ready what turns pictures into features.

    Args:
        name: `judge`, `inception`, `random`, or the folder of a judge made with `dcgan.metrics.judge`.
        stacked: the pictures are digits stacked as channels (`judge` only).
        device: where the network computes.

    Raises:
        UserError: there are no such features, or their weights are not there.
    """
    if name in EXTRACTORS:
        return EXTRACTORS[name](device, stacked)
    if (Path(name) / "config.json").is_file():
        return _judged(judges.load_judge(Path(name)), f"judge:{printable(name)}", device, False)
    raise UserError(
        f"there are no features {printable(name)!r}{did_you_mean(name, EXTRACTORS)}: give {', '.join(EXTRACTORS)}, "
        "or the folder of a judge of your own"
    )


def _shipped(device: str, stacked: bool) -> FeatureExtractor:
    return _judged(judges.load_shipped_judge(), "judge", device, stacked)


def _judged(judge: judges.Judge, name: str, device: str, stacked: bool) -> FeatureExtractor:
    judge = judge.to(device)
    channels, height, width = judge.shape
    shape = (3 * channels, height, width) if stacked else judge.shape

    def see(pixels: Tensor) -> ExtractedBatch:
        if not stacked:
            features, scores = judges.judge_images(judge, pixels)
            return features, scores
        n = len(pixels)
        features, scores = judges.judge_images(judge, pixels.reshape(3 * n, channels, height, width))
        return features.reshape(n, -1), scores.reshape(n, -1)  # (N, 3 * 64), (N, 3 * 10)

    length = judges.FEATURES * (3 if stacked else 1)
    names = judge.names or tuple(map(str, range(judge.classes)))
    return FeatureExtractor(name, length, see, shape, names, stacked, _key(judge))


def _key(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


VGG16 = ((16, 16), (32, 32), (64, 64, 64), (128, 128, 128), (128, 128, 128))
"""Channels of its thirteen convolutions, a quarter of the original's; the largest of each 2x2 pixels after each row."""
RANDOM_LENGTH, RANDOM_SIDE, RANDOM_SEED = 64, 32, 2020


class RandomVgg(nn.Module):
    """VGG16 (Simonyan, Zisserman 2014) with a quarter of its channels and weights from a fixed seed.

    The weights come from a counter-based stream, so they are the same with every version of torch.
    """

    def __init__(self) -> None:
        super().__init__()
        source = np.random.Generator(np.random.Philox(key=derive_seed(RANDOM_SEED, 0)))
        layers: list[nn.Module] = []
        before = 3
        for row in VGG16:
            for after in row:
                layers += [_drawn(nn.Conv2d(before, after, 3, padding=1, bias=False), 9 * before, source), nn.ReLU()]
                before = after
            layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers, nn.Flatten())  # (N, 128)
        self.last = _drawn(nn.Linear(before, RANDOM_LENGTH, bias=False), before, source)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, 32, 32) in [-1, 1] -> features (N, 64)."""
        found: Tensor = self.last(self.body(images))
        return found


def _drawn(layer: nn.Conv2d | nn.Linear, inputs: int, source: np.random.Generator) -> nn.Module:
    """He et al. (2015): N(0, 2 / inputs), which keeps the size of what passes ReLUs."""
    weight = source.standard_normal(tuple(layer.weight.shape), dtype=np.float32) * math.sqrt(2 / inputs)
    layer.weight.data.copy_(torch.from_numpy(weight))
    return layer


def _random(device: str, stacked: bool) -> FeatureExtractor:
    network = RandomVgg().to(memory_format=torch.channels_last).to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def see(pixels: Tensor) -> ExtractedBatch:
        parts = []
        for piece in torch.split(pixels, EXTRACT_BATCH):
            images = to_float(_three_channels(piece).to(device))
            if images.shape[2:] != (RANDOM_SIDE, RANDOM_SIDE):
                size = (RANDOM_SIDE, RANDOM_SIDE)
                images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
            parts.append(network(images.to(memory_format=torch.channels_last)).cpu())
        return torch.cat(parts), None

    return FeatureExtractor("random", RANDOM_LENGTH, see, key=_key(network))


def _three_channels(pixels: Tensor) -> Tensor:
    """Gray as three equal channels; RGBA as it looks on white."""
    if pixels.shape[1] == 1:
        return pixels.expand(-1, 3, -1, -1)
    if pixels.shape[1] == 4:
        opacity = pixels[:, 3:].float() / 255
        return (pixels[:, :3] * opacity + 255 * (1 - opacity)).round().to(torch.uint8)
    return pixels


INCEPTION_LENGTH = 2048


def _inception(device: str, stacked: bool) -> FeatureExtractor:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # torch-fidelity would unpickle whatever is in the file. It gets a copy made of tensors only.
    weights = io.BytesIO()
    path = inception_weights()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused in the next moment
            torch.save(torch.load(path, weights_only=True), weights)
        weights.seek(0)
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights
        ).to(device)
    except Exception:  # a file from anywhere fails in any way
        raise UserError(f"{path} is damaged, or not Inception's weights: remove it, and it is fetched again") from None

    @torch.no_grad()
    def see(pixels: Tensor) -> ExtractedBatch:
        parts = [network(_three_channels(piece).to(device)) for piece in torch.split(pixels, 64)]
        features, scores = (torch.cat([part[i].cpu() for part in parts]) for i in (0, 1))
        return features, scores

    # Its thousand classes are not the data's: the scores serve the Inception score only.
    return FeatureExtractor("inception", INCEPTION_LENGTH, see, key=sha256(path)[:16])


def inception_weights() -> Path:
    """Where torch-fidelity's Inception weights lie; they are fetched if they are not there yet.

    Raises:
        UserError: they are neither on the disk nor to be had.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    name = str(URL_INCEPTION_V3).rsplit("/", 1)[1]
    path = Path(str(torch.hub.get_dir())) / "checkpoints" / name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = name.removesuffix(".pth").rsplit("-", 1)[1]
        torch.hub.download_url_to_file(URL_INCEPTION_V3, os.fspath(path), hash_prefix=prefix)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the weights of inception are not there and cannot be fetched ({printable(str(error))[:80]}): put "
            f"{URL_INCEPTION_V3} at {path}, or use --features judge or random"
        ) from None
    return path


EXTRACTORS: dict[str, Callable[[str, bool], FeatureExtractor]] = {
    "judge": _shipped,
    "inception": _inception,
    "random": _random,
}
