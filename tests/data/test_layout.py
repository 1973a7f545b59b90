"""Which classes and which test split the folders of a set say, by the rules of today and by those of version 0.1.0."""

import re
from pathlib import Path

import pytest

from dcgan.data.folder import list_folder, list_zip
from dcgan.data.listing import Listing
from dcgan.data.rules import RULES_OF_0_1
from tests.data.test_folder import class_names, pack_zip, save_pictures


def split_names(listing: Listing) -> dict[str, tuple[str | None, bool]]:
    classes = class_names(listing)
    return {file.name: (classes[file.name], file.is_test) for file in listing.files}


def names_of(split: str, *class_folders: str) -> list[str]:
    return [f"{split}/{folder}/{i}.png" for folder in class_folders for i in range(2)]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["images/cat", "images/dog"], ["images/cat", "images/dog"]),
        (["images/cat", "images/dog"], ["images/cat"]),
        (["images/cat", "images/dog"], ["cat", "dog"]),
        (["cat", "dog"], ["images/cat", "images/dog"]),
        (["cat/images", "dog/images"], ["cat/images", "dog/images"]),
        (["a/b/cat", "a/b/dog"], ["c/cat", "c/dog"]),
    ],
)
def test_classes_below_other_folders_of_the_splits(tmp_path: Path, train: list[str], test: list[str]):
    save_pictures(tmp_path / "s", *names_of("train", *train), *names_of("test", *test))
    for listing in (list_folder(tmp_path / "s"), list_zip(pack_zip(tmp_path / "s", tmp_path / "s.zip"))):
        assert listing.classes == ("cat", "dog")
        for name, (class_name, is_test) in split_names(listing).items():
            assert class_name in name.split("/")
            assert is_test == name.startswith("test")
        assert listing.notices == []


def test_splits_inside_the_classes(tmp_path: Path):
    save_pictures(tmp_path, "cat/train/a.png", "cat/test/b.png", "dog/train/c.png", "dog/test/d.png")
    assert split_names(list_folder(tmp_path)) == {
        "cat/train/a.png": ("cat", False),
        "dog/train/c.png": ("dog", False),
        "cat/test/b.png": ("cat", True),
        "dog/test/d.png": ("dog", True),
    }


def test_test_pictures_of_classes_without_training_pictures_are_left_out(tmp_path: Path):
    save_pictures(tmp_path, *names_of("train", "cat", "dog"), *names_of("test", "dog", "bird", "emu"))
    listing = list_folder(tmp_path)
    assert listing.classes == ("cat", "dog")
    assert {name for name, (_, is_test) in split_names(listing).items() if is_test} == set(names_of("test", "dog"))
    assert listing.notices == ["4 test pictures of classes without a training picture are left out: bird, emu"]
    assert list_folder(tmp_path, RULES_OF_0_1).classes == ("bird", "cat", "dog", "emu")


def test_unlabeled_test_pictures_do_not_take_the_labels_away(tmp_path: Path):
    save_pictures(tmp_path, *names_of("train", "cat", "dog"), "test/1.png", "test/2.png")
    listing = list_folder(tmp_path)
    assert listing.classes == ("cat", "dog")
    assert listing.notices == ["2 test pictures of classes without a training picture are left out: no folder"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["cat/a.png", "dog/b.png", "stray.png"], "1 picture lies beside the folders cat, dog, such as stray.png"),
        (
            ["s/cat/a.png", "s/dog/b.png", "s/x.png", "s/y.png"],
            "2 pictures lie beside the folders cat, dog, such as s/x",
        ),
        (
            ["train/cat/a.png", "train/dog/b.png", "train/x.png", "test/cat/c.png"],
            "1 picture lies beside .* train/x.png",
        ),
        (["cat/a.png", "stray.png"], "1 picture lies beside the folder cat, such as stray.png"),
    ],
)
def test_stray_pictures_are_named(tmp_path: Path, names: list[str], reason: str):
    save_pictures(tmp_path / "s", *names)
    listing = list_folder(tmp_path / "s")
    assert listing.classes == ()
    (notice,) = listing.notices
    assert re.match(reason, notice)
    assert listing.no_classes_reason == notice


@pytest.mark.parametrize(
    ("more", "classes", "message"),
    [
        (["x.png"], (), "the folders test, train are not used as a split into parts, because x.png lies beside them"),
        (["extra/x.png"], ("extra", "test", "train"), "because extra lies beside them: move it away or into one of"),
        (["extra/x.png", "y.png"], (), "because extra, y.png lie beside them: move these away or into one of them"),
    ],
)
def test_a_split_that_is_not_used_is_said(tmp_path: Path, more: list[str], classes: tuple[str, ...], message: str):
    save_pictures(tmp_path, "train/a.png", "train/b.png", "test/c.png", *more)
    listing = list_folder(tmp_path)
    assert not any(file.is_test for file in listing.files)
    assert listing.classes == classes
    (notice,) = listing.notices
    assert message in notice
    assert listing.no_classes_reason == ("" if classes else notice)


def test_why_a_flat_folder_has_no_classes(tmp_path: Path):
    save_pictures(tmp_path, "a.png", "b.png")
    listing = list_folder(tmp_path)
    assert (listing.notices, listing.no_classes_reason) == ([], "there are no folders of classes and no labels")


def test_version_0_1_0_lost_the_classes_below_other_folders(tmp_path: Path):
    save_pictures(tmp_path, *names_of("train", "images/cat", "images/dog"), *names_of("test", "images/cat"))
    assert list_folder(tmp_path, RULES_OF_0_1).classes == ()
