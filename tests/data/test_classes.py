"""Classes are those that have training pictures; their numbers stay as names."""

from pathlib import Path

import numpy as np
import pytest

import dcgan
from dcgan.data import open as open_module
from dcgan.data.open import open_images
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1, RULES_OF_ROUNDED_CLASSES
from tests.conftest import SMALL
from tests.data.idx_content import to_idx_bytes

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 20, 20)).astype(np.uint8)


@pytest.mark.parametrize(("numbers", "notices"), [((1, 2), 1), ((5, 999), 1), ((0, 1), 0), ((0, 2), 1)])
def test_labels_with_gaps(tmp_path: Path, numbers: tuple[int, int], notices: int):
    labels = np.array(numbers)[np.arange(40) % 2]
    np.savez(tmp_path / "a.npz", arr_0=PIXELS, arr_1=labels)
    images = open_images(str(tmp_path / "a.npz"), "all")
    assert images.classes == tuple(map(str, numbers))
    assert [numbers[label] for label in images.labels] == labels[images.columns["indices"]].tolist()
    assert len(images.notices) == notices
    old = open_images(str(tmp_path / "a.npz"), "all", rules=RULES_OF_0_1)
    assert len(old.classes) == max(numbers) + 1
    assert (old.content_key == images.content_key) == (numbers == (0, 1))


def test_a_conditional_model_draws_trained_classes_only(tmp_path: Path):
    np.savez(tmp_path / "a.npz", arr_0=PIXELS, arr_1=np.array((5, 999))[np.arange(40) % 2])
    run = dcgan.train("dcgan", data=str(tmp_path / "a.npz"), out=tmp_path / "r", conditional=True, **SMALL, steps=1)
    model = dcgan.load(run)
    assert model.classes == ("5", "999")
    assert model.labels(4).tolist() == [0, 1, 0, 1]
    assert model.labels(1, "999").tolist() == [1]


def test_test_images_of_other_classes_in_idx_files(tmp_path: Path):
    for prefix, labels in (("train", np.arange(40) % 2 * 3), ("t10k", np.arange(20) % 4)):
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(to_idx_bytes(PIXELS[: len(labels)]))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(to_idx_bytes(labels.astype(np.uint8)))
    images = open_images(str(tmp_path), "test")
    assert images.classes == ("0", "3")
    assert len(images) == 10
    assert images.notices == (
        "the classes are the 2 labels that training pictures have: 0, 3",
        "10 test pictures of classes without a training picture are left out: 1, 2",
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_of_torchvision_without_images(monkeypatch: pytest.MonkeyPatch, split: str):
    def read(name: str, split: str, rules: int) -> tuple:
        labels = np.array([1, 2, 1, 2] if split == "train" else [1, 1])
        return PIXELS[: len(labels), ..., None], labels, ("N/A", "a", "b")

    monkeypatch.setattr(open_module, "read_torchvision", read)
    images = open_images("emnist-letters", split)
    assert images.classes == ("a", "b")
    assert images.labels.tolist() == ([0, 1, 0, 1] if split == "train" else [0, 0])
    assert open_images("emnist-letters", split, rules=RULES_OF_0_1).classes == ("N/A", "a", "b")


def test_the_validation_part_of_a_named_set_follows_the_rules_of_the_run(monkeypatch: pytest.MonkeyPatch):
    def read(name: str, split: str, rules: int) -> tuple:
        pixels = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1)).astype(np.uint8)
        return pixels, np.arange(90) % 10, tuple("abcdefghij")

    monkeypatch.setattr(open_module, "read_torchvision", read)
    for rules, count in ((RULES_OF_ROUNDED_CLASSES, 0), (CURRENT_RULES, 4)):
        assert len(open_images("emnist-letters", "validation", size=(8, 8), rules=rules)) == count
