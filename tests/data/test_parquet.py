"""`.parquet` files: their column of images, their labels and classes, their splits, and damage."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan.data.find import list_file_names
from dcgan.data.open import open_images
from dcgan.data.parquet import list_parquet
from dcgan.data.parquet_rows import ImageRows
from dcgan.errors import UserError
from dcgan.training.advise import check_data
from tests.conftest import SMALL
from tests.data.test_layout import split_names
from tests.extras import require


def encode(value: int, side: int = 20) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (side, side), (value, 255 - value, 7)).save(content, "PNG")
    return content.getvalue()


def write_parquet(
    path: Path, columns: dict[str, list[Any]], *, features: dict[str, Any] | None = None, rows_per_group: int = 5
) -> Path:
    """Write a file as `datasets` does; `features` is its description of the columns."""
    require("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_per_group, compression="none", data_page_size=4096)
    return path


def as_structs(values: range) -> list[dict[str, Any]]:
    return [{"bytes": encode(value), "path": f"{value}.png"} for value in values]


@pytest.mark.parametrize("is_struct", [True, False])
@pytest.mark.parametrize("name", ["image", "img", "picture"])
def test_a_column_of_bytes_or_of_structs(tmp_path: Path, is_struct: bool, name: str):
    pictures = as_structs(range(12)) if is_struct else [encode(value) for value in range(12)]
    path = write_parquet(tmp_path / "a.parquet", {"id": list(range(12)), name: pictures})
    images = open_images(str(path), "all")
    assert sorted(images.pixels[:, 0, 8, 8].tolist()) == list(range(12))
    assert images.classes == ()
    assert images.no_classes_reason == "it has no column label"


@pytest.mark.parametrize(
    ("labels", "classes"), [(["cat", "dog"], ("cat", "dog")), ([7, 3], ("3", "7")), ([True, False], None)]
)
def test_labels_are_names_or_numbers(tmp_path: Path, labels: list, classes: tuple | None):
    path = write_parquet(tmp_path / "a.parquet", {"image": as_structs(range(12)), "label": labels * 6})
    if classes is None:
        with pytest.raises(UserError, match=r"label of a.parquet/0 in the column label is neither a whole number nor"):
            open_images(str(path), "all")
        return
    images = open_images(str(path), "all")
    assert images.classes == classes
    values, numbers = images.pixels[:, 0, 8, 8].tolist(), images.labels.tolist()
    assert [classes[number] for number in numbers] == [str(labels[value % 2]) for value in values]


def test_the_names_of_classes_that_hugging_face_writes_and_rows_without_a_label(tmp_path: Path):
    features = {"image": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["ant", "bee", "cat"]}}
    columns = {"image": as_structs(range(6)), "kind": [0, 2, 0, 2, -1, None]}
    listing = list_parquet([path := write_parquet(tmp_path / "a.parquet", columns, features=features)], path)
    assert listing.classes == ("ant", "cat")
    assert [file.label for file in listing.files] == [0, 1, 0, 1]
    assert listing.skipped_files == [(f"a.parquet/{row}", "the column kind has no label for it") for row in (4, 5)]


def test_several_columns_of_classes_and_none_called_label(tmp_path: Path):
    features = {name: {"_type": "ClassLabel", "names": ["a", "b"]} for name in ("coarse", "fine")}
    columns = {"img": as_structs(range(4)), "coarse": [0, 0, 1, 1], "fine": [0, 1, 0, 1]}
    images = open_images(str(write_parquet(tmp_path / "a.parquet", columns, features=features)), "all")
    assert images.classes == ()
    assert images.notices == (
        "there are no classes, because no column is called label, and several hold classes: coarse, fine",
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-0000{}-of-00002.parquet", "data/test-0000{}-of-00002.parquet"),
        ("train/000{}.parquet", "validation/000{}.parquet"),
        ("set-train_{}.parquet", "set-val_{}.parquet"),
    ],
)
def test_a_folder_of_shards_and_its_splits(tmp_path: Path, train: str, test: str):
    for number in range(2):
        values = range(8 * number, 8 * number + 8)
        write_parquet(tmp_path / train.format(number), {"image": as_structs(values), "label": [0, 1] * 4})
        values = range(100 + 8 * number, 108 + 8 * number)
        write_parquet(tmp_path / test.format(number), {"image": as_structs(values), "label": [0, 1] * 4})
    (tmp_path / "README.md").touch()
    assert sorted(open_images(str(tmp_path), "train").pixels[:, 0, 8, 8].tolist()) == list(range(16))
    images = open_images(str(tmp_path), "test")
    assert sorted(images.pixels[:, 0, 8, 8].tolist()) == list(range(100, 116))
    assert images.labels.tolist() == [value % 2 for value in images.pixels[:, 0, 8, 8].tolist()]
    assert list_file_names(str(tmp_path))[0] == train.format(0) + "/0"


def test_a_shard_of_no_split_is_left_out_and_named(tmp_path: Path):
    for name in ("train-0", "test-0", "unlabeled-0"):
        write_parquet(tmp_path / f"{name}.parquet", {"image": as_structs(range(4))})
    images = open_images(str(tmp_path), "all")
    assert len(images) == 8
    assert images.notices == ("1 file is left out, whose name says neither train nor test: unlabeled-0.parquet",)


def test_shards_with_other_classes_and_files_of_two_kinds_are_refused(tmp_path: Path):
    write_parquet(tmp_path / "a.parquet", {"image": as_structs(range(4)), "label": [0] * 4})
    write_parquet(tmp_path / "b.parquet", {"image": as_structs(range(4))})
    with pytest.raises(UserError, match=r"b.parquet has other classes than a.parquet"):
        open_images(str(tmp_path))
    (tmp_path / "c.tar").touch()
    with pytest.raises(UserError, match=r"holds .parquet and .tar files: give a folder of one kind$"):
        open_images(str(tmp_path))


def test_a_file_without_pictures_says_what_it_has(tmp_path: Path):
    path = write_parquet(tmp_path / "a.parquet", {"url": ["x", "y"], "n": [1, 2]})
    with pytest.raises(UserError, match=r"has no column of pictures, [^\n]*: it has url \(string\), n \(int64\)$"):
        open_images(str(path))


def test_rows_without_bytes_and_broken_pictures_are_named(tmp_path: Path):
    pictures = [*as_structs(range(10)), {"bytes": None, "path": "x.png"}, {"bytes": b"no picture", "path": None}]
    images = open_images(str(write_parquet(tmp_path / "a.parquet", {"image": pictures})), "all")
    assert len(images) == 10
    assert images.skipped_files == (
        ("a.parquet/10", "its row has no bytes of a picture"),
        ("a.parquet/11", "not a picture, or of a kind that is not read"),
    )


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", bytes(1000)])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes):
    require("pyarrow")
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"^(cannot read )?[^\n]*a.parquet( is damaged, or no .parquet)?: [^\n]+$"):
        open_images(str(tmp_path / "a.parquet"))


def test_damage_in_the_middle_leaves_the_rest(tmp_path: Path):
    pictures = [{"bytes": encode(value, 40), "path": None} for value in range(100)]
    path = write_parquet(tmp_path / "a.parquet", {"image": pictures}, rows_per_group=25)
    content = bytearray(path.read_bytes())
    middle = content.index(encode(30, 40))
    content[middle - 2000 : middle] = b"\xff" * 2000
    path.write_bytes(content)
    images = open_images(str(path), "all")
    rows = set(images.columns["indices"].tolist())
    assert set(range(50, 100)) <= rows
    assert len(images) + len(images.skipped_files) == 100
    assert all(value == row for row, value in zip(images.columns["indices"], images.pixels[:, 0, 8, 8], strict=True))


def test_rows_are_read_in_any_order(tmp_path: Path):
    path = write_parquet(tmp_path / "a.parquet", {"image": as_structs(range(100))}, rows_per_group=30)
    rows = ImageRows(str(path))
    for row in np.random.default_rng(0).permutation(100).tolist():
        assert rows.read(row) == encode(row)


def test_several_processes_read_the_same_images_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pictures = [encode(value % 256, 16 + value // 256) for value in range(600)]
    path = write_parquet(tmp_path / "a.parquet", {"image": pictures}, rows_per_group=100)
    monkeypatch.setattr("dcgan.data.decode_workers.usable_core_count", lambda: 3)
    several = open_images(str(path), "all", size=(16, 16))
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("dcgan.data.decode_workers.usable_core_count", lambda: 1)
    one = open_images(str(path), "all", size=(16, 16))
    assert (len(one), one.content_key) == (600, several.content_key)


def test_a_run_is_resumed_checked_and_refused_with_other_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = write_parquet(tmp_path / "a.parquet", {"image": [*as_structs(range(24)), *as_structs(range(2))]})
    run = dcgan.train("dcgan", data=str(path), **{**SMALL, "steps": 2})
    moved = path.rename(tmp_path / "b.parquet")
    dcgan.resume(run, data=str(moved), steps=3)
    assert check_data(str(moved))["duplicate_pairs"] == [
        ["b.parquet/0", "b.parquet/24"],
        ["b.parquet/1", "b.parquet/25"],
    ]
    write_parquet(moved, {"image": as_structs(range(30, 60))})
    with pytest.raises(UserError, match="holds other pictures now"):
        dcgan.resume(run, data=str(moved), steps=4)


def test_without_pyarrow_a_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"^\.parquet files need pyarrow: pip install '[^\n]*'$"):
        open_images(str(tmp_path / "a.parquet"))


def test_splits_are_those_of_the_names(tmp_path: Path):
    for name in ("train", "test"):
        write_parquet(tmp_path / f"{name}.parquet", {"image": as_structs(range(2)), "label": ["x", "y"]})
    paths = [tmp_path / "test.parquet", tmp_path / "train.parquet"]
    assert split_names(list_parquet(paths, tmp_path)) == {
        "train.parquet/0": ("x", False),
        "train.parquet/1": ("y", False),
        "test.parquet/0": ("x", True),
        "test.parquet/1": ("y", True),
    }


def test_a_folder_of_parquet_files_is_divided_with_its_test_files(tmp_path: Path):
    for name, values in (("train-0", range(8)), ("train-1", range(8, 16)), ("test-0", range(16, 20))):
        write_parquet(tmp_path / "data" / f"{name}.parquet", {"image": as_structs(values)})

    def values(split: str, part: tuple[int, int]) -> list[int]:
        return sorted(open_images(str(tmp_path), split, part=part).pixels[:, 0, 8, 8].tolist())

    assert [values("train", (rank, 2)) for rank in (0, 1)] == [list(range(8)), list(range(8, 16))]
    assert [values("test", (rank, 2)) for rank in (0, 1)] == [list(range(16, 20))] * 2
    files = {name.split("/")[1] for name in list_file_names(str(tmp_path), (1, 2))}
    assert files == {"train-1.parquet", "test-0.parquet"}
