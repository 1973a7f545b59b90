import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan.data import arrays
from dcgan.data.arrays import StoredImages, read_exactly, read_npy, read_npz
from dcgan.data.open import open_images
from dcgan.data.resize import convert_channels
from dcgan.data.rules import RULES_OF_ARRAY_CHANNELS
from dcgan.errors import UserError

GRAY = np.random.default_rng(0).integers(0, 256, (9, 16, 20)).astype(np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (9, 16, 20, 3)).astype(np.uint8)


def read_all(images: StoredImages) -> np.ndarray:
    return np.concatenate(list(images.read_chunks()))


@pytest.fixture(params=[2**22, 1000])
def _chunk_sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "MAX_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("_chunk_sizes")
@pytest.mark.parametrize(
    ("array", "expected"), [(GRAY, GRAY[..., None]), (RGB, RGB), (RGB.transpose(0, 3, 1, 2), RGB), (RGB[:0], RGB[:0])]
)
def test_arrays_of_every_layout(tmp_path: Path, array: np.ndarray, expected: np.ndarray):
    array = np.ascontiguousarray(array)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array)
    np.savez_compressed(tmp_path / "b.npz", images=array)
    for images in (read_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz"), read_npz(tmp_path / "b.npz")):
        assert (images.count, images.shape) == (len(array), expected.shape[1:])
        if len(array):
            assert (read_all(images) == expected).all()


@pytest.mark.parametrize(
    ("key", "labels"), [("arr_1", np.arange(9)), ("labels", np.arange(9, dtype=np.uint8)[:, None])]
)
def test_labels(tmp_path: Path, key: str, labels: np.ndarray):
    np.savez(tmp_path / "a.npz", arr_0=RGB, **{key: labels})
    images = read_npz(tmp_path / "a.npz")
    assert images.labels.tolist() == list(range(9))
    assert images.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"arr_0": RGB.astype(np.float32)}, "holds float32, not uint8"),
        ({"arr_0": np.array([{}], object)}, "holds object, not uint8"),
        ({"arr_0": GRAY[0]}, r"has the shape \(16, 20\)"),
        ({"arr_0": GRAY[..., None, None]}, "has the shape"),
        ({"arr_0": np.zeros((3, 5, 5, 5), np.uint8)}, "has the shape"),
        ({"arr_0": np.zeros((3, 0, 5), np.uint8)}, "has the shape"),
        ({"a": RGB, "b": RGB}, "no array arr_0 or images: it holds a, b"),
        ({}, "holds nothing"),
        ({"arr_0": RGB, "labels": np.arange(8)}, "not a whole number for each of the 9"),
        ({"arr_0": RGB, "labels": np.ones(9)}, "are float64"),
        ({"arr_0": RGB, "labels": np.arange(9) - 1}, "go from -1 to 7"),
        ({"arr_0": RGB, "labels": np.arange(9) * 10**6}, "must be 0 to 65535"),
        ({"arr_0": np.asfortranarray(RGB)}, "Fortran order"),
    ],
)
def test_unusable_arrays_are_refused_with_a_reason(tmp_path: Path, content: dict, message: str):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(UserError, match=message) as error:
        read_npz(tmp_path / "a.npz")
    assert "\n" not in str(error.value)
    if list(content) == ["arr_0"] and "Fortran" not in message:
        np.save(tmp_path / "a.npy", content["arr_0"])
        with pytest.raises(UserError, match=r"^[^\n]*(holds|shape|damaged)[^\n]*$"):
            read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("length", [0, 5, 60, 200, -1])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_truncated_array_is_refused(tmp_path: Path, name: str, length: int):
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, RGB)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:length])
    with pytest.raises(UserError, match=r"^[^\n]*damaged[^\n]*$"):
        (read_npy if name == "a.npy" else read_npz)(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path, name: str):
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"^cannot read [^\n]*$"):
        (read_npy if name == "a.npy" else read_npz)(tmp_path / name)


def test_an_encrypted_npz_is_one_line(tmp_path: Path):
    np.savez(tmp_path / "a.npz", GRAY)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"^[^\n]*a.npz is damaged, or no .npz: [^\n]*encrypted[^\n]*$"):
        read_npz(tmp_path / "a.npz")


def test_an_npz_file_that_is_named_npy_is_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", RGB)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(UserError, match="rename it"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(10**6, 9999, 9999, 3), (10**12, 16, 16, 1)])
def test_a_header_that_promises_too_much_takes_no_memory(tmp_path: Path, shape: tuple):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("arr_0.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.write(b"x" * 1000)
    images = read_npz(tmp_path / "a.npz")
    with pytest.raises(UserError, match="ends before"):
        read_all(images)


def test_reading_exactly_takes_as_much_memory_as_there_are_bytes():
    assert read_exactly(io.BytesIO(b"abc"), 2) == b"ab"
    assert read_exactly(io.BytesIO(b"abc"), 0) == b""
    with pytest.raises(ValueError, match="ends before"):
        read_exactly(io.BytesIO(b"abc"), 2**100)


def test_a_damaged_header_is_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", RGB)
    np.save(tmp_path / "a.npy", RGB)
    for name, read in (("a.npz", read_npz), ("a.npy", read_npy)):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content.replace(b"(9, 16, 20, 3)", b"(9, 9999,9999,"))
        with pytest.raises(UserError, match="damaged"):
            read(tmp_path / name)


@pytest.mark.parametrize("shape", [(32, 32, 3), (32, 32, 4), (28, 28, 1), (100, 32, 2)])
def test_one_picture_is_not_taken_for_a_set_of_gray_ones(tmp_path: Path, shape: tuple):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    np.savez(tmp_path / "a.npz", np.zeros(shape, np.uint8))
    for read, name in ((read_npy, "a.npy"), (read_npz, "a.npz")):
        with pytest.raises(UserError, match=rf"that is one picture with {shape[2]} channels, not a set of them"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("shape", "notice"),
    [
        ((3, 32, 32), "is taken as 3 gray pictures, not as one with 3 channels"),
        ((9, 3, 32, 3), r"is taken as \(N, H, W, C\), not as \(N, C, H, W\)"),
    ],
)
def test_a_shape_that_may_mean_something_else_is_said(tmp_path: Path, shape: tuple, notice: str):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    (line,) = read_npy(tmp_path / "a.npy").notices
    assert re.search(notice, line)


@pytest.mark.parametrize("content", [b"hello, this is text", b"\x80\x04\x95 a pickle", b"\x89PNG\r\n", b"[1, 2]"])
def test_another_file_named_npy_gets_no_advice_about_pickles(tmp_path: Path, content: bytes):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"^[^\n]*it does not begin as an .npy file does: save it with numpy.save$"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.usefixtures("_chunk_sizes")
@pytest.mark.parametrize(
    ("kind", "channels"), [("gray", 1), ("opaque gray", 1), ("opaque", 3), ("color later", 3), ("transparent", 4)]
)
def test_images_of_an_array_have_the_fewest_channels_that_lose_nothing(tmp_path: Path, kind: str, channels: int):
    gray = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 1), np.uint8)
    pixels = np.repeat(gray, 3, axis=3)
    if kind in ("opaque", "color later", "transparent"):
        pixels[-1, 0, 0] = (255, 0, 0)
    if kind not in ("gray", "color later"):
        alpha = np.full((40, 12, 12, 1), 255, np.uint8)
        alpha[-1, 5, 5] = 254 if kind == "transparent" else 255
        pixels = np.concatenate([pixels, alpha], 3)
    np.save(tmp_path / "a.npy", pixels)
    images = open_images(str(tmp_path / "a.npy"), "all", size=(12, 12))
    assert images.pixels.shape[1] == channels
    before = open_images(str(tmp_path / "a.npy"), "all", size=(12, 12), rules=RULES_OF_ARRAY_CHANNELS)
    assert before.pixels.shape[1] == pixels.shape[3]
    assert torch.equal(convert_channels(images.pixels, before.pixels.shape[1]), before.pixels)
    assert open_images(str(tmp_path / "a.npy"), "all", size=(12, 12), channels=3).pixels.shape[1] == 3
