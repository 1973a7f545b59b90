"""WebDataset's `.tar` files: samples, labels, splits, what is not followed, and damage."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dcgan
from dcgan.data.find import list_file_names
from dcgan.data.folder import list_folder
from dcgan.data.open import open_images
from dcgan.data.tar_members import read_members
from dcgan.data.webdataset import list_tar
from dcgan.errors import UserError
from dcgan.training.advise import check_data
from tests.conftest import SMALL
from tests.data.test_folder import class_names, save_pictures
from tests.data.test_parquet import encode

pytestmark = pytest.mark.usefixtures("without_report")


def write_tar(path: Path, members: dict[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def samples(values: range, labels: list[str], suffix: str = "cls", folder: str = "") -> dict[str, bytes | str]:
    members: dict[str, bytes | str] = {}
    for value in values:
        label = labels[value % len(labels)]
        members[f"{folder}{value:06}.png"] = encode(value)
        members[f"{folder}{value:06}.{suffix}"] = json.dumps({"label": label}) if suffix == "json" else f"{label}\n"
    return members


@pytest.mark.parametrize("suffix", ["cls", "json"])
@pytest.mark.parametrize("folder", ["", "./", "in/here/"])
@pytest.mark.parametrize("labels", [["cat", "dog"], ["3", "10"]])
def test_labels_are_names_or_numbers(tmp_path: Path, suffix: str, folder: str, labels: list[str]):
    path = write_tar(tmp_path / "a.tar", samples(range(12), labels, suffix, folder))
    images = open_images(str(path), "all")
    assert images.classes == tuple(labels)
    assert images.notices == (
        () if labels[0] == "cat" else ("the classes are the 2 labels that training pictures have: 3, 10",)
    )
    values, numbers = images.pixels[:, 0, 8, 8].tolist(), images.labels.tolist()
    assert [images.classes[number] for number in numbers] == [labels[value % 2] for value in values]


def test_a_folder_of_shards_and_its_splits(tmp_path: Path):
    for split, first in (("train", 0), ("val", 100)):
        for shard in range(2):
            values = range(first + 8 * shard, first + 8 * shard + 8)
            write_tar(tmp_path / f"set-{split}-00000{shard}.tar", samples(values, ["x", "y"]))
    assert sorted(open_images(str(tmp_path), "train").pixels[:, 0, 8, 8].tolist()) == list(range(16))
    images = open_images(str(tmp_path), "test")
    assert sorted(images.pixels[:, 0, 8, 8].tolist()) == list(range(100, 116))
    assert images.classes == ("x", "y")
    assert list_file_names(str(tmp_path))[0] == "set-train-000000.tar/000000.png"


def test_runs_and_contact_sheets_beside_the_shards_are_not_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for shard in range(2):
        values = range(12 * shard, 12 * shard + 12)
        write_tar(tmp_path / f"{shard}.tar", {f"{value}.png": encode(value) for value in values})
    save_pictures(tmp_path, "runs/s-contact.png")
    for _ in range(2):
        dcgan.train("dcgan", data=".", **{**SMALL, "steps": 2})
    assert len(open_images(".", "all")) == 24


def test_equal_keys_in_two_shards_have_their_own_labels(tmp_path: Path):
    for shard in range(2):
        write_tar(tmp_path / f"{shard}.tar", {"0.png": encode(shard), "0.cls": "ab"[shard]})
    assert class_names(list_tar([tmp_path / "0.tar", tmp_path / "1.tar"], tmp_path)) == {
        "0.tar/0.png": "a",
        "1.tar/0.png": "b",
    }


def test_shards_without_labels_are_no_classes(tmp_path: Path):
    for shard in range(2):
        write_tar(tmp_path / f"{shard}.tar", {f"{i}.png": encode(10 * shard + i) for i in range(5)})
    images = open_images(str(tmp_path), "all")
    assert (len(images), images.classes) == (10, ())
    assert images.no_classes_reason == "there are no .cls members, and no labels in .json members"


def test_a_tar_of_a_folder_has_its_classes_and_passes_over_the_same(tmp_path: Path):
    root = tmp_path / "s"
    save_pictures(root, "cat/a.png", "cat/2024.01.png", "cat/2024.02.png", "dog/b.png", "dog/@eaDir/c.png", ".x/d.png")
    save_pictures(root, "run/samples/0.png", "__MACOSX/e.png")
    (root / "run" / "config.json").write_text(json.dumps({"format_version": 1, "settings": {}}))
    (root / "notes.txt").touch()
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        archive.add(root, "./")
    listing = list_tar([tmp_path / "s.tar"], tmp_path / "s.tar")
    assert class_names(listing) == class_names(list_folder(root))
    assert [notice.split(":")[0] for notice in listing.notices] == [
        "1 picture in folders of thumbnails, trash or metadata is passed over",
        "1 picture that dcgan itself wrote is passed over",
        "not read",
    ]


def test_one_picture_of_each_sample_is_used(tmp_path: Path):
    members = {f"{i}.{end}": encode(i) for i in range(4) for end in ("mask.png", "png")} | {
        f"{i}.cls": "0" for i in range(4)
    }
    listing = list_tar([path := write_tar(tmp_path / "a.tar", members)], path)
    assert [file.name for file in listing.files] == [f"{i}.png" for i in range(4)]
    assert listing.notices == [
        "of each sample the picture with the shortest ending is used; 4 more pictures are left out"
    ]


def test_samples_without_a_label_are_named_and_another_kind_of_label_is_refused(tmp_path: Path):
    members = samples(range(4), ["x"]) | {"9.png": encode(9), "8.png": encode(8), "8.json": "no JSON"}
    listing = list_tar([path := write_tar(tmp_path / "a.tar", members)], path)
    assert listing.skipped_files == [(f"{i}.png", "its .cls or .json member has no label for it") for i in (8, 9)]
    write_tar(path, samples(range(4), ["x"]) | {"9.png": encode(9), "9.json": '{"label": [1]}'})
    with pytest.raises(
        UserError, match=r"the label of 9.png in its .cls or .json member is neither a whole number nor"
    ):
        list_tar([path], path)


@pytest.mark.parametrize("name", ["9.cls", "9.json"])
def test_labels_in_another_encoding_are_refused(tmp_path: Path, name: str):
    label = '{"label": "été"}' if name == "9.json" else "été"
    members = samples(range(4), ["x"]) | {"9.png": encode(9), name: label}
    right = write_tar(tmp_path / "right.tar", members)
    assert "été" in list_tar([right], right).classes
    wrong = write_tar(tmp_path / "wrong.tar", members | {name: label.encode("latin-1")})
    with pytest.raises(UserError, match=rf"wrong.tar: its {name} has a label that is not UTF-8: save it as UTF-8"):
        list_tar([wrong], wrong)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "C:/a.png", "../a.txt"])
def test_a_member_that_points_outside(tmp_path: Path, name: str):
    path = write_tar(tmp_path / "a.tar", {"a.png": encode(0), name: encode(1)})
    with pytest.raises(UserError, match=r"a.tar holds an entry that points outside it: [^\n]*; make the tar again$"):
        open_images(str(path))


def test_links_and_devices_are_not_followed(tmp_path: Path):
    path = write_tar(tmp_path / "a.tar", {f"{i}.png": encode(i) for i in range(4)})
    with tarfile.open(path, "a") as archive:
        for i, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(f"x{i}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert list_tar([path], path).skipped_files == [
        ("x0.png", "a link inside a tar"),
        ("x1.png", "a link inside a tar"),
        ("x2.png", "not a plain file"),
        ("x3.png", "not a plain file"),
    ]


def make_tail(tmp_path: Path) -> tuple[Path, bytes]:
    """Return an archive of five members of three blocks each, and its content."""
    path = write_tar(tmp_path / "a.tar", {f"{i}.png": encode(i).ljust(1000, b"\0") for i in range(5)})
    return path, path.read_bytes()


@pytest.mark.parametrize(
    ("length", "count", "line"),
    [
        (5 * 1536, 5, "the archive has no end mark: it may have been longer"),
        (4 * 1536, 4, "the archive has no end mark: it may have been longer"),
        (4 * 1536 + 100, 4, "the archive is damaged at byte 6,144, and what follows is not read: no header is there"),
        (4 * 1536 + 512 + 200, 4, "the archive ends before it does"),
    ],
)
def test_a_tail_that_is_cut_off_costs_its_own_members(tmp_path: Path, length: int, count: int, line: str):
    path, content = make_tail(tmp_path)
    path.write_bytes(content[:length])
    listing = list_tar([path], path)
    assert [file.name for file in listing.files] == [f"{i}.png" for i in range(count)]
    assert [reason for _, reason in listing.skipped_files] == [line]


def test_damage_in_the_middle_and_content_after_the_end_are_said(tmp_path: Path):
    path, content = make_tail(tmp_path)
    path.write_bytes(content[: 2 * 1536] + b"\xff" * 512 + content[2 * 1536 + 512 :])
    listing = list_tar([path], path)
    assert len(listing.files) == 2
    line = "the archive is damaged at byte 3,072, and what follows is not read: no header is there"
    assert listing.skipped_files == [("a.tar", line)]
    path.write_bytes(content + content)
    line = "what follows the archive's end mark is not read: it may be two archives in one file"
    assert list_tar([path], path).skipped_files == [("a.tar", line)]
    images = open_images(str(path), "all")
    assert (len(images), images.skipped_files) == (5, (("a.tar", line),))


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"\x1f\x8b\x08" + bytes(600), b"PK\x03\x04" * 300])
def test_what_is_no_tar_is_one_line(tmp_path: Path, content: bytes):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"^[^\n]*a.tar is damaged, or no .tar \(unpack a .tar.gz first\): [^\n]+$"):
        open_images(str(tmp_path / "a.tar"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5 * 1536), st.binary(min_size=1, max_size=200))
def test_any_damage_ends_in_a_listing_or_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, place: int, noise: bytes
):
    path, content = make_tail(tmp_path_factory.mktemp("tar"))
    path.write_bytes(content[:place] + noise + content[place + len(noise) :])
    lines: list[str] = []
    try:
        members = list(read_members(path, lines.append))
    except UserError as error:
        lines.append(str(error))
        members = []
    assert len(members) <= 16
    assert all("\n" not in line for line in lines)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_path_that_leads_to_no_plain_file_is_refused(tmp_path: Path):
    (tmp_path / "0.tar").symlink_to(tmp_path / "gone.tar")
    with pytest.raises(UserError, match=r"^cannot read [^\n]*0.tar: No such file or directory$"):
        open_images(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(UserError, match=r"pipe.tar is not a plain file$"):
        open_images(str(tmp_path / "pipe.tar"))


def test_an_archive_without_pictures(tmp_path: Path):
    path = write_tar(tmp_path / "a.tar", {"0.txt": "x", "0.cls": "1"})
    with pytest.raises(UserError, match=r"a.tar has no pictures: it holds 1 .txt; put"):
        open_images(str(path))


def test_a_run_is_resumed_checked_and_refused_with_other_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = write_tar(tmp_path / "a.tar", {f"{i}.png": encode(i % 24) for i in range(26)})
    run = dcgan.train("dcgan", data=str(path), **{**SMALL, "steps": 2})
    moved = path.rename(tmp_path / "b.tar")
    dcgan.resume(run, data=str(moved), steps=3)
    assert check_data(str(moved))["duplicate_pairs"] == [["0.png", "24.png"], ["1.png", "25.png"]]
    write_tar(moved, {f"{i}.png": encode(i) for i in range(30, 60)})
    with pytest.raises(UserError, match="holds other pictures now"):
        dcgan.resume(run, data=str(moved), steps=4)
