import json
import logging
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image
from safetensors.torch import save_file

from dcgan.cli.main import run
from dcgan.errors import UserError
from dcgan.metrics import transformers
from dcgan.metrics.features import open_extractor
from dcgan.metrics.transformers import VISION_TRANSFORMERS
from tests.metrics.helpers import random_pixels


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the network of `dinov2`, as the Hub has its trained ones: for pictures of 518x518."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("hub") / "model.safetensors"
    save_file(timm.create_model(VISION_TRANSFORMERS["dinov2"].architecture).state_dict(), path)
    return path


@pytest.fixture
def cached(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's cache has the weights; nothing can be downloaded."""

    def find_in_cache(hub_id: str, file: str, *, local_files_only: bool = False) -> str:
        assert (hub_id, file, local_files_only) == (VISION_TRANSFORMERS["dinov2"].hub_id, "model.safetensors", True)
        return str(weights)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", find_in_cache)
    return weights


def test_dinov2_accepts_pictures_of_any_shape(cached: Path):
    extractor = open_extractor("dinov2")
    for shape in ((1, 28, 28), (4, 30, 20)):
        features, scores = extractor.extract(random_pixels((2, *shape)))
        assert features.shape == (2, extractor.feature_count)
        assert features.isfinite().all()
        assert scores is None
    assert "ViT-S/14" in extractor.notices[0]
    assert "Apache License 2.0" in extractor.notices[0]


def test_pictures_are_prepared_as_timm_prepares_them(cached: Path):
    network = timm.create_model(
        "vit_small_patch14_dinov2", pretrained=True, pretrained_cfg_overlay={"file": str(cached)}, img_size=224
    )
    options = timm.data.resolve_data_config({"input_size": (3, 224, 224)}, model=network)
    pixels = random_pixels((1, 3, 224, 224))
    image = timm.data.create_transform(**options)(Image.fromarray(pixels[0].permute(1, 2, 0).numpy()))
    with torch.no_grad():
        expected = network.eval()(image.unsqueeze(0))
    torch.testing.assert_close(open_extractor("dinov2").extract(pixels)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_clip_gives_its_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model.safetensors"
    save_file(timm.create_model(VISION_TRANSFORMERS["clip"].architecture).state_dict(), path)
    monkeypatch.setattr(transformers, "find_transformer_weights", lambda name: path)
    extractor = open_extractor("clip")
    assert extractor.extract(random_pixels((2, 3, 32, 32)))[0].shape == (2, extractor.feature_count)


@pytest.mark.slow
def test_from_command_to_json(
    cached: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transformers, "INPUT_SIDE", 28)  # four patches instead of 256
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
        for i, image in enumerate(random_pixels((520, 8, 8, 3)).roll(int(name == "fake"), 1).numpy()):
            Image.fromarray(image).save(tmp_path / name / f"{i}.png")
    data = ["--data", str(tmp_path / "real"), "--split", "all"]
    assert run(["evaluate", str(tmp_path / "fake"), *data, "--features", "dinov2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["features"] == "dinov2"
    assert any(note.startswith("dinov2: DINOv2 ViT-S/14, trained") for note in result["notes"])


@pytest.mark.parametrize("name", VISION_TRANSFORMERS)
def test_without_a_network_there_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail_to_download)
    with pytest.raises(UserError, match=rf"^the weights of {name} \(\d+ MB\) are missing and timm/.* cannot be downl"):
        open_extractor(name)


def fail_to_download(*arguments: object, local_files_only: bool = False) -> None:
    if not local_files_only:
        logging.getLogger("huggingface_hub").warning("retrying")  # as the Hub's client does several times
        assert not logging.getLogger("huggingface_hub").isEnabledFor(logging.WARNING)
    raise LocalEntryNotFoundError("no connection")


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing")
    monkeypatch.setattr(transformers, "find_transformer_weights", lambda name: path)
    with pytest.raises(UserError, match=r"model\.safetensors is damaged, or not the weights of vit_small"):
        open_extractor("dinov2")
