"""Samples in files of several sizes, and sets that are too small: nothing is resized without a word."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan.data.open import ImageSet, open_images
from dcgan.errors import UserError
from dcgan.evaluation.measure import evaluate
from dcgan.evaluation.samples import match_size, open_samples
from dcgan.evaluation.task import open_task
from tests.conftest import make_picture_folder


def save_noise(folder: Path, count: int, side: int) -> str:
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(side)
    for i in range(count):
        Image.fromarray(noise.integers(0, 256, (side, side, 3)).astype(np.uint8)).save(folder / f"{side} {i}.png")
    return str(folder)


def save_array(path: Path, side: int) -> str:
    np.save(path, np.random.default_rng(0).integers(0, 256, (120, side, side, 3)).astype(np.uint8))
    return str(path)


def real_images(path: str) -> ImageSet:
    return open_images(path, "all")


def test_files_of_several_sizes_need_resize(tmp_path: Path):
    samples = str(make_picture_folder(tmp_path / "mixed", 200))
    real = save_array(tmp_path / "real.npy", 32)
    message = r"mixed has pictures of 20x20 to 20x26, .*real.npy has 32x32, compared at 32x32 RGB: add --resize"
    with pytest.raises(UserError, match=message):
        match_size(open_samples(samples), real_images(real), False, real)
    resized, notes = match_size(open_samples(samples), real_images(real), True, real)
    assert resized.image_shape == (3, 32, 32)
    assert notes == ["the samples of 20x20 to 20x26 were resized to 32x32 (crop)"]


def test_large_files_need_resize_unless_the_real_ones_were_as_large(tmp_path: Path):
    samples, same = save_noise(tmp_path / "a", 20, 100), save_noise(tmp_path / "b", 20, 100)
    other = save_array(tmp_path / "real.npy", 64)
    opened = open_samples(samples)
    assert (opened.image_shape, opened.original_size) == ((3, 64, 64), "100x100")  # opening has resized them
    with pytest.raises(UserError, match=r"a has pictures of 100x100, .* has 64x64, compared at 64x64 RGB: "):
        match_size(opened, real_images(other), False, other)
    assert match_size(opened, real_images(same), False, same)[1] == [
        "the samples of 100x100 were resized to 64x64 (crop)"
    ]


def test_files_of_the_size_of_the_real_ones_are_not_touched(tmp_path: Path):
    samples = save_noise(tmp_path / "a", 20, 32)
    opened = open_samples(samples)
    assert match_size(opened, real_images(save_array(tmp_path / "r.npy", 32)), False, "r") == (opened, [])


@pytest.mark.parametrize(("count", "split", "remedy"), [(2, "all", "add pictures"), (20, "test", "use --split all")])
def test_the_advice_is_not_what_was_done_already(tmp_path: Path, count: int, split: str, remedy: str):
    samples = save_noise(tmp_path / "samples", 300, 32)
    data = save_noise(tmp_path / "real", count, 32)
    with pytest.raises(UserError, match=r"metrics need at least 3 pictures") as error:
        evaluate(samples, data=data, split=split, features="random", show_progress=False)
    assert str(error.value).endswith(remedy)


def test_what_the_given_data_has_passed_over_is_said(tmp_path: Path):
    samples, real = save_noise(tmp_path / "samples", 600, 32), save_noise(tmp_path / "real", 600, 32)
    (tmp_path / "real" / "list.txt").touch()
    (tmp_path / "real" / "damaged.png").touch()
    options = {"n": None, "seeds": 5, "resize": False, "infinite": False, "train_on_fakes": False, "device": "cpu"}
    options["k"] = 5
    task = open_task(samples, data=real, split="all", features="random", show_progress=False, **options)
    first, second = task.notes
    assert first.endswith("real: not read: 1 .txt")
    assert "real: 1 file cannot be used, such as damaged.png (" in second
