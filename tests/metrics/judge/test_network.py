import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.images import to_float
from dcgan.metrics import judge as judges

SHIPPED = Path(str(files("dcgan.metrics") / "judge_mnist"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A copy of the shipped judge, to be damaged."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "judge"))


def test_the_shipped_judge_reads_the_test_digits_as_its_card_says():
    about, test = json.loads((SHIPPED / "config.json").read_text()), open_images("mnist", "test")
    measured = judges.judge_accuracy(judges.load_shipped_judge(), test.pixels, test.labels)
    assert measured >= 0.994
    assert measured == pytest.approx(about["accuracy"], abs=2e-4)  # other threads or kernels may turn a digit or two
    assert (SHIPPED / "model.safetensors").stat().st_size < 1_000_000
    assert "--seed 0" in about["command"]
    assert about["command"] in (SHIPPED / "README.md").read_text()


def test_a_look_does_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch):
    judge, pixels = judges.load_shipped_judge(), open_images("mnist", "test").pixels[:70]
    features, scores = judges.judge_images(judge, pixels)
    assert features.shape == (70, judges.FEATURES)
    assert scores.shape == (70, 10)
    monkeypatch.setattr(judges, "CHUNK", 7)
    for one, other in zip((features, scores), judges.judge_images(judge, pixels), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def _stripes(n: int, shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes that a classifier learns at once: bright above or bright below, with noise."""
    source = torch.Generator().manual_seed(0)
    pixels, labels = torch.randint(100, (n, *shape), generator=source), torch.arange(n) % 2
    half = shape[1] // 2
    pixels[labels == 0, :, :half] += 100
    pixels[labels == 1, :, half:] += 100
    return pixels.to(torch.uint8), labels


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 37), (4, 16, 16), (1, 96, 100)])
def test_it_learns_pictures_of_any_size_and_comes_back_from_its_folder(
    shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(judges, "LEAST_BATCHES", 30)
    pixels, labels = _stripes(40, shape)
    judge = judges.train_judge(pixels, labels, 2)
    assert judges.judge_accuracy(judge, *_stripes(100, shape)) > 0.95
    about = {"data": "d", "accuracy": 1.0, "train_pictures": 2, "test_pictures": 1, "seed": 0, "command": "c"}
    judges.save_judge(judge, tmp_path / "j", about)
    again = judges.load_judge(tmp_path / "j")
    assert torch.equal(again(to_float(pixels[:9])), judge(to_float(pixels[:9])))
    assert again.shape == shape


def test_the_same_seed_makes_the_same_judge(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judges, "LEAST_BATCHES", 2)
    pixels, labels = _stripes(256, (1, 16, 16))
    one, same, other = (judges.train_judge(pixels, labels, 2, seed=seed, epochs=1).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_jitter_moves_a_picture_a_little():
    pixels = open_images("mnist", "test").pixels[:64]
    images = to_float(pixels)
    varied = judges.jitter(images, torch.Generator().manual_seed(0))
    assert varied.shape == images.shape
    assert 0.05 < float((varied - images).abs().mean()) < 0.3
    # ink is kept: what is turned, moved and scaled by a tenth has about as much
    assert float(varied.add(1).mean() / images.add(1).mean()) == pytest.approx(1, abs=0.05)


def _set(saved: Path, **values: object) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | values))


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
def test_a_config_that_describes_no_judge_is_refused(values: dict[str, object], saved: Path):
    _set(saved, **values)
    with pytest.raises(UserError, match="describes no judge"):
        judges.load_judge(saved)


def _other_dtype(path: Path) -> None:
    save_file({name: tensor.float() for name, tensor in load_file(path).items()}, path)


def _one_less(path: Path) -> None:
    tensors = load_file(path)
    del tensors["head.bias"]
    save_file(tensors, path)


def _bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_other_dtype, _one_less, _bit, Path.unlink, lambda p: p.write_bytes(b"\x80\x04.")])
def test_damaged_weights_are_refused(damage: Callable[[Path], object], saved: Path):
    damage(saved / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        judges.load_judge(saved)


def test_the_script_makes_a_judge_of_any_labelled_data(tmp_path: Path):
    pixels, labels = _stripes(300, (1, 16, 16))
    np.savez(tmp_path / "d.npz", arr_0=pixels.permute(0, 2, 3, 1).numpy(), arr_1=labels.numpy())
    words = ["--data", str(tmp_path / "d.npz"), "--out", str(tmp_path / "j"), "--epochs", "1"]
    made = subprocess.run(
        [sys.executable, "-m", "dcgan.metrics.judge", *words], check=True, capture_output=True, text=True
    )
    assert "Warning" not in made.stderr
    printed, kept = json.loads(made.stdout), json.loads((tmp_path / "j" / "config.json").read_text())
    assert printed["accuracy"] == kept["accuracy"] > 0.9
    assert kept["train_pictures"] + kept["test_pictures"] < 300  # the validation part is neither
    assert kept["names"] == ["0", "1"]
    assert judges.load_judge(tmp_path / "j").classes == 2


def test_the_script_refuses_data_without_labels(tmp_path: Path):
    pixels, _ = _stripes(300, (1, 16, 16))
    np.savez(tmp_path / "d.npz", arr_0=pixels.permute(0, 2, 3, 1).numpy())
    words = ["--data", str(tmp_path / "d.npz"), "--out", str(tmp_path / "j")]
    made = subprocess.run([sys.executable, "-m", "dcgan.metrics.judge", *words], capture_output=True, text=True)
    assert made.returncode == 2
    assert made.stderr.startswith("judge: ")
    assert "has no labels" in made.stderr
    assert made.stderr.count("\n") == 1
    assert not (tmp_path / "j").exists()
