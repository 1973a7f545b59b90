import hashlib
import lzma
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from torchvision.datasets.mnist import read_image_file, read_label_file

from dcgan.config import UserError
from dcgan.data import at_size, mnist, open_images

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    for name in MD5:
        packed = (files("dcgan.data") / "mnist_idx" / f"{name}.xz").read_bytes()
        (folder / name).write_bytes(lzma.decompress(packed))
    return folder


def test_the_shipped_files_are_the_real_mnist(unpacked: Path):
    for name, md5 in MD5.items():
        assert hashlib.md5((unpacked / name).read_bytes()).hexdigest() == md5


@pytest.mark.parametrize("split", ["train", "test"])
def test_we_read_what_torchvision_reads(unpacked: Path, split: str):
    pixels, labels = mnist.read(split)
    prefix = mnist.PREFIX[split]
    assert torch.equal(pixels, read_image_file(str(unpacked / f"{prefix}-images-idx3-ubyte")))
    assert torch.equal(labels.long(), read_label_file(str(unpacked / f"{prefix}-labels-idx1-ubyte")))


def test_origin_and_licence_are_named():
    text = (files("dcgan.data") / "mnist_idx" / "README.md").read_text()
    assert "Yann LeCun" in text
    assert "Attribution-Share Alike 3.0" in text


def test_open_images():
    data = open_images("mnist", "test")
    assert data.pixels.shape == (10_000, 1, 28, 28)
    assert data.pixels.dtype == torch.uint8
    assert data.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.classes[7] == "7"


def test_mnist_needs_no_network(monkeypatch: pytest.MonkeyPatch):
    import socket

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    assert len(open_images("mnist", "train")) == 60_000


def test_unknown_data_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        open_images("mnits")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0",
        b"\0\0\x08\x01\0\0\0\x02a",
        b"\0\0\x08\x03\0\0",
        b"\0\0\x08\x01\0\0\0\x01ab",
        b"\0\0\x08\x04" + b"\xff" * 16,
    ],
)
def test_a_damaged_idx_file_is_refused(content: bytes):
    with pytest.raises(UserError, match=r"x\.idx"):
        mnist.parse_idx(content, "x.idx")


def test_pictures_at_another_size_look_the_same():
    digits = open_images("mnist", "test")
    larger = at_size(digits, 64, 32)
    assert larger.pixels.shape == (10_000, 1, 64, 32)
    assert larger.pixels.dtype == torch.uint8
    assert larger.pixels.float().mean().item() == pytest.approx(digits.pixels.float().mean().item(), rel=0.02)
    assert at_size(digits, 28, 28) is digits
