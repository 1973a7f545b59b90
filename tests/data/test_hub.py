"""Sets of Hugging Face's Hub, without a network: `datasets` loads a folder of the same name in the current folder."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import dcgan
from dcgan.cache import cache_folder
from dcgan.data.find import list_file_names
from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.training.advise import check_data
from tests.conftest import SMALL, make_picture_folder
from tests.data.test_metadata import write_csv
from tests.data.test_parquet import as_structs
from tests.extras import require

pytestmark = pytest.mark.filterwarnings("default")  # warnings of `datasets` are not ours


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write_set(root: Path, columns: dict[str, list[Any]], splits: dict[str, list[int]], image: str = "image") -> None:
    """Write a set as `datasets` does, with the given rows in each split."""
    require("datasets")
    import datasets

    kinds = {image: datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee"])}
    features = datasets.Features({name: kinds.get(name, datasets.Value("string")) for name in columns})
    for split, rows in splits.items():
        part = {name: [values[row] for row in rows] for name, values in columns.items()}
        (root / "data").mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(part, features=features).to_parquet(str(root / "data" / f"{split}-0.parquet"))


def test_a_set_is_streamed_once_with_its_splits_and_the_names_of_its_classes(tmp_path: Path):
    columns = {"img": as_structs(range(40)), "label": [0, 1] * 20, "text": ["x"] * 40}
    write_set(tmp_path / "user" / "name", columns, {"train": list(range(30)), "test": list(range(30, 40))}, "img")
    images = open_images("hf:user/name", "train")
    assert sorted(images.pixels[:, 0, 8, 8].tolist()) == list(range(30))
    assert (images.name, images.classes) == ("hf:user/name", ("ant", "bee"))
    assert images.labels.tolist() == [value % 2 for value in images.pixels[:, 0, 8, 8].tolist()]
    (tmp_path / "user").rename(tmp_path / "gone")
    assert sorted(open_images("hf:user/name", "test").pixels[:, 0, 8, 8].tolist()) == list(range(30, 40))
    assert list_file_names("hf:user/name")[0] == "train.parquet/0"


def test_a_set_of_files_with_metadata(tmp_path: Path):
    require("datasets")
    folder = make_picture_folder(tmp_path / "user" / "name" / "train", 12)
    write_csv(folder, *(f"{i}.png,{'ab'[i % 2]}" for i in range(12)))
    images = open_images("hf:user/name", "all")
    assert sorted(images.pixels[:, 0, 8, 8].tolist()) == list(range(12))
    assert images.classes == ("a", "b")
    assert images.labels.tolist() == [value % 2 for value in images.pixels[:, 0, 8, 8].tolist()]


def test_a_run_is_resumed_and_evaluated_by_the_name(tmp_path: Path):
    write_set(tmp_path / "user" / "name", {"image": as_structs(range(40))}, {"train": list(range(40))})
    run = dcgan.train("dcgan", data="hf:user/name", **{**SMALL, "steps": 2})
    assert run.path == Path("runs/dcgan-name-1")
    assert run.data_record().path is None
    assert json.loads((run.path / "config.json").read_text())["settings"]["data"] == "hf:user/name"
    assert dcgan.resume(run, steps=3).data_record().key
    assert check_data("hf:user/name")["contact_sheet"] == "runs/name-contact.png"


def test_a_set_without_pictures_leaves_nothing_behind(tmp_path: Path):
    write_set(tmp_path / "user" / "name", {"text": ["x", "y"]}, {"train": [0, 1]})
    with pytest.raises(UserError, match=r"^hf:user/name train has no column of pictures: it has text$"):
        open_images("hf:user/name")
    assert list(cache_folder().iterdir()) == []


def test_a_set_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch):
    require("datasets")

    def fail(name: str, *, streaming: bool) -> None:
        raise ConnectionError("Couldn't reach the Hub\nfor many reasons")

    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(UserError, match=r"^hf:user/name cannot be loaded \(Couldn't reach the Hub\): [^\n]+$"):
        open_images("hf:user/name")


@pytest.mark.parametrize("name", ["", "mnist", "/etc/passwd", "../x", "a/b/c", "user/..", "a b/c"])
def test_what_is_no_name_is_refused(name: str):
    with pytest.raises(UserError, match=r"is no set of the Hub: give hf:USER/NAME$"):
        open_images(f"hf:{name}")


def test_without_datasets_a_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"^hf:user/name needs datasets: pip install '[^\n]*'$"):
        open_images("hf:user/name")
