import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dcgan.data import check
from dcgan.data.find import list_file_names
from dcgan.data.open import open_images
from dcgan.data.rules import RULES_WITHOUT_GROUPS
from tests.conftest import make_picture_folder
from tests.data.pictures import draw_shapes, exchange_channels


def noise_image(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(pixels).resize((40, 30), Image.Resampling.BILINEAR)


def make_folder_with_duplicates(root: Path) -> Path:
    root.mkdir()
    for i in range(12):
        noise_image(i).save(root / f"{i}.png")
    shutil.copy(root / "3.png", root / "copy of 3.png")
    noise_image(5).resize((60, 45), Image.Resampling.BICUBIC).save(root / "5 again.jpg", quality=90)
    noise_image(7).convert("L").save(root / "gray.png")
    (root / "broken\x1b.png").write_bytes(b"x")
    return root


def test_a_folder_is_examined(tmp_path: Path):
    root = make_folder_with_duplicates(tmp_path / "s")
    result = check.examine_set(open_images(str(root), "all"), list_file_names(str(root)))
    assert result["pictures"] == 15
    assert (result["channels"], result["size"]) == (3, [16, 16])
    assert result["classes"] == {}
    assert result["modes"] == {"RGB": 14, "L": 1}
    assert result["sizes"]["smallest"] == "30x40"
    assert result["sizes"]["largest"] == "45x60"
    assert result["sizes"]["commonest"] == {"30x40": 14, "45x60": 1}
    assert result["broken"] == [{"file": "broken\\x1b.png", "reason": "not a picture, or of a kind that is not read"}]
    assert result["duplicates"] == 1
    assert [set(pair) for pair in result["duplicate_pairs"]] == [{"3.png", "copy of 3.png"}]
    pairs = {frozenset(pair) for pair in result["near_duplicate_pairs"]}
    assert pairs == {frozenset({"5.png", "5 again.jpg"}), frozenset({"7.png", "gray.png"})}


def test_classes_are_counted(tmp_path: Path):
    root = make_picture_folder(tmp_path / "s", 15, classes=2)
    assert check.examine_set(open_images(str(root), "all"))["classes"] == {"class 0": 8, "class 1": 7}


def test_variants_of_a_picture_are_counted_in_groups(tmp_path: Path):
    pictures = draw_shapes(30)
    variants = torch.cat([pictures, exchange_channels(pictures[:5]), pictures[:5].flip(3)])
    np.save(tmp_path / "a.npy", variants.permute(0, 2, 3, 1).numpy())
    images = open_images(str(tmp_path / "a.npy"), "all")
    result = check.examine_set(images)
    assert (result["near_duplicates"], result["near_duplicate_groups"], result["compared"]) == (10, 5, 40)
    old = check.examine_set(open_images(str(tmp_path / "a.npy"), "all", rules=RULES_WITHOUT_GROUPS))
    assert (old["near_duplicates"], old["near_duplicate_groups"]) == (10, 5)


def test_the_contact_sheet_shows_every_class(tmp_path: Path):
    root = make_picture_folder(tmp_path / "s", 15, classes=2)
    sheet = check.make_contact_sheet(open_images(str(root), "all", size=(16, 16)))
    assert sheet.shape == (4 * 18 + 2, 4 * 18 + 2, 3)


def test_an_array_is_examined(tmp_path: Path):
    array = np.random.default_rng(0).integers(0, 256, (20, 20, 24)).astype(np.uint8)
    array[4] = array[9]
    np.save(tmp_path / "a.npy", array)
    result = check.examine_set(open_images(str(tmp_path / "a.npy"), "all"))
    assert result["modes"] == {"uint8": 20}
    assert sorted(result["duplicate_pairs"][0]) == ["#4", "#9"]


def test_a_set_that_opens_by_name_is_examined():
    images = open_images("mnist", "test")
    result = check.examine_set(images)
    assert result["modes"] == {"uint8": 10_000}
    assert result["sizes"] == {"smallest": "28x28", "largest": "28x28", "commonest": {"28x28": 10_000}}
    assert result["duplicates"] == 0
