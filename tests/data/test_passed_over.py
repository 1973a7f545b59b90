"""What is no image of the set is passed over and said: folders of file systems, our own output, other formats."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

import dcgan
from dcgan.data.decode import can_read_heif
from dcgan.data.folder import list_folder, list_zip
from dcgan.data.open import open_images
from dcgan.data.passed_over import describe_suffixes, readable_suffixes
from dcgan.data.rules import RULES_OF_0_1
from dcgan.errors import UserError
from dcgan.training.advise import check_data
from tests.conftest import SMALL, make_picture_folder
from tests.data.test_folder import pack_zip, save_pictures

SYSTEM_FOLDERS = ("@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")


@pytest.mark.parametrize("name", SYSTEM_FOLDERS)
def test_folders_of_thumbnails_and_trash(tmp_path: Path, name: str):
    save_pictures(tmp_path / "s", "cat/a.png", "dog/b.png", f"{name}/c.png", f"cat/{name}/deep/d.jpg")
    (tmp_path / "s" / name / "e.txt").touch()
    for listing in (list_folder(tmp_path / "s"), list_zip(pack_zip(tmp_path / "s", tmp_path / "s.zip"))):
        assert [file.name for file in listing.files] == ["cat/a.png", "dog/b.png"]
        assert listing.classes == ("cat", "dog")
        (notice,) = listing.notices
        assert notice.startswith("2 pictures in folders of thumbnails, trash or metadata are passed over: ")
        assert f"{name}/" in notice


def write_settings(folder: Path, name: str = "config.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"format_version": 1, "settings": {}}))


@pytest.mark.parametrize("name", ["config.json", "compare.json"])
def test_runs_and_comparisons_below_the_data(tmp_path: Path, name: str):
    save_pictures(tmp_path / "s", "a.png", "b.png", "runs/fast-s-1/samples/0.png", "runs/fast-s-1/reals.png")
    write_settings(tmp_path / "s" / "runs" / "fast-s-1", name)
    for listing in (list_folder(tmp_path / "s"), list_zip(pack_zip(tmp_path / "s", tmp_path / "s.zip"))):
        assert [file.name for file in listing.files] == ["a.png", "b.png"]
        assert listing.notices[0] == "2 pictures that dcgan itself wrote are passed over: runs/fast-s-1/"
    assert len(list_folder(tmp_path / "s", RULES_OF_0_1).files) == 4


@pytest.mark.parametrize("content", ["{}", "no JSON", '{"format_version": 1}', '{"settings": {}}', "[]"])
def test_a_folder_with_another_config_json_is_part_of_the_set(tmp_path: Path, content: str):
    save_pictures(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "config.json").write_text(content)
    assert len(list_folder(tmp_path).files) == 2


def test_a_folder_of_runs_only_has_no_pictures(tmp_path: Path):
    save_pictures(tmp_path, "fast-s-1/samples/0.png")
    write_settings(tmp_path / "fast-s-1")
    with pytest.raises(UserError, match=r"has no pictures in it; 1 picture that dcgan itself wrote is passed over: "):
        list_folder(tmp_path)


def test_a_run_is_no_set_of_pictures(tmp_path: Path):
    save_pictures(tmp_path, "samples/0.png")
    write_settings(tmp_path)
    with pytest.raises(UserError, match=r"is a run of dcgan, not a set of pictures"):
        list_folder(tmp_path)


def test_training_twice_in_the_folder_of_the_pictures_and_resuming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(make_picture_folder(tmp_path / "photos", 24))
    sheet = check_data(".")["contact_sheet"]
    assert sheet == "runs/photos-contact.png"
    keys = set()
    for number in (1, 2):
        run = dcgan.train("dcgan", data=".", **{**SMALL, "steps": 2})
        assert run.path == Path(f"runs/dcgan-photos-{number}")
        dcgan.resume(run, steps=3)
        keys.add(run.data_record().key)
    assert len(keys) == 1
    images = open_images(".", "all")
    assert len(images) == 24
    assert images.notices[0].startswith("11 pictures that dcgan itself wrote are passed over: runs/dcgan-photos-1/")


def test_the_contact_sheet_is_never_a_picture_of_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_picture_folder(tmp_path / "photos", 24)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^the contact sheet photos/sheet.png would become a picture of the set"):
        check_data("photos", Path("photos/sheet.png"))
    check_data("photos")
    assert (tmp_path / "runs" / "photos-contact.png").is_file()
    assert len(list(folder.iterdir())) == 24


def test_files_that_are_not_read_are_counted_with_what_helps(tmp_path: Path):
    make_picture_folder(tmp_path, 12)
    for i in range(3):
        (tmp_path / f"{i}.CR2").touch()
    for name in ("a.mp4", "b.txt", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).touch()
    assert list_folder(tmp_path).notices == [
        "not read: 3 .cr2 (raw photos: export as .jpg), 1 .mp4 (videos: save their frames as .png), 1 .txt"
    ]


def test_pictures_of_telephones_without_pillow_heif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_picture_folder(tmp_path, 12)
    for i in range(30):
        (tmp_path / f"{i}.HEIC").write_bytes(b"x")
    monkeypatch.setattr("dcgan.data.passed_over.can_read_heif", lambda: False)
    readable_suffixes.cache_clear()
    try:
        assert list_folder(tmp_path).notices == ["not read: 30 .heic (pip install 'pillow-heif>=0.18')"]
    finally:
        readable_suffixes.cache_clear()


@pytest.mark.skipif(not can_read_heif(), reason="pillow-heif is not installed")
def test_pictures_of_telephones_with_pillow_heif(tmp_path: Path):
    import pillow_heif

    for i in range(4):
        image = Image.new("RGB", (64, 48), (40 * i, 100, 200))
        pillow_heif.from_pillow(image).save(tmp_path / f"{i}.HEIC", quality=95)
    images = open_images(str(tmp_path), "all")
    assert images.original_size == "48x64"
    assert sorted(images.pixels[:, 0].float().mean((1, 2)).div(40).round().tolist()) == [0, 1, 2, 3]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(4):
            archive.write(tmp_path / f"{i}.HEIC", f"{i}.heic")
    assert len(open_images(str(tmp_path / "a.zip"), "all")) == 4
    with pytest.raises(UserError, match="has no pictures"):
        list_folder(tmp_path, RULES_OF_0_1)


def test_only_the_commonest_suffixes_are_listed():
    suffixes = Counter({f".{i}": 10 - i for i in range(7)})
    assert describe_suffixes(suffixes) == "10 .0, 9 .1, 8 .2, 7 .3, 6 .4, …"
