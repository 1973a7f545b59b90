"""Hugging Face's `metadata.csv` and `metadata.jsonl`: which files are in the set, and their labels."""

import json
import os
from pathlib import Path

import pytest

from dcgan.data.folder import list_folder, list_zip
from dcgan.data.listing import Listing
from dcgan.data.open import open_images
from dcgan.data.rules import RULES_WITHOUT_METADATA
from dcgan.errors import UserError
from tests.conftest import make_picture_folder
from tests.data.test_folder import class_names, pack_zip, save_pictures
from tests.data.test_layout import split_names

NAMES = ("a.png", "b.png", "c.png", "d.png")


def write_csv(folder: Path, *lines: str, header: str = "file_name,label") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def write_json_lines(folder: Path, rows: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"file_name": name, "label": label}) for name, label in rows.items()]
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")


def list_both(root: Path) -> list[Listing]:
    """Return what a folder holds, and what a zip of it holds."""
    return [list_folder(root), list_zip(pack_zip(root, root.parent / f"{root.name}.zip"))]


@pytest.mark.parametrize("labels", [("cat", "dog", "cat", "dog"), (7, 3, 7, 3), ("07", "3", "07", "3")])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_labels_are_names_or_numbers(tmp_path: Path, labels: tuple, kind: str):
    root = tmp_path / "s"
    save_pictures(root, *NAMES)
    if kind == "csv":
        write_csv(root, *(f"{name},{label}" for name, label in zip(NAMES, labels, strict=True)))
    else:
        write_json_lines(root, dict(zip(NAMES, labels, strict=True)))
    for listing in list_both(root):
        assert class_names(listing) == {name: str(label) for name, label in zip(NAMES, labels, strict=True)}
        assert listing.classes == tuple(map(str, sorted(set(labels))))
        assert listing.other_suffixes == {}
    assert list_folder(root, RULES_WITHOUT_METADATA).classes == ()


@pytest.mark.parametrize("test", ["test", "validation"])
def test_metadata_in_each_split(tmp_path: Path, test: str):
    root = tmp_path / "s"
    for split in ("train", test):
        save_pictures(root, *(f"{split}/{name}" for name in NAMES))
        write_json_lines(root / split, dict(zip(NAMES, ("x", "y", "x", "y"), strict=True)))
    for listing in list_both(root):
        assert split_names(listing) == {
            f"{split}/{name}": (label, split == test)
            for split in ("train", test)
            for name, label in zip(NAMES, ("x", "y", "x", "y"), strict=True)
        }


def test_metadata_above_the_splits_and_a_deeper_file_that_counts_more(tmp_path: Path):
    root = tmp_path / "s"
    save_pictures(root, "train/a.png", "train/b.png", "test/c.png")
    write_csv(root, "train/a.png,x", "train\\b.png,x", "./test/c.png,x")
    write_csv(root / "train", "b.png,y")
    for listing in list_both(root):
        assert split_names(listing) == {
            "train/a.png": ("x", False),
            "train/b.png": ("y", False),
            "test/c.png": ("x", True),
        }


def test_what_rows_and_files_do_not_have_in_common_is_named(tmp_path: Path):
    root = tmp_path / "s"
    save_pictures(root, *NAMES)
    write_csv(root, "a.png,x", "b.png,y", "gone.png,x", "d.png,")
    for listing in list_both(root):
        assert class_names(listing) == {"a.png": "x", "b.png": "y"}
        assert sorted(listing.skipped_files) == [
            ("c.png", "metadata.csv does not name it"),
            ("d.png", "metadata.csv has no label for it"),
            ("gone.png", "metadata.csv names it, and there is no such picture"),
        ]


def test_without_labels_the_folders_are_the_classes(tmp_path: Path):
    root = tmp_path / "s"
    save_pictures(root, "cat/a.png", "dog/b.png", "dog/c.png")
    write_csv(root, "cat/a.png,a cat", "dog/b.png,a dog", header="file_name,text")
    for listing in list_both(root):
        assert class_names(listing) == {"cat/a.png": "cat", "dog/b.png": "dog"}
        assert listing.skipped_files == [("dog/c.png", "metadata.csv does not name it")]


def test_accents_that_a_system_writes_as_two_characters(tmp_path: Path):
    save_pictures(tmp_path, "cafe\u0301.png", "b.png")
    write_csv(tmp_path, "caf\u00e9.png,x", "b.png,y")
    assert list_folder(tmp_path).classes == ("x", "y")


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "..\\x.png", "C:/x.png"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_name_outside_of_the_folder_is_refused(tmp_path: Path, name: str, kind: str):
    root = tmp_path / "s"
    save_pictures(root, "in/a.png")
    save_pictures(tmp_path, "x.png")
    if kind == "csv":
        write_csv(root / "in", "a.png,x", f"{name},y")
    else:
        write_json_lines(root / "in", {"a.png": "x", name: "y"})
    for read in (lambda: list_folder(root), lambda: list_zip(pack_zip(root, tmp_path / "s.zip"))):
        with pytest.raises(UserError, match=r"^[^\n]*: in/metadata.[a-z]+, line \d names [^\n]*x.png, which is out"):
            read()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metadata.csv", b"file_name,label\na.png,\xff\n", "metadata.csv is not UTF-8: save it as UTF-8"),
        (
            "metadata.csv",
            "file_name,label\na.png,고양이\n".encode("cp949"),
            "metadata.csv is not UTF-8: save it as UTF-8",
        ),
        ("metadata.csv", b'file_name,label\na.png,x\n"b.png,y', "metadata.csv is damaged after line 2: unexpected end"),
        ("metadata.csv", b"file_name,label\na.png,x\n,y\n", "metadata.csv, line 3: it has no file_name"),
        ("metadata.csv", b"file_name,label\na.png,x\na.png,y\n", "line 3 gives a.png another label than a line before"),
        ("metadata.jsonl", b'{"file_name": "a.png"}\n{"x"', "metadata.jsonl is damaged after line 1: Expecting"),
        ("metadata.jsonl", b'{"file_name": "a.png"}\n3', "metadata.jsonl, line 2: it has no file_name"),
        ("metadata.jsonl", b'{"file_name": "a.png", "label": [1]}', "label of a.png in metadata.jsonl is neither a"),
        (
            "metadata.jsonl",
            b'{"file_name": "a.png", "label": 0.5}',
            "label of a.png in metadata.jsonl is neither a whole number nor a name: write one of these for each "
            "picture, or remove the labels in metadata.jsonl",
        ),
    ],
)
def test_damaged_metadata_is_one_line(tmp_path: Path, file: str, content: bytes, message: str):
    save_pictures(tmp_path / "s", "a.png", "b.png")
    (tmp_path / "s" / file).write_bytes(content)
    for read in (lambda: list_folder(tmp_path / "s"), lambda: list_zip(pack_zip(tmp_path / "s", tmp_path / "s.zip"))):
        with pytest.raises(UserError, match=rf"^[^\n]*s(\.zip)?: [^:\n]*{message}[^\n]*$"):
            read()


def test_both_formats_in_one_folder_are_refused(tmp_path: Path):
    save_pictures(tmp_path, "a.png")
    write_csv(tmp_path, "a.png,x")
    write_json_lines(tmp_path, {"a.png": "x"})
    with pytest.raises(UserError, match=r"has both metadata.csv and metadata.jsonl: remove one of them"):
        list_folder(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_not_imagefolders_is_a_file_like_others(tmp_path: Path):
    save_pictures(tmp_path, "cat/a.png", "dog/b.png")
    write_csv(tmp_path, "5,x", header="id,label")
    write_csv(tmp_path / "cat")
    os.mkfifo(tmp_path / "dog" / "metadata.csv")
    listing = list_folder(tmp_path)
    assert listing.classes == ("cat", "dog")
    assert listing.notices == ["not read: 3 .csv"]


def test_stylegans_labels_count_more_and_a_line_says_so(tmp_path: Path):
    save_pictures(tmp_path, "a.png", "b.png")
    write_csv(tmp_path, "a.png,x", "b.png,y")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": [["a.png", 0], ["b.png", 1]]}))
    listing = list_folder(tmp_path)
    assert listing.classes == ("0", "1")
    assert listing.notices == ["metadata.csv is not used, because there is a dataset.json"]


def test_a_set_is_opened_with_its_labels_and_other_labels_are_another_set(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 12)
    write_csv(folder, *(f"{i}.png,{'ab'[i % 2]}" for i in range(12)))
    images = open_images(str(folder), "all")
    assert images.classes == ("a", "b")
    assert images.labels.tolist() == [value % 2 for value in images.pixels[:, 0, 8, 8].tolist()]
    write_csv(folder, *(f"{i}.png,{'ab'[i // 6]}" for i in range(12)))
    changed = open_images(str(folder), "all")
    assert changed.content_key != images.content_key
    assert changed.pictures_key == images.pictures_key
