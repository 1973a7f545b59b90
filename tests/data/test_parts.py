"""Sets that are divided among processes: which files and which pictures each process opens."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from dcgan.data.find import can_be_divided, list_file_names
from dcgan.data.open import open_images
from dcgan.data.parts import select_part
from dcgan.data.python_objects import data_path
from dcgan.errors import UserError


def write_shards(root: Path, names: list[str], *, count: int = 20, side: int = 28) -> Path:
    """Write a .tar of pictures of noise for each name, with labels 0, 1 and 2."""
    source = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        with tarfile.open(root / f"{name}.tar", "w") as archive:
            for i in range(count):
                picture = io.BytesIO()
                Image.fromarray(source.integers(0, 256, (side, side), np.uint8)).save(picture, "PNG")
                for suffix, content in (("png", picture.getvalue()), ("cls", str(i % 3).encode())):
                    member = tarfile.TarInfo(f"{name}-{i}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return root


def names_of(root: Path, count: int) -> list[list[str]]:
    shards = sorted(root.glob("*.tar"))
    return [[path.stem for path in select_part(shards, root, (rank, count))] for rank in range(count)]


def test_each_part_has_other_files_and_together_they_have_all(tmp_path: Path):
    root = write_shards(tmp_path / "s", ["a", "b", "c", "d", "e"], count=1)
    assert names_of(root, 2) == [["a", "c", "e"], ["b", "d"]]
    assert names_of(root, 5) == [["a"], ["b"], ["c"], ["d"], ["e"]]
    with pytest.raises(UserError, match="s has 5 files to train on, too few for 6 processes"):
        names_of(root, 6)


def test_training_and_test_files_are_divided_each_by_themselves(tmp_path: Path):
    root = write_shards(tmp_path / "s", ["test-0", "test-1", "train-0", "train-1", "train-2"], count=1)
    assert names_of(root, 2) == [["test-0", "train-0", "train-2"], ["test-1", "train-1"]]
    assert names_of(root, 3) == [["test-0", "train-0"], ["test-1", "train-1"], ["test-0", "train-2"]]


def test_a_part_is_opened_with_its_own_splits_and_names(tmp_path: Path):
    root = write_shards(tmp_path / "s", ["a", "b", "c"])
    opened = [open_images(str(root), "all", part=(rank, 2)) for rank in (0, 1)]
    assert [len(part) for part in opened] == [40, 20]
    assert [part.part for part in opened] == [(0, 2), (1, 2)]
    whole = open_images(str(root), "all")
    digests = np.concatenate([part.columns["digests"] for part in opened])
    assert sorted(map(bytes, digests)) == sorted(map(bytes, whole.columns["digests"]))
    assert len({part.content_key for part in (*opened, whole)}) == 3
    train, test = (open_images(str(root), split, part=(1, 2)) for split in ("train", "test"))
    assert not set(map(bytes, train.columns["digests"])) & set(map(bytes, test.columns["digests"]))
    names = list_file_names(str(root), (1, 2))
    assert {names[i].split("/")[0] for i in opened[1].columns["indices"]} == {"b.tar"}


@pytest.mark.parametrize("data", ["mnist", "hf:a/b", "join:mnist stacked-mnist", "folder", "a.npz"])
def test_what_cannot_be_divided_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Image.new("L", (16, 16)).save("folder/a.png")
    np.savez("a.npz", np.zeros((9, 16, 16), np.uint8))
    with pytest.raises(UserError, match=r"cannot be divided by --split-data, which needs a folder of .tar or of"):
        open_images(data, part=(0, 2))
    assert not can_be_divided(data, (0, 2))


class Numbered(Dataset):
    """Pictures whose brightness is their index, and which of them were read."""

    classes = ("even", "odd")

    def __init__(self, count: int) -> None:
        self.count, self.read = count, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        self.read.append(index)
        return np.full((16, 16), index, np.uint8), index % 2


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: DataLoader(data, 7, shuffle=True)])
def test_each_process_reads_only_its_part_of_a_dataset(wrap):
    pictures = Numbered(21)
    path = data_path(wrap(pictures), (1, 2))
    assert pictures.read == list(range(1, 21, 2))
    assert path.endswith("Numbered-part-1-of-2.npz")
    images = open_images(path, "all", part=(1, 2))
    assert sorted(images.pixels[:, 0, 0, 0].tolist()) == pictures.read
    with pytest.raises(
        UserError, match=r"another part than that of process 0 of 2: give the same pictures again, dcgan"
    ):
        open_images(path, part=(0, 2))


def test_pictures_of_ones_own_need_a_length_and_a_launcher():
    with pytest.raises(UserError, match=r"^split_data with your own Dataset: start your script with torchrun"):
        data_path(Numbered(4), None)
    with pytest.raises(
        UserError, match=r"^split_data divides a Dataset, which has a length and is indexed, not generator"
    ):
        data_path((torch.zeros(1, 16, 16) for _ in range(3)), (0, 2))
