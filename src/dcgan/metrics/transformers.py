"""The feature extractors `dinov2` and `clip`: vision transformers whose weights are downloaded from the Hub once."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.data.resize import convert_channels
from dcgan.errors import UserError
from dcgan.files import error_reason, sha256
from dcgan.metrics.extractor import FeatureExtractor

INPUT_SIDE = 224
"""Height and width that pictures are resized to, in pixels."""
EXTRACTION_BATCH_SIZE = 16
"""Pictures that go through the network at a time."""
WEIGHTS_FILE = "model.safetensors"
"""The file on the Hub. It holds tensors only."""


@dataclass(frozen=True)
class VisionTransformer:
    """A network of timm, and where its weights are.

    Attributes:
        architecture: timm's name of the network with its weights.
        hub_id: where the Hub has the weights.
        megabytes: the size of the download.
        feature_count: the length of the feature vector.
        notice: what the weights were trained on, and their license.
    """

    architecture: str
    hub_id: str
    megabytes: int
    feature_count: int
    notice: str


VISION_TRANSFORMERS = {
    # Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision" (2023). The features are those of the
    # class token after the last normalization.
    "dinov2": VisionTransformer(
        "vit_small_patch14_dinov2.lvd142m",
        "timm/vit_small_patch14_dinov2.lvd142m",
        88,
        384,
        "dinov2: DINOv2 ViT-S/14, trained without labels on Meta's 142 million pictures LVD-142M; Apache License 2.0. "
        "Papers that report distances on DINOv2 use ViT-L/14, whose values are others",
    ),
    # Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021). The features are
    # the picture's embedding, before it is brought to length 1.
    "clip": VisionTransformer(
        "vit_base_patch32_clip_quickgelu_224.openai",
        "timm/vit_base_patch32_clip_224.openai",
        353,
        512,
        "clip: CLIP ViT-B/32, trained by OpenAI on 400 million pictures of the web with their captions; MIT License",
    ),
}
"""The networks by the names of their features."""


def open_transformer(name: str, device: str) -> FeatureExtractor:
    """Load the extractor `dinov2` or `clip`.

    Raises:
        UserError: timm is missing, or the weights are missing and cannot be downloaded, or are damaged.
    """
    entry = VISION_TRANSFORMERS[name]
    path = find_transformer_weights(name)
    network = _load_network(entry, path).to(device)
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in _normalization(network))

    @torch.no_grad()
    def extract(pixels: Tensor) -> tuple[Tensor, None]:
        features = []
        for batch in torch.split(pixels, EXTRACTION_BATCH_SIZE):
            images = convert_channels(batch, 3).to(device).float() / 255
            images = F.interpolate(images, (INPUT_SIDE, INPUT_SIDE), mode="bicubic", antialias=True).clamp(0, 1)
            features.append(network((images - mean) / deviation).cpu())
        return torch.cat(features), None

    return FeatureExtractor(name, entry.feature_count, extract, weights_key=sha256(path)[:16], notices=(entry.notice,))


def _normalization(network: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the means and the standard deviations of channels in [0, 1] that the network was trained with."""
    config: dict[str, tuple[float, ...]] = network.pretrained_cfg  # type: ignore[assignment]
    return config["mean"], config["std"]


def _load_network(entry: VisionTransformer, path: Path) -> nn.Module:
    """Build the network with the weights of a file of tensors."""
    import timm  # slow to import

    try:
        network: nn.Module = timm.create_model(
            entry.architecture,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(path)},
            img_size=INPUT_SIDE,  # timm interpolates the embeddings of the positions
        )
    except Exception:  # a file that any program may have written can fail in any way
        raise UserError(
            f"{path} is damaged, or not the weights of {entry.architecture}: remove it to download it again"
        ) from None
    return network.eval().requires_grad_(False)


def find_transformer_weights(name: str) -> Path:
    """Return the path of the weights in the Hub's cache; they are downloaded if they are missing.

    Raises:
        UserError: they are missing and cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils import logging as hub_logging

    entry = VISION_TRANSFORMERS[name]
    try:
        return Path(hf_hub_download(entry.hub_id, WEIGHTS_FILE, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)  # each of five attempts would be two lines
    try:
        return Path(hf_hub_download(entry.hub_id, WEIGHTS_FILE))
    except (HfHubHTTPError, OSError) as error:
        reason = error_reason(error, 80)
        raise UserError(
            f"the weights of {name} ({entry.megabytes} MB) are missing and {entry.hub_id} cannot be downloaded "
            f"({reason}): connect to the network, or use --features lite0, lite2 or random"
        ) from None
    finally:
        hub_logging.set_verbosity(verbosity)
