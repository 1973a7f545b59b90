"""StyleGAN's `dataset.json`: at the root or one folder down, in a folder or in a zip."""

import json
import warnings
import zipfile
from pathlib import Path

import pytest

from dcgan.data.folder import list_folder, list_zip
from dcgan.data.open import open_images
from dcgan.data.rules import RULES_OF_0_1
from dcgan.errors import UserError
from tests.conftest import make_picture_folder
from tests.data.test_folder import class_names, pack_zip, save_pictures

SHARDS = ("00000/img0.png", "00000/img1.png", "00001/img2.png", "00001/img3.png")


def make_set(root: Path, labels: object, prefix: str = "") -> Path:
    save_pictures(root / prefix, *SHARDS)
    (root / prefix / "dataset.json").write_text(json.dumps({"labels": labels}))
    return root


@pytest.mark.parametrize("prefix", ["", "ffhq/"])
def test_a_set_that_says_that_it_has_no_labels(tmp_path: Path, prefix: str):
    root = make_set(tmp_path / "s", None, prefix)
    for listing in (list_folder(root), list_zip(pack_zip(root, tmp_path / "s.zip"))):
        assert listing.classes == ()
        assert len(listing.files) == 4
        assert listing.no_classes_reason == "its dataset.json says that there are no labels"
    for listing in (list_folder(root, RULES_OF_0_1), list_zip(tmp_path / "s.zip", RULES_OF_0_1)):
        assert listing.classes == ("00000", "00001")


@pytest.mark.parametrize("prefix", ["", "ffhq/"])
@pytest.mark.parametrize("name_prefix", ["", "./"])
def test_labels_at_the_root_or_one_folder_down(tmp_path: Path, prefix: str, name_prefix: str):
    root = make_set(tmp_path / "s", [[name_prefix + name, 10 - i] for i, name in enumerate(SHARDS)], prefix)
    for listing in (list_folder(root), list_zip(pack_zip(root, tmp_path / "s.zip"))):
        assert class_names(listing) == {prefix + name: str(10 - i) for i, name in enumerate(SHARDS)}
        assert listing.notices == ["the classes are the 4 labels that training pictures have: 7, 8, 9, 10"]


def test_labels_of_two_parts_one_folder_down_and_a_class_of_the_test_part_only(tmp_path: Path):
    make_set(tmp_path, [[name, i % 2] for i, name in enumerate(SHARDS)], "train")
    make_set(tmp_path, [[name, i % 3] for i, name in enumerate(SHARDS)], "test")
    listing = list_folder(tmp_path)
    assert listing.classes == ("0", "1")
    assert [file.is_test for file in listing.files] == [False] * 4 + [True] * 3
    assert listing.notices == ["1 test picture of classes without a training picture is left out: 2"]


def test_a_dataset_json_of_another_encoding_says_so(tmp_path: Path):
    save_pictures(tmp_path, "고양이.png")
    (tmp_path / "dataset.json").write_bytes('{"labels": [["고양이.png", 0]]}'.encode("cp949"))
    with pytest.raises(UserError, match=r"^[^\n]*: its dataset.json is not UTF-8: save it as UTF-8$"):
        list_folder(tmp_path)


def test_another_programs_dataset_json_is_refused_with_what_to_do(tmp_path: Path):
    save_pictures(tmp_path, *SHARDS)
    (tmp_path / "dataset.json").write_text('{"title": "birds"}')
    with pytest.raises(UserError, match=r"dataset.json is damaged: .* or another name if it is not StyleGAN's"):
        list_folder(tmp_path)
    assert len(list_folder(tmp_path, RULES_OF_0_1).files) == 4


def test_a_name_twice_in_a_zip_counts_once_with_its_last_content(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 6)
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of it
        for i in range(3):
            archive.write(folder / f"{i}.png", f"{i}.png")
        for i in range(3):
            archive.write(folder / f"{i + 3}.png", f"{i}.png")
    images = open_images(str(tmp_path / "a.zip"), "all")
    assert sorted(images.pixels[:, 0, 8, 8].tolist()) == [3, 4, 5]
    assert images.notices == ("3 names occur more than once in the zip: the last content of each counts",)
    assert len(list_zip(tmp_path / "a.zip", RULES_OF_0_1).files) == 6
