import hashlib
import lzma
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from torchvision.datasets.mnist import read_image_file, read_label_file

from dcgan.data import mnist
from dcgan.data.open import open_images

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.fixture(scope="module")
def unpacked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    for name in MD5:
        packed = (files("dcgan.data") / "mnist_idx" / f"{name}.xz").read_bytes()
        (folder / name).write_bytes(lzma.decompress(packed))
    return folder


def test_the_shipped_files_are_the_real_mnist(unpacked_folder: Path):
    for name, md5 in MD5.items():
        assert hashlib.md5((unpacked_folder / name).read_bytes()).hexdigest() == md5


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_images_and_labels_are_those_that_torchvision_reads(unpacked_folder: Path, split: str):
    pixels, labels = mnist.read_mnist(split)
    prefix = mnist.FILE_PREFIXES[split]
    assert pixels.dtype == labels.dtype == torch.uint8
    assert torch.equal(pixels, read_image_file(str(unpacked_folder / f"{prefix}-images-idx3-ubyte")))
    assert torch.equal(labels.long(), read_label_file(str(unpacked_folder / f"{prefix}-labels-idx1-ubyte")))


def test_origin_and_license_are_named():
    text = (files("dcgan.data") / "mnist_idx" / "README.md").read_text()
    assert "Yann LeCun" in text
    assert "Attribution-Share Alike 3.0" in text


def test_mnist_needs_no_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    assert len(open_images("mnist", "train")) == 60_000


def test_files_that_are_unpacked_in_the_background_are_the_same(monkeypatch: pytest.MonkeyPatch):
    unpacked = []
    unpack = mnist._unpack
    monkeypatch.setattr(mnist, "_unpack", lambda name: unpacked.append(name) or unpack(name))
    mnist.unpack_in_background("mnist")
    background = mnist.read_mnist("train")
    assert sorted(unpacked) == sorted(mnist.TRAINING_FILES)
    foreground = mnist.read_mnist("train")
    assert len(unpacked) == 4
    assert all(torch.equal(a, b) for a, b in zip(background, foreground, strict=True))
    mnist.unpack_in_background("folder")
    assert not mnist._unpacking


def test_unpacking_starts_without_torch_and_numpy():
    code = (
        "import sys\nfrom dcgan.data import mnist\nmnist.unpack_in_background('mnist')\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
