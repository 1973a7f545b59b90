"""The feature extractor `inception`: torch-fidelity's Inception v3, whose weights are downloaded once."""

import io
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from dcgan.data.resize import convert_channels
from dcgan.errors import UserError
from dcgan.files import printable, sha256
from dcgan.metrics.extractor import FeatureExtractor

FEATURE_COUNT = 2048
"""Length of the feature vector."""
EXTRACTION_BATCH_SIZE = 64
"""Pictures that go through the network at a time."""


def open_inception(device: str) -> FeatureExtractor:
    """Load the extractor `inception`.

    Raises:
        UserError: its weights are missing and cannot be downloaded, or are damaged.
    """
    path = find_inception_weights()
    network = _load_network(path).to(device)

    @torch.no_grad()
    def extract(pixels: Tensor) -> tuple[Tensor, Tensor]:
        batches = torch.split(pixels, EXTRACTION_BATCH_SIZE)
        outputs = [network(convert_channels(batch, 3).to(device)) for batch in batches]
        features, scores = (torch.cat([output[i].cpu() for output in outputs]) for i in (0, 1))
        return features, scores

    # Its thousand classes are not those of the data: the scores are used for the Inception score only.
    return FeatureExtractor("inception", FEATURE_COUNT, extract, weights_key=sha256(path)[:16])


def _load_network(path: Path) -> nn.Module:
    """Load the network. Torch-fidelity would unpickle any object in the file, so it gets a copy with tensors only."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # slow to import

    weights = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about content that it then refuses
            torch.save(torch.load(path, weights_only=True), weights)
        weights.seek(0)
        network: nn.Module = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights
        )
    except Exception:  # a file that any program may have written can fail in any way
        raise UserError(f"{path} is damaged, or not Inception's weights: remove it to download it again") from None
    return network


def find_inception_weights() -> Path:
    """Return the path of torch-fidelity's Inception weights, which are downloaded if they are missing.

    Raises:
        UserError: they are missing and cannot be downloaded.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3  # slow to import

    name = str(URL_INCEPTION_V3).rsplit("/", 1)[1]
    path = Path(str(torch.hub.get_dir())) / "checkpoints" / name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hash_prefix = name.removesuffix(".pth").rsplit("-", 1)[1]
        torch.hub.download_url_to_file(URL_INCEPTION_V3, os.fspath(path), hash_prefix=hash_prefix)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the weights of inception are missing and cannot be downloaded ({printable(str(error))[:80]}): put "
            f"{URL_INCEPTION_V3} at {path}, or use --features judge or random"
        ) from None
    return path
