import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from dcgan.data.folder import list_folder, list_zip
from dcgan.data.listing import Listing
from dcgan.data.rules import RULES_OF_0_1
from dcgan.errors import UserError


def save_pictures(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), len(name)).save(root / name)


def class_names(listing: Listing) -> dict[str, str | None]:
    return {file.name: listing.classes[file.label] if file.label >= 0 else None for file in listing.files}


def pack_zip(root: Path, path: Path, **texts: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(root))
        for name, content in texts.items():
            archive.writestr(name, content)
    return path


LAYOUTS = [
    (["a.png", "b.jpg"], {"a.png": None, "b.jpg": None}),
    (["cat/a.png", "dog/b.png"], {"cat/a.png": "cat", "dog/b.png": "dog"}),
    (["cat/in/a.png", "cat/b.png", "dog/c.png"], {"cat/in/a.png": "cat", "cat/b.png": "cat", "dog/c.png": "dog"}),
    (["all/a.png", "all/b.png"], {"all/a.png": None, "all/b.png": None}),
    (["set/cat/a.png", "set/dog/b.png"], {"set/cat/a.png": "cat", "set/dog/b.png": "dog"}),
    (["a.png", "cat/b.png", "dog/c.png"], {"a.png": None, "cat/b.png": None, "dog/c.png": None}),
    (["고양이/a b.png", "собака/c.PNG"], {"고양이/a b.png": "고양이", "собака/c.PNG": "собака"}),
]


@pytest.mark.parametrize(("names", "expected"), LAYOUTS)
def test_flat_folders_and_folders_of_classes(tmp_path: Path, names: list[str], expected: dict):
    save_pictures(tmp_path / "set", *names)
    assert class_names(list_folder(tmp_path / "set")) == expected
    assert class_names(list_zip(pack_zip(tmp_path / "set", tmp_path / "set.zip"))) == expected


@pytest.mark.parametrize("test", ["test", "val", "Testing"])
def test_a_set_with_its_own_test_split(tmp_path: Path, test: str):
    save_pictures(tmp_path, "train/cat/a.png", "train/dog/b.png", f"{test}/cat/c.png", f"{test}/dog/d.png")
    listing = list_folder(tmp_path)
    assert [file.is_test for file in listing.files] == [False, False, True, True]
    assert listing.classes == ("cat", "dog")
    assert [file.label for file in listing.files] == [0, 1, 0, 1]


def test_hidden_files_are_left_out_and_others_are_counted(tmp_path: Path):
    save_pictures(tmp_path, "a.png", ".b.png", ".git/c.png", "__MACOSX/d.png", "d/e.png")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "README").touch()
    for listing in (list_folder(tmp_path), list_zip(pack_zip(tmp_path, tmp_path.parent / "a.zip"))):
        assert sorted(file.name for file in listing.files) == ["a.png", "d/e.png"]
        assert listing.other_suffixes == {".txt": 1, "no suffix": 1}


def test_links_are_followed_and_each_folder_is_read_once(tmp_path: Path):
    save_pictures(tmp_path / "elsewhere", "x.png", "y.png")
    save_pictures(tmp_path / "set", "a.png")
    (tmp_path / "set" / "b.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "set" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "twice").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "set" / "circle.png").symlink_to(tmp_path / "set" / "circle.png")
    listing = list_folder(tmp_path / "set")
    assert [file.name for file in listing.files] == ["a.png", "b.png", "more/x.png", "more/y.png"]
    assert dict(listing.skipped_files).keys() == {"gone.png", "circle.png"}
    assert "not there" in dict(listing.skipped_files)["gone.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_file_that_is_not_plain_is_named(tmp_path: Path):
    save_pictures(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert list_folder(tmp_path).skipped_files == [("pipe.png", "not a plain file")]


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_pictures(tmp_path, "a.png", "locked/b.png")
    scandir = os.scandir

    def refusing(path: str) -> object:  # root may read everything, so the error is simulated
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert list_folder(tmp_path).skipped_files == [("locked/", "the folder cannot be read: Permission denied")]
    with pytest.raises(UserError, match=r"^cannot read [^\n]*locked: Permission denied$"):
        list_folder(tmp_path / "locked")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "it is empty"),
        (["a.txt", "b.txt", "c.csv"], "it holds 2 .txt, 1 .csv"),
        (["sub/.hidden.png"], "it is empty"),
    ],
)
def test_no_pictures(tmp_path: Path, names: list[str], message: str):
    for name in names:
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / name).touch()
    (tmp_path / "s").mkdir(exist_ok=True)
    with pytest.raises(UserError, match=message):
        list_folder(tmp_path / "s")
    with pytest.raises(UserError, match=message):
        list_zip(pack_zip(tmp_path / "s", tmp_path / "s.zip"))


def make_stylegan_zip(tmp_path: Path, labels: object) -> Path:
    save_pictures(tmp_path / "s", "00000/img0.png", "00000/img1.png")
    return pack_zip(tmp_path / "s", tmp_path / "s.zip", **{"dataset.json": json.dumps(labels)})


def test_stylegans_labels(tmp_path: Path):
    listing = list_zip(make_stylegan_zip(tmp_path, {"labels": [["00000/img0.png", 6], ["00000/img1.png", 2]]}))
    assert class_names(listing) == {"00000/img0.png": "6", "00000/img1.png": "2"}
    assert listing.classes == ("2", "6")
    assert len(list_zip(tmp_path / "s.zip", RULES_OF_0_1).classes) == 7


def test_stylegans_one_hot_missing_and_absent_labels(tmp_path: Path):
    one_hot = list_zip(make_stylegan_zip(tmp_path, {"labels": [["00000/img0.png", [0, 0, 1]]]}))
    assert class_names(one_hot) == {"00000/img0.png": "2"}
    assert one_hot.skipped_files == [("00000/img1.png", "dataset.json has no label for it")]
    assert list_zip(make_stylegan_zip(tmp_path, {"labels": None})).classes == ()


@pytest.mark.parametrize("labels", [[], {}, {"labels": 3}, {"labels": [["a"]]}])
def test_damaged_labels(tmp_path: Path, labels: object):
    with pytest.raises(UserError, match=r"^[^\n]*dataset.json is damaged[^\n]*$"):
        list_zip(make_stylegan_zip(tmp_path, labels))


@pytest.mark.parametrize("label", [-1, "cat", 1e9, True, [0, 0], 70_000])
def test_labels_that_are_not_class_numbers(tmp_path: Path, label: object):
    with pytest.raises(UserError, match=r"^[^\n]*img0.png in dataset.json is no class number: write [^\n]*$"):
        list_zip(make_stylegan_zip(tmp_path, {"labels": [["00000/img0.png", label]]}))


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "..\\a.png", "C:/a.png"])
def test_an_entry_that_points_outside(tmp_path: Path, name: str):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(UserError, match="points outside it"):
        list_zip(tmp_path / "a.zip")


def test_a_link_and_an_encrypted_entry_in_a_zip_are_named(tmp_path: Path):
    save_pictures(tmp_path / "s", "a.png")
    path = pack_zip(tmp_path / "s", tmp_path / "s.zip")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("b.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert list_zip(path).skipped_files == [("b.png", "a link inside a zip")]
    content = bytearray(path.read_bytes())
    directory_entry = content.index(b"PK\x01\x02")
    content[directory_entry + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="encrypted"):
        list_zip(path)


@pytest.mark.parametrize("name", ["dataset.json", "metadata.csv", "run/config.json"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_text_in_a_zip_that_cannot_be_unpacked_is_one_line(tmp_path: Path, name: str, method: int):
    path, text = tmp_path / "s.zip", "file_name,label\n" + "".join(f"{i}.png,{i * 7919}\n" for i in range(200))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.png", b"x")
        archive.writestr(name, text)
        begin = archive.getinfo(name).header_offset + 30 + len(name)
    content = path.read_bytes()
    damaged = content[:begin] + bytes(byte ^ 255 for byte in content[begin : begin + 100]) + content[begin + 100 :]
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=rf"^{name} in [^\n]*s.zip cannot be unpacked, make the zip again: [^\n]+$"):
        list_zip(path)
    path.write_bytes(set_in_directory(content, name, 10, 99))  # the number of a method that nobody knows
    with pytest.raises(UserError, match=rf"^{name} in [^\n]*s.zip cannot be unpacked[^\n]*compression[^\n]*$"):
        list_zip(path)
    path.write_bytes(set_in_directory(content, name, 8, 1))
    if name == "run/config.json":  # a run that nobody can read is not recognized
        assert [file.name for file in list_zip(path).files] == ["a.png"]
        return
    with pytest.raises(UserError, match=rf"^{name} in [^\n]*s.zip is encrypted: make the zip again without a pass"):
        list_zip(path)


def set_in_directory(content: bytes, name: str, offset: int, value: int) -> bytes:
    """Return a zip with another number, of 16 bits, in its directory's entry of a member."""
    entry = content.rindex(name.encode()) - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    return content[: entry + offset] + value.to_bytes(2, "little") + content[entry + offset + 2 :]


@pytest.mark.parametrize("length", [0, 10, 60, -5])
def test_a_truncated_zip(tmp_path: Path, length: int):
    save_pictures(tmp_path / "s", "a.png", "b.png")
    path = pack_zip(tmp_path / "s", tmp_path / "s.zip")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"^[^\n]*damaged, or no zip[^\n]*$"):
        list_zip(path)
