import os
from pathlib import Path

import pytest
import torch

from dcgan.cache import cache_folder
from dcgan.data import prepare, prepared
from dcgan.data.open import open_images
from dcgan.data.prepared import COLUMNS_FILE, METADATA_FILE, PIXELS_FILE
from dcgan.data.rules import RULES_OF_0_1
from tests.conftest import cached_set_names, make_picture_folder


def damage_entry(entry: Path, damage: str) -> None:
    pixels = entry / PIXELS_FILE
    content = bytearray(pixels.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 2] ^= 1
        pixels.write_bytes(content)
    elif damage == "truncated":
        pixels.write_bytes(content[:-1])
    elif damage == "empty":
        pixels.write_bytes(b"")
    elif damage == "missing":
        pixels.unlink()
    elif damage == "truncated metadata":
        (entry / METADATA_FILE).write_text('{"version": 1')
    elif damage == "metadata of another type":
        (entry / METADATA_FILE).write_text("[]")
    elif damage == "columns":
        (entry / COLUMNS_FILE).write_bytes(b"x")


@pytest.mark.parametrize(
    "damage",
    ["flipped bit", "truncated", "empty", "missing", "truncated metadata", "metadata of another type", "columns"],
)
def test_a_damaged_set_is_prepared_again(tmp_path: Path, damage: str):
    folder = make_picture_folder(tmp_path / "s", 20)
    first = open_images(str(folder)).pixels.clone()
    damage_entry(cache_folder() / cached_set_names()[0], damage)
    assert torch.equal(open_images(str(folder)).pixels, first)
    assert len(cached_set_names()) == 1


def test_the_whole_content_of_a_copied_cache_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_picture_folder(tmp_path / "s", 20)
    open_images(str(folder))
    pixels = cache_folder() / cached_set_names()[0] / PIXELS_FILE
    os.utime(pixels, ns=(1, 1))
    hashed = []
    sha256 = prepared.sha256
    monkeypatch.setattr(prepared, "sha256", lambda path: hashed.append(path.name) or sha256(path))
    monkeypatch.setattr(prepare, "_decode_batches", None)
    open_images(str(folder))
    open_images(str(folder))
    assert hashed.count(PIXELS_FILE) == 1


def test_the_files_of_a_set_are_those_of_version_0_1_0(tmp_path: Path):
    open_images(str(make_picture_folder(tmp_path / "s", 20)))
    entry = cache_folder() / cached_set_names()[0]
    assert sorted(path.name for path in entry.iterdir()) == ["about.npz", "meta.json", "pixels.npy"]
    read = prepared.read_prepared(entry.name)
    assert sorted(read.columns) == ["digests", "groups", "indices", "labels", "modes", "sizes"]
    open_images(str(tmp_path / "s"), rules=RULES_OF_0_1)
    [old_name] = [name for name in cached_set_names() if name != entry.name]
    assert sorted(prepared.read_prepared(old_name).columns) == ["digests", "indices", "labels", "modes", "sizes"]
    names = ["about", "bytes", "changed", "classes", "key", "modes", "parts", "sample", "sha256", "skipped", "version"]
    assert sorted(read.metadata) == names
