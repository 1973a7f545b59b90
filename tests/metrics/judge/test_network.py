import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.metrics.judge import network
from dcgan.metrics.judge.network import judge_images, load_judge, load_shipped_judge, measure_accuracy

SHIPPED = Path(str(files("dcgan.metrics") / "judge_mnist"))


@pytest.fixture
def judge_folder(tmp_path: Path) -> Path:
    """A copy of the shipped judge, to be damaged."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "judge"))


def test_the_shipped_judge_recognizes_the_test_digits_as_its_card_says():
    config, test = json.loads((SHIPPED / "config.json").read_text()), open_images("mnist", "test")
    accuracy = measure_accuracy(load_shipped_judge(), test.pixels, test.labels)
    assert accuracy >= 0.994
    assert accuracy == pytest.approx(config["accuracy"], abs=2e-4)  # other threads or kernels can change one or two
    assert (SHIPPED / "model.safetensors").stat().st_size < 1_000_000
    assert "--seed 0" in config["command"]
    assert config["command"] in (SHIPPED / "README.md").read_text()


def test_the_result_does_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch):
    judge, pixels = load_shipped_judge(), open_images("mnist", "test").pixels[:70]
    features, scores = judge_images(judge, pixels)
    assert features.shape == (70, network.FEATURE_COUNT)
    assert scores.shape == (70, 10)
    monkeypatch.setattr(network, "JUDGE_BATCH_SIZE", 7)
    for expected, actual in zip((features, scores), judge_images(judge, pixels), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def change_config(judge_folder: Path, **values: object) -> None:
    config = json.loads((judge_folder / "config.json").read_text())
    (judge_folder / "config.json").write_text(json.dumps(config | values))


@pytest.mark.parametrize(
    "values",
    [
        {"shape": [1, 28]},
        {"shape": "28"},
        {"classes": 10**9},
        {"classes": True},
        {"width": 10**9},
        {"width": 0},
        {"shape": [1, 28, 10**6]},
    ],
)
def test_a_config_that_describes_no_judge_is_refused(values: dict[str, object], judge_folder: Path):
    change_config(judge_folder, **values)
    with pytest.raises(UserError, match="describes no judge"):
        load_judge(judge_folder)


def change_data_type(path: Path) -> None:
    save_file({name: tensor.float() for name, tensor in load_file(path).items()}, path)


def remove_tensor(path: Path) -> None:
    tensors = load_file(path)
    del tensors["head.bias"]
    save_file(tensors, path)


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [change_data_type, remove_tensor, flip_bit, Path.unlink, lambda p: p.write_bytes(b"\x80\x04.")]
)
def test_damaged_weights_are_refused(damage: Callable[[Path], object], judge_folder: Path):
    damage(judge_folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_judge(judge_folder)
