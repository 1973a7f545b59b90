import hashlib
import json
import lzma
import os
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets.mnist import read_image_file, read_label_file

import dcgan
from dcgan.cache import cache_folder
from dcgan.data import mnist
from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL, entries, picture_folder
from tests.test_arrays import idx

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
    pixels, labels = mnist.read_mnist(split)
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


def test_validation_of_a_set_with_its_own_test_part_is_in_training():
    validation = open_images("mnist", "validation")
    assert 2_900 < len(validation) <= 3_000
    train = {bytes(row) for row in open_images("mnist").pixels.flatten(1).numpy()}
    assert all(bytes(row) in train for row in validation.pixels.flatten(1).numpy())


def test_mnist_at_another_size_and_with_other_channels():
    images = open_images("mnist", "test", size=(32, 36), channels=3)
    assert images.pixels.shape == (10_000, 3, 32, 36)
    assert images.original == "28x28"
    assert images.key != open_images("mnist", "test").key


def save(path: Path, count: int = 20) -> None:
    np.save(path, np.random.default_rng(0).integers(0, 256, (count, 20, 20)).astype(np.uint8))


def bad_input(root: Path) -> list[tuple[str, str]]:
    """Specs that cannot be used, and what is said of them."""
    (root / "empty").mkdir()
    (root / "texts").mkdir()
    (root / "texts" / "a.txt").touch()
    picture_folder(root / "one", 1)
    picture_folder(root / "lone", 21, classes=20)
    picture_folder(root / "broken", 3)
    for name in ("0.png", "1.png"):
        (root / "broken" / name).write_bytes(b"x")
    (root / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with zipfile.ZipFile(root / "outside.zip", "w") as archive:
        archive.writestr("../a.png", b"x")
    with zipfile.ZipFile(root / "cut.png.zip", "w") as archive:
        for name in "ab":
            archive.writestr(f"{name}.png", b"x")
    (root / "idx").mkdir()
    (root / "idx" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0\0\x09" + b"\0\0\0\x10" * 2 + b"x" * 99)
    np.save(root / "float.npy", np.zeros((9, 20, 20)))
    np.save(root / "shape.npy", np.zeros((9, 20), np.uint8))
    save(root / "single.npy", 1)
    (root / "a.tar").touch()
    picture_folder(root / "flowers", 3)
    return [
        ("empty", "it is empty"),
        ("texts", "it holds 1 .txt"),
        ("one", "one usable picture"),
        ("lone", "the class class 1 and 18 more has one usable picture"),
        ("broken", "one usable picture, 2 are the least; 2 cannot be used, such as 0.png (not a picture"),
        ("cut.zip", "damaged, or no zip"),
        ("outside.zip", "points outside it: ../a.png"),
        ("cut.png.zip", "no usable picture"),
        ("idx", "damaged: it ends before"),
        ("float.npy", "holds float64, not uint8"),
        ("shape.npy", "has the shape (9, 20)"),
        ("single.npy", "one usable picture"),
        ("a.tar", "a kind that is not read"),
        ("flowrs", "did you mean 'flowers'?"),
        ("./flowrs", "did you mean 'flowers'?"),
        ("cifar", "did you mean 'cifar10'?"),
        ("x" * 5000, "there is no data"),
        ("a\0b", "there is no data"),
        ("a\x1b[31m\nb\udcff", "there is no data"),
    ]


def test_bad_input_is_one_line_and_nothing_is_lost(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for spec, message in bad_input(tmp_path):
        said = refused("train", "--data", spec, "--out", "r")
        assert message in said
        assert said.rstrip("\n").isprintable()
        assert not (tmp_path / "r").exists()
        assert not cache_folder().exists() or list(cache_folder().iterdir()) == []


def train_on(data: Path, out: Path, **settings: object) -> RunFolder:
    return dcgan.train("dcgan", data=str(data), out=out, **{**SMALL, "steps": 3, **settings})


@pytest.mark.parametrize(("channels", "mode"), [(None, "RGB"), (1, "L"), (4, "RGBA")])
def test_training_on_a_folder(tmp_path: Path, channels: int | None, mode: str, capsys: pytest.CaptureFixture[str]):
    folder = picture_folder(tmp_path / "my pictures", 40)
    (folder / "bro\nken.png").write_bytes(b"x")
    run = train_on(folder, tmp_path / "r", channels=channels)
    for picture in (run.path / "reals.png", max(run.samples.iterdir())):
        with Image.open(picture) as image:
            assert image.mode == mode
    skipped = json.loads((run.path / "skipped.json").read_text())
    assert skipped == [{"file": "bro\\nken.png", "reason": "not a picture, or of a kind that is not read"}]
    said = capsys.readouterr().err
    assert "40 pictures of 20x20 to 20x26" not in said  # 36 of them are trained on
    assert "36 pictures of 20x20 to 20x26" in said
    assert "resized to 28x28 (crop), which the network dcgan draws" in said
    assert "1 files cannot be used and are listed in skipped.json" in said
    assert dcgan.load(run).sample(2).shape == (2, 28, 28, len(mode))


def test_training_on_an_array_a_zip_and_idx_files(tmp_path: Path):
    save(tmp_path / "a.npy")
    picture_folder(tmp_path / "s", 20, classes=2)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for file in (tmp_path / "s").rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path))
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((20, 28, 28), np.uint8)))
    for name in ("a.npy", "s.zip", "idx"):
        run = train_on(tmp_path / name, tmp_path / f"run of {name}")
        assert next(run.log.measurements())["step"] == 2
        assert not (run.path / "skipped.json").exists()


@pytest.mark.parametrize("augment", ["flip", "diffaugment", "flip+diffaugment"])
def test_a_resumed_run_on_a_folder_equals_one_that_never_stopped(tmp_path: Path, augment: str):
    folder = picture_folder(tmp_path / "s", 40)
    whole = train_on(folder, tmp_path / "whole", augment=augment, steps=5)
    part = train_on(folder, tmp_path / "part", augment=augment, steps=2)
    state = "checkpoint/state.safetensors"
    assert (dcgan.resume(part, steps=5).path / state).read_bytes() == (whole.path / state).read_bytes()


def test_a_run_whose_pictures_changed_does_not_go_on(tmp_path: Path):
    folder = picture_folder(tmp_path / "s", 40)
    run = train_on(folder, tmp_path / "r")
    before = (run.path / "metrics.jsonl").read_bytes()
    (folder / "0.png").unlink()
    with pytest.raises(UserError, match=r"^[^\n]*cannot go on: [^\n]* holds other pictures now"):
        dcgan.resume(run, steps=9)
    assert (run.path / "metrics.jsonl").read_bytes() == before


def test_a_name_that_is_no_text_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9 \x1b[31m")
    try:
        picture_folder(tmp_path / name, 20)
    except OSError:
        pytest.skip("this file system takes text only")
    run = dcgan.train("dcgan", data=name, **{**SMALL, "steps": 2})
    assert str(run.path).isprintable()
    assert (run.model / "README.md").read_text().count("caf\\udce9 \\x1b[31m") >= 1
    assert list(dcgan.resume(run, steps=3).log.measurements())[-1]["step"] == 3


def test_a_network_that_cannot_draw_the_size_is_refused_before_anything_is_prepared(tmp_path: Path):
    with pytest.raises(UserError, match="28x28 only"):
        train_on(picture_folder(tmp_path / "s", 20), tmp_path / "r", image_size="28x32")
    assert not cache_folder().exists() or entries() == []


def test_opening_works_in_a_script_without_a_main_guard(tmp_path: Path):
    """Decoding in processes must not run the user's script again."""
    folder = picture_folder(tmp_path / "s", 260)
    (tmp_path / "script.py").write_text(
        "import dcgan.data.decode_workers as w\nfrom dcgan.data import open_images\nw.cores = lambda: 2\n"
        f"print(len(open_images({str(folder)!r}, 'all')))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "260\n", done.stderr


def test_digits_that_are_unpacked_ahead_are_the_same(monkeypatch: pytest.MonkeyPatch):
    from dcgan.data import mnist_bytes

    done = []
    unpack = mnist_bytes._unpack
    monkeypatch.setattr(mnist_bytes, "_unpack", lambda name: done.append(name) or unpack(name))
    mnist_bytes.unpack_in_background("mnist")
    ahead = mnist.read_mnist("train")
    assert sorted(done) == sorted(mnist_bytes.TRAINING_FILES)
    again = mnist.read_mnist("train")
    assert len(done) == 4
    assert all(torch.equal(one, other) for one, other in zip(ahead, again, strict=True))
    mnist_bytes.unpack_in_background("folder")
    assert not mnist_bytes._begun
