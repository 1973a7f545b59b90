from pathlib import Path

import numpy as np
import pytest
import torch

import dcgan
from dcgan.data.open import ImageSet
from dcgan.errors import UserError
from dcgan.evaluation.samples import match_classes, match_shape, open_samples, samples_of_images
from dcgan.run.folder import RunFolder
from dcgan.sampling.output import write_samples
from tests.conftest import SMALL


def gathered(samples: object, seed: int, n: int) -> np.ndarray:
    return torch.cat([pixels for pixels, _ in samples.draw(seed, n)]).permute(0, 2, 3, 1).numpy()


def test_a_model_s_samples_are_those_that_it_draws(finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dcgan.candidates.TOGETHER", 128)
    samples = open_samples(finished_run.path)
    assert np.array_equal(gathered(samples, 3, 300), dcgan.load(finished_run).sample(300, 3))
    assert (samples.shape, samples.data, samples.there, samples.classes) == ((1, 28, 28), "mnist", None, ())


def test_a_conditional_model_s_samples_say_what_was_asked(tmp_path: Path):
    run = dcgan.train("cgan", out=tmp_path / "r", steps=1, **SMALL)
    samples = open_samples(dcgan.load(run))
    [(_, asked)] = samples.draw(0, 25)
    assert asked.tolist() == [i % 10 for i in range(25)]
    assert samples.classes == tuple("0123456789")


@pytest.mark.parametrize("name", ["s.npz", "s.npy", "folder"])
def test_files_are_samples(finished_run: RunFolder, tmp_path: Path, name: str):
    pixels = dcgan.load(finished_run).sample(40)
    path = tmp_path / name
    np.save(path, pixels) if name.endswith("npy") else write_samples(pixels, path)
    samples = open_samples(str(path))
    assert samples.there == 40
    found = gathered(samples, 0, 40)
    assert np.array_equal(np.sort(found.sum((1, 2, 3))), np.sort(pixels.sum((1, 2, 3))))
    assert np.array_equal(gathered(samples, 9, 15), found[:15])  # in the same random order, whatever the seed


@pytest.mark.parametrize("name", ["nowhere", "no/where/at/all", "user/name.npz"])
def test_nothing_there_is_one_line(name: str):
    with pytest.raises(UserError, match=name):
        open_samples(name)


def test_a_damaged_model_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="there is no model in"):
        open_samples(tmp_path)


def labelled(classes: tuple[str, ...]) -> ImageSet:
    pixels = torch.zeros(30, 1, 16, 16, dtype=torch.uint8)
    return ImageSet("i", pixels, torch.arange(30) % len(classes), classes)


def asked(samples: object) -> list[int] | None:
    [(_, labels)] = samples.draw(0, 30)
    return None if labels is None else sorted(labels.tolist())


def test_what_was_asked_is_matched_by_the_classes_names():
    samples = samples_of_images(labelled(("cat", "dog", "ox")))
    assert asked(match_classes(samples, ("ox", "cat", "dog", "emu"))) == 10 * [0] + 10 * [1] + 10 * [2]
    first = next(iter(samples.draw(0, 30)))[1]
    renamed = next(iter(match_classes(samples, ("ox", "cat", "dog", "emu")).draw(0, 30)))[1]
    assert renamed.tolist() == [[1, 2, 0][label] for label in first.tolist()]
    unknown = match_classes(samples, ("cat", "dog"))
    assert (asked(unknown), unknown.classes) == (None, ())


def test_another_size_is_converted_only_when_asked():
    samples = samples_of_images(labelled(("a",)))
    assert match_shape(samples, (1, 16, 16), False, None, "mnist") is samples
    with pytest.raises(UserError, match="i has pictures of 16x16 gray, mnist has 20x24 RGB: add --resize"):
        match_shape(samples, (3, 20, 24), False, None, "mnist")
    resized = match_shape(samples, (3, 20, 24), True, None, "mnist")
    assert next(iter(resized.draw(0, 30)))[0].shape == (30, 3, 20, 24)
    assert resized.shape == (3, 20, 24)
