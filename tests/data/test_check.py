import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dcgan.data import check
from dcgan.data.open import list_file_names, open_images
from tests.conftest import picture_folder


def noise(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((40, 30), Image.Resampling.BILINEAR)


def made(root: Path) -> Path:
    root.mkdir()
    for i in range(12):
        noise(i).save(root / f"{i}.png")
    shutil.copy(root / "3.png", root / "copy of 3.png")
    noise(5).resize((60, 45), Image.Resampling.BICUBIC).save(root / "5 again.jpg", quality=90)
    noise(7).convert("L").save(root / "gray.png")
    (root / "broken\x1b.png").write_bytes(b"x")
    return root


def test_what_is_found(tmp_path: Path):
    root = made(tmp_path / "s")
    found = check.examine_set(open_images(str(root), "all"), list_file_names(str(root)))
    assert found["pictures"] == 15
    assert (found["channels"], found["size"]) == (3, [16, 16])
    assert found["classes"] == {}
    assert found["modes"] == {"RGB": 14, "L": 1}
    assert found["sizes"]["smallest"] == "30x40"
    assert found["sizes"]["largest"] == "45x60"
    assert found["sizes"]["commonest"] == {"30x40": 14, "45x60": 1}
    assert found["broken"] == [{"file": "broken\\x1b.png", "reason": "not a picture, or of a kind that is not read"}]
    assert found["duplicates"] == 1
    assert [set(pair) for pair in found["duplicate_pairs"]] == [{"3.png", "copy of 3.png"}]
    assert [set(pair) for pair in found["near_duplicate_pairs"]] == [{"5.png", "5 again.jpg"}]


def test_classes_are_counted(tmp_path: Path):
    root = picture_folder(tmp_path / "s", 15, classes=2)
    assert check.examine_set(open_images(str(root), "all"))["classes"] == {"class 0": 8, "class 1": 7}


def test_near_pairs_are_those_of_a_loop():
    thumbs = torch.randint(0, 256, (60, 48), generator=torch.Generator().manual_seed(0)).float()
    thumbs[50:] = (thumbs[:10] + 4).clamp(0, 255)
    expected = [(i, j) for i in range(60) for j in range(i + 1, 60) if (thumbs[i] - thumbs[j]).square().mean() < 25]
    assert check.near_pairs(thumbs) == expected
    assert len(expected) == 10


def test_the_contact_sheet_shows_every_class(tmp_path: Path):
    root = picture_folder(tmp_path / "s", 15, classes=2)
    assert check.contact_sheet(open_images(str(root), "all", size=(16, 16))).shape == (4 * 18 + 2, 4 * 18 + 2, 3)


def test_arrays_are_examined_too(tmp_path: Path):
    array = np.random.default_rng(0).integers(0, 256, (20, 20, 24)).astype(np.uint8)
    array[4] = array[9]
    np.save(tmp_path / "a.npy", array)
    found = check.examine_set(open_images(str(tmp_path / "a.npy"), "all"))
    assert found["modes"] == {"uint8": 20}
    assert sorted(found["duplicate_pairs"][0]) == ["#4", "#9"]
