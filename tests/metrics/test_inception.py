from pathlib import Path

import pytest
import torch

from dcgan.errors import UserError
from dcgan.metrics.features import FeatureExtractor, open_extractor
from tests.metrics.helpers import random_pixels


@pytest.fixture
def weights_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch-fidelity's weights would be; nothing can be downloaded."""

    def fail_to_download(*arguments: object, **options: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail_to_download)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"


def test_inception_without_weights_is_one_line(weights_path: Path):
    message = r"are missing and cannot be downloaded.*put https://github.com/.* at .*random"
    with pytest.raises(UserError, match=message):
        open_extractor("inception")


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x80\x04\x95cposix\nsystem\n(S'true'\ntR."])
def test_damaged_or_foreign_weights_of_inception_are_refused(weights_path: Path, content: bytes):
    weights_path.parent.mkdir()
    weights_path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged, or not Inception's weights"):
        open_extractor("inception")


def test_inception_accepts_gray_pictures(weights_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The weights have the right names and shapes only: a test cannot download the true ones."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, tensors: None)
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *a, **k: {})
        untrained = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    weights_path.parent.mkdir()
    torch.save(untrained.state_dict(), weights_path)
    extractor: FeatureExtractor = open_extractor("inception")
    features, scores = extractor.extract(random_pixels((2, 1, 28, 28)))
    assert features.shape == (2, 2048)
    assert scores.shape == (2, 1008)
    assert (extractor.name, extractor.feature_count, extractor.classes) == ("inception", 2048, ())
