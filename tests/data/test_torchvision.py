import gzip
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from dcgan.cache import cache_folder
from dcgan.data import torchvision
from dcgan.data.open import open_images
from dcgan.data.rules import RULES_WITHOUT_UPRIGHT
from dcgan.errors import UserError
from tests.data.idx_content import to_idx_bytes


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import urllib.request

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.chdir(tmp_path)


def save_fashion_mnist(root: Path, is_packed: bool = False) -> None:
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, n in (("train", 40), ("t10k", 10)):
        for kind, array in (("images-idx3", np.full((n, 28, 28), n)), ("labels-idx1", np.arange(n) % 10)):
            content, name = to_idx_bytes(array.astype(np.uint8)), f"{part}-{kind}-ubyte"
            if is_packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


@pytest.mark.parametrize("in_cache", [False, True])
def test_files_on_the_disk_need_no_network(tmp_path: Path, in_cache: bool):
    save_fashion_mnist(cache_folder() / "torchvision" if in_cache else tmp_path / "data")
    train, test = open_images("fashion-mnist"), open_images("fashion-mnist", "test", size=(32, 40))
    assert train.pixels.shape == (40, 1, 28, 28)
    assert test.pixels.shape == (10, 1, 32, 40)
    assert train.classes[0] == "T-shirt/top"
    assert train.content_key != test.content_key


def test_packed_files_that_the_user_put_there_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_fashion_mnist(tmp_path / "data", is_packed=True)
    monkeypatch.setattr(datasets.FashionMNIST, "resources", [(name, None) for name, _ in datasets.MNIST.resources])
    assert len(open_images("fashion-mnist")) == 40


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist", "emnist", "cifar10", "cifar100", "usps"])
def test_without_files_and_network_one_line_says_which_files_go_where(name: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(UserError) as error:
        open_images(name)
    text = str(error.value)
    assert "\n" not in text
    assert all(file in text for file in torchvision.TORCHVISION_SETS[name].file_names)
    assert str(cache_folder() / "torchvision") in text
    assert capsys.readouterr().out == ""


def test_svhn_without_scipy_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(UserError, match="pip install 'scipy>="):
        open_images("svhn")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("cifar10", np.zeros((20, 32, 32, 3), np.uint8), (20, 3, 32, 32)),
        ("svhn", np.zeros((20, 3, 32, 32), np.uint8), (20, 3, 32, 32)),
        ("usps", np.zeros((20, 16, 16), np.uint8), (20, 1, 16, 16)),
    ],
)
def test_every_layout(monkeypatch: pytest.MonkeyPatch, name: str, data: np.ndarray, expected: tuple):
    class FakeDataset:
        def __init__(self, root: str, download: bool, **arguments: object) -> None:
            self.data, self.targets, self.labels = data, [0] * 20, np.zeros(20)

    for module in ("scipy", "scipy.io"):  # an extra, which may not be installed
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    monkeypatch.setattr(datasets, torchvision.TORCHVISION_SETS[name].class_name, FakeDataset)
    assert open_images(name).pixels.shape == expected


@pytest.mark.parametrize("name", [name for name in torchvision.TORCHVISION_SETS if name.startswith("emnist")])
def test_emnist_is_turned_upright_and_older_runs_keep_it_as_it_is_stored(monkeypatch: pytest.MonkeyPatch, name: str):
    """The pictures of a seven, as they are stored: rows and columns are exchanged."""
    upright = np.zeros((28, 28), np.uint8)
    upright[4, 6:20], upright[4:24, 19] = 255, 255
    stored = torch.from_numpy(np.stack([upright.T] * 20))

    class FakeDataset:
        def __init__(self, root: str, download: bool, **arguments: object) -> None:
            self.data, self.targets, self.classes = stored, [0, 1] * 10, ["a", "b"]

    monkeypatch.setattr(datasets, "EMNIST", FakeDataset)
    for split in ("train", "test"):
        images, old = open_images(name, split), open_images(name, split, rules=RULES_WITHOUT_UPRIGHT)
        assert (images.pixels.numpy() == upright).all()
        assert (old.pixels.numpy() == upright.T).all()
        assert images.content_key != old.content_key


def test_torchvision_has_every_set():
    for entry in torchvision.TORCHVISION_SETS.values():
        assert hasattr(datasets, entry.class_name)
