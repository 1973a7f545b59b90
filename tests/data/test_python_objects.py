import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import dcgan
from dcgan import UserError
from dcgan.data.open import open_images
from dcgan.data.python_objects import data_path
from tests.conftest import SMALL, cached_set_names

GRAY = np.random.default_rng(0).integers(0, 256, (12, 16, 20), dtype=np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (12, 16, 20, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


class Pictures(Dataset[Any]):
    """A map-style set of items."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


class Stream(IterableDataset[Any]):
    """A set without a length."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def stored(data: object) -> tuple[np.ndarray, np.ndarray | None]:
    with np.load(data_path(data)) as arrays:
        return arrays["images"], arrays.get("labels")


def first(pictures: np.ndarray) -> np.ndarray:
    """Return pictures with their channels first."""
    return np.ascontiguousarray(np.moveaxis(pictures, -1, 1))


@pytest.mark.parametrize("data", ["mnist", "folder/", Path("folder/a.npz")])
def test_names_and_paths_stay(data: str | Path):
    assert data_path(data) == str(data) or Path(data_path(data)) == Path(data)
    assert cached_set_names() == []


@pytest.mark.parametrize(
    "data",
    [
        COLOR,
        first(COLOR),
        torch.from_numpy(first(COLOR)),
        torch.from_numpy(COLOR),
        (COLOR / 255).astype(np.float32),
        torch.from_numpy(first(COLOR)) / 127.5 - 1,
        (torch.from_numpy(first(COLOR)) / 255).double(),
        list(COLOR),
        Pictures([Image.fromarray(picture) for picture in COLOR]),
        Pictures([torch.from_numpy(picture) / 255 for picture in first(COLOR)]),
        Stream(list(COLOR)),
        DataLoader(Pictures(list(first(COLOR))), batch_size=5, shuffle=True),
        DataLoader(Stream(list(first(COLOR))), batch_size=5),
        DataLoader(Pictures(list(COLOR)), batch_size=5, collate_fn=lambda items: np.stack(items)),
        TensorDataset(torch.from_numpy(first(COLOR))),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_kind_of_object_gives_the_same_pictures(data: object):
    pictures, labels = stored(data)
    assert pictures.dtype == np.uint8
    assert (pictures == COLOR).all()
    assert labels is None


def test_gray_pictures_need_no_channels():
    for data in (GRAY, GRAY[:, None], GRAY[..., None], [Image.fromarray(picture) for picture in GRAY]):
        assert (stored(data)[0] == GRAY[..., None]).all()


@pytest.mark.parametrize(
    "data",
    [
        (COLOR, LABELS),
        (torch.from_numpy(COLOR), torch.from_numpy(LABELS)),
        list(zip(COLOR, LABELS, strict=True)),
        Pictures([(picture, int(label)) for picture, label in zip(COLOR, LABELS, strict=True)]),
        TensorDataset(torch.from_numpy(COLOR), torch.from_numpy(LABELS)),
        DataLoader(TensorDataset(torch.from_numpy(COLOR), torch.from_numpy(LABELS)), batch_size=7, shuffle=True),
        DataLoader(Stream(list(zip(first(COLOR), LABELS, strict=True))), batch_size=7),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_labels_come_with_their_pictures(data: object):
    pictures, labels = stored(data)
    assert (pictures == COLOR).all()
    assert labels is not None
    assert labels.tolist() == LABELS.tolist()


class Batches(Sampler[list[int]]):
    """A sampler of whole batches, which knows how many there are."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class Endless(Sampler[int]):
    """A sampler without an end, as GANs often have it."""

    def __iter__(self) -> Iterator[int]:
        return itertools.cycle(range(12))


TRAIN_ROWS = [9, 2, 4, 7]


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": SubsetRandomSampler(TRAIN_ROWS)},
        {"sampler": TRAIN_ROWS},
        {"batch_sampler": BatchSampler(SubsetRandomSampler(TRAIN_ROWS), 3, drop_last=False)},
        {"batch_sampler": Batches([[9, 2, 4], [7]])},
        {"sampler": WeightedRandomSampler(np.isin(range(12), TRAIN_ROWS).tolist(), 4, replacement=False)},
    ],
    ids=["subset", "list", "batches of a subset", "batches", "weights"],
)
def test_pictures_that_a_sampler_leaves_out_are_not_read(options: dict[str, Any]):
    loader = DataLoader(Named(["cat", "a dog", "owl"]), **options)
    path = data_path(loader)
    with np.load(path) as arrays:
        assert (arrays["images"][..., 0] == GRAY[sorted(TRAIN_ROWS)]).all()
        assert arrays["labels"].tolist() == LABELS[sorted(TRAIN_ROWS)].tolist()
        assert arrays["class_names"].tolist() == ["cat", "a dog", "owl"]
    assert data_path(loader) == path  # in whatever order it draws them


@pytest.mark.parametrize("part", [(0, 2), (1, 2)])
def test_what_a_sampler_selects_is_divided_among_processes(part: tuple[int, int]):
    loader = DataLoader(Named(["cat", "a dog", "owl"]), sampler=SubsetRandomSampler(TRAIN_ROWS))
    with np.load(data_path(loader, part)) as arrays:
        assert (arrays["images"][..., 0] == GRAY[sorted(TRAIN_ROWS)[part[0] :: 2]]).all()
        assert arrays["class_names"].tolist() == ["cat", "a dog", "owl"]


def test_a_sampler_that_draws_all_pictures_in_any_order_reads_the_set():
    data = Pictures(list(COLOR))
    samplers = [RandomSampler(data, num_samples=5), SequentialSampler(data), DistributedSampler(data, 3, 1)]
    for loader in (DataLoader(data, batch_size=5, sampler=sampler, drop_last=True) for sampler in samplers):
        assert data_path(loader) == data_path(data)
    few = DataLoader(data, sampler=RandomSampler(range(3)))
    assert (stored(few)[0] == COLOR[:3]).all()


def test_a_sampler_without_an_end_is_refused():
    with pytest.raises(UserError, match=r"^a DataLoader with the sampler Endless, which has no length, [^\n]* Subset "):
        data_path(DataLoader(Pictures(list(COLOR)), sampler=Endless()))


def test_the_same_pictures_are_stored_once():
    assert data_path(GRAY) == data_path(GRAY.copy())
    assert data_path(GRAY) != data_path(255 - GRAY)
    assert data_path((GRAY, LABELS)) != data_path((GRAY, LABELS[::-1].copy()))
    assert len(cached_set_names()) == 4


NAN = np.full((2, 16, 16), np.nan, np.float32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "data must be a name, a path, an array, a Dataset, a DataLoader or another iterable, not int"),
        ([], "list holds no pictures"),
        ({"train": GRAY}, "data must be a name, a path, an array, .* or another iterable, not dict"),
        (GRAY.astype(np.float32), r"ndarray: floats must be in \[0, 1\] or \[-1, 1\], and these are from 0 to 255: "),
        (NAN, r"floats must be in \[0, 1\] or \[-1, 1\], and these are from nan"),
        (GRAY.astype(np.int64), r"values must be uint8, or floats in \[0, 1\] or \[-1, 1\], not int64"),
        (GRAY > 9, "not bool"),
        (np.zeros((5, 16, 16, 2), np.uint8), r"an array \(16, 16, 2\) is no picture: pictures are \(H, W\), \(H, W"),
        (np.zeros((5, 3, 16, 4), np.uint8), r"an array \(3, 16, 4\) may have its channels first or last"),
        (np.zeros((5, 16), np.uint8), r"an array \(16,\) is no picture"),
        (Pictures([GRAY[0], GRAY[1], COLOR[0]]), "picture 2 is 16x20x3 uint8 and the first one 16x20x1 uint8: let all"),
        (Pictures([GRAY[0], GRAY[1][:15]]), "Pictures: picture 1 is 15x20x1 uint8 and the first one 16x20x1"),
        (Pictures([{"image": GRAY[0]}]), "an item must be a picture, or a picture and a label, not a dict of image"),
        (Pictures([(GRAY[0], 1, 2)]), "a picture, or a picture and a label, not 3 values"),
        (Pictures([(GRAY[0], 1), GRAY[1]]), "picture 1 has no label, and others have one"),
        (Pictures([(GRAY[0], 0.5)]), r"labels must be whole numbers from 0, not 0\.5"),
        (Pictures([(GRAY[0], -1)]), "labels must be whole numbers from 0, not -1"),
        (Pictures([(GRAY[0], [0, 1])]), "a label must be one whole number, the class"),
        (COLOR[0], r"ndarray has the shape \(16, 20, 3\): that is one picture with 3 channels, not a set of them"),
        ((GRAY, LABELS[:5]), r"12 pictures need as many labels, not an array \(5,\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_used_is_refused_in_one_line(data: object, message: str):
    with pytest.raises(UserError, match=message) as error:
        data_path(data)
    assert "\n" not in str(error.value)
    assert cached_set_names() == []


@pytest.mark.usefixtures("without_report")
def test_a_run_of_a_dataset_trains_and_resumes_and_other_pictures_are_refused(tmp_path: Path):
    pictures = np.random.default_rng(2).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    data = Pictures([(picture, i % 2) for i, picture in enumerate(pictures)])
    options: dict[str, Any] = {"out": tmp_path / "r", "steps": 3, "show_progress": False, "conditional": True}
    run = dcgan.train("dcgan", data=data, **options, **SMALL)
    model = dcgan.load(run)
    assert model.classes == ("0", "1")
    assert model.trained["data"] == "Pictures.npz"
    assert dcgan.resume(run, steps=4, show_progress=False).data_record().key
    dcgan.resume(run, data=(pictures, np.arange(40) % 2), steps=5, show_progress=False)
    with pytest.raises(UserError, match="holds other pictures now than when the run began"):
        dcgan.resume(run, data=(255 - pictures, np.arange(40) % 2), steps=6, show_progress=False)


class Named(Pictures):
    """A set whose attribute `classes` names its labels, as torchvision's sets have it."""

    def __init__(self, classes: Any) -> None:
        super().__init__([(picture, int(label)) for picture, label in zip(GRAY, LABELS, strict=True)])
        self.classes = classes


@pytest.mark.parametrize("wrap", [lambda data: data, DataLoader, lambda data: Subset(data, range(12))])
def test_the_model_keeps_the_names_of_the_classes_of_a_dataset(tmp_path: Path, wrap: Any):
    data = wrap(Named(["cat", "a dog", "owl", "never seen"]))
    run = dcgan.train("dcgan", data=data, out=tmp_path / "r", conditional=True, **{**SMALL, "steps": 1})
    model = dcgan.load(run)
    assert model.classes == ("cat", "a dog", "owl")
    assert model.labels(1, "owl").tolist() == [2]
    dcgan.resume(run, steps=2)
    dcgan.resume(run, steps=3, data=data)
    assert dcgan.load(run).classes == ("cat", "a dog", "owl")


@pytest.mark.parametrize(
    "classes", [["cat", "dog"], ["x", "x", "y"], [0, 1, 2], "cat", None, ["a", "", "b"], ["c" * 201] * 3]
)
def test_classes_that_do_not_name_all_labels_leave_the_numbers(classes: Any):
    assert open_images(data_path(Named(classes))).classes == ("0", "1", "2")


def test_a_run_that_knew_numbers_only_is_resumed_with_names(tmp_path: Path):
    """Earlier versions did not read the names: the pictures and labels are the same."""
    settings = {**SMALL, "steps": 1, "conditional": True}
    run = dcgan.train("dcgan", data=Pictures(Named(None).items), out=tmp_path / "r", **settings)
    assert dcgan.load(run).classes == ("0", "1", "2")
    dcgan.resume(run, steps=2, data=Named(["cat", "dog", "owl"]))
    assert dcgan.load(run).classes == ("cat", "dog", "owl")


def test_an_npz_may_name_its_classes(tmp_path: Path):
    labels = LABELS * 2  # 0, 2, 4
    for names, classes in (
        (np.array(["a", "b", "c", "d", "e"]), ("a", "c", "e")),
        (np.array(["a", "b"]), ("0", "2", "4")),
        (np.arange(5), ("0", "2", "4")),
    ):
        np.savez(tmp_path / f"{len(names)}{names.dtype}.npz", images=GRAY, labels=labels, class_names=names)
        assert open_images(str(tmp_path / f"{len(names)}{names.dtype}.npz")).classes == classes
