from pathlib import Path

import pytest
import torch

from dcgan.data.open import open_images
from dcgan.images import to_float
from dcgan.metrics.judge import training
from dcgan.metrics.judge.network import load_judge, measure_accuracy, save_judge
from dcgan.metrics.judge.training import jitter_images, train_judge
from tests.metrics.helpers import JUDGE_ORIGIN, make_stripes


@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 20, 37), (4, 16, 16), pytest.param((1, 96, 100), marks=pytest.mark.slow)]
)
def test_it_learns_pictures_of_any_size_and_comes_back_from_its_folder(
    shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training, "MIN_BATCHES", 30)
    pixels, labels = make_stripes(40, shape)
    judge = train_judge(pixels, labels, 2)
    assert measure_accuracy(judge, *make_stripes(100, shape)) > 0.95
    save_judge(judge, tmp_path / "j", JUDGE_ORIGIN)
    loaded = load_judge(tmp_path / "j")
    assert torch.equal(loaded(to_float(pixels[:9])), judge(to_float(pixels[:9])))
    assert loaded.image_shape == shape


def test_the_same_seed_makes_the_same_judge(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "MIN_BATCHES", 2)
    pixels, labels = make_stripes(256, (1, 16, 16))
    first, same, other = (train_judge(pixels, labels, 2, seed=seed, epochs=1).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_the_progress_bar_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(training, "MIN_BATCHES", 2)
    train_judge(*make_stripes(256, (1, 16, 16)), 2, epochs=1, show_progress=False)
    assert capsys.readouterr() == ("", "")
    train_judge(*make_stripes(256, (1, 16, 16)), 2, epochs=1)
    assert "judge" in capsys.readouterr().err


def test_jitter_moves_a_picture_a_little():
    pixels = open_images("mnist", "test").pixels[:64]
    images = to_float(pixels)
    jittered = jitter_images(images, torch.Generator().manual_seed(0))
    assert jittered.shape == images.shape
    assert 0.05 < float((jittered - images).abs().mean()) < 0.3
    # a picture that is rotated, shifted and scaled by a tenth has about as much ink
    assert float(jittered.add(1).mean() / images.add(1).mean()) == pytest.approx(1, abs=0.05)
