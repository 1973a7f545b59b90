from pathlib import Path

import numpy as np
import pytest
import torch

import dcgan
from dcgan.data.open import ImageSet
from dcgan.errors import UserError
from dcgan.evaluation import samples as samples_module
from dcgan.evaluation.samples import SampleSource, match_classes, match_shape, open_samples, samples_of_images
from dcgan.images import save_png
from dcgan.run.folder import RunFolder
from dcgan.sampling.output import write_sample_stream
from tests.conftest import SMALL


def draw_pixels(samples: SampleSource, seed: int, n: int) -> np.ndarray:
    """Return the samples as one array (N, H, W, C)."""
    return torch.cat([pixels for pixels, _ in samples.draw(seed, n)]).permute(0, 2, 3, 1).numpy()


def test_the_samples_of_a_model_are_those_that_it_draws(finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples_module, "EVALUATION_BATCH_SIZE", 128)
    samples = open_samples(finished_run.path)
    assert np.array_equal(draw_pixels(samples, 3, 300), dcgan.load(finished_run).sample(300, 3))
    assert (samples.image_shape, samples.training_data.name) == ((1, 28, 28), "mnist")
    assert (samples.count, samples.classes) == (None, ())


def test_the_samples_of_a_conditional_model_have_requested_classes(tmp_path: Path):
    run = dcgan.train("cgan", out=tmp_path / "r", steps=1, **SMALL)
    samples = open_samples(dcgan.load(run))
    [(_, labels)] = samples.draw(0, 25)
    assert labels.tolist() == [i % 10 for i in range(25)]
    assert samples.classes == tuple("0123456789")


@pytest.mark.parametrize("name", ["s.npz", "s.npy", "folder"])
def test_files_are_samples(finished_run: RunFolder, tmp_path: Path, name: str):
    model, path = dcgan.load(finished_run), tmp_path / name
    pixels = model.sample(40)
    np.save(path, pixels) if name.endswith("npy") else write_sample_stream(model.stream(40), path)
    samples = open_samples(str(path))
    assert samples.count == 40
    drawn = draw_pixels(samples, 0, 40)
    assert np.array_equal(np.sort(drawn.sum((1, 2, 3))), np.sort(pixels.sum((1, 2, 3))))
    assert np.array_equal(draw_pixels(samples, 9, 15), drawn[:15])  # the same random order for every seed


@pytest.mark.parametrize("name", ["nowhere", "no/where/at/all", "user/name.npz"])
def test_a_missing_source_is_one_line(name: str):
    with pytest.raises(UserError, match=name):
        open_samples(name)


def test_a_damaged_model_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="there is no model in"):
        open_samples(tmp_path)


def make_images(classes: tuple[str, ...]) -> ImageSet:
    pixels = torch.zeros(30, 1, 16, 16, dtype=torch.uint8)
    return ImageSet("i", pixels, torch.arange(30) % len(classes), classes)


def draw_labels(samples: SampleSource) -> list[int] | None:
    [(_, labels)] = samples.draw(0, 30)
    return None if labels is None else labels.tolist()


def test_requested_classes_are_matched_by_their_names():
    samples = samples_of_images(make_images(("cat", "dog", "ox")))
    matched_labels = draw_labels(match_classes(samples, ("ox", "cat", "dog", "emu")))
    assert sorted(matched_labels) == 10 * [0] + 10 * [1] + 10 * [2]
    assert matched_labels == [[1, 2, 0][label] for label in draw_labels(samples)]
    samples = samples_of_images(make_images(("caf\u00e9", "tea")))
    decomposed = match_classes(samples, ("tea", "cafe\u0301"))  # as macOS writes it
    assert draw_labels(decomposed) == [1 - label for label in draw_labels(samples)]


def test_a_class_that_the_real_pictures_lack_leaves_no_classes():
    samples = samples_of_images(make_images(("cat", "dog", "ox")))
    without_ox = match_classes(samples, ("cat", "dog"))
    assert (draw_labels(without_ox), without_ox.classes) == (None, ())


def test_what_is_wrong_with_files_of_samples_is_said(tmp_path: Path):
    for i in range(3):
        save_png(np.full((16, 16, 1), i, np.uint8), tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (notice,) = open_samples(tmp_path).notices
    assert "1 file cannot be used, such as broken.png (" in notice


def test_another_size_is_converted_only_if_requested():
    samples = samples_of_images(make_images(("a",)))
    assert match_shape(samples, (1, 16, 16), False, None, "mnist") is samples
    with pytest.raises(UserError, match="i has pictures of 16x16 gray, mnist has 20x24 RGB: add --resize"):
        match_shape(samples, (3, 20, 24), False, None, "mnist")
    resized = match_shape(samples, (3, 20, 24), True, None, "mnist")
    assert next(iter(resized.draw(0, 30)))[0].shape == (30, 3, 20, 24)
    assert resized.image_shape == (3, 20, 24)
