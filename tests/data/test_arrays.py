import gzip
import lzma
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dcgan.data import arrays
from dcgan.data.arrays import ArrayPart, find_idx, read_idx, read_npy, read_npz
from dcgan.errors import UserError

GRAY = np.random.default_rng(0).integers(0, 256, (9, 16, 20)).astype(np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (9, 16, 20, 3)).astype(np.uint8)


def whole(rows: ArrayPart) -> np.ndarray:
    return np.concatenate(list(rows.pieces()))


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(params=[2**22, 1000])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "MAX_READ_BYTES", request.param)


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize(
    ("array", "expected"), [(GRAY, GRAY[..., None]), (RGB, RGB), (RGB.transpose(0, 3, 1, 2), RGB), (RGB[:0], RGB[:0])]
)
def test_arrays_of_every_layout(tmp_path: Path, array: np.ndarray, expected: np.ndarray):
    array = np.ascontiguousarray(array)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array)
    np.savez_compressed(tmp_path / "b.npz", images=array)
    for [rows] in (read_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz"), read_npz(tmp_path / "b.npz")):
        assert (rows.count, rows.shape) == (len(array), expected.shape[1:])
        if len(array):
            assert (whole(rows) == expected).all()


@pytest.mark.parametrize(
    ("key", "labels"), [("arr_1", np.arange(9)), ("labels", np.arange(9, dtype=np.uint8)[:, None])]
)
def test_labels(tmp_path: Path, key: str, labels: np.ndarray):
    np.savez(tmp_path / "a.npz", arr_0=RGB, **{key: labels})
    [rows] = read_npz(tmp_path / "a.npz")
    assert rows.labels.tolist() == list(range(9))
    assert rows.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"arr_0": RGB.astype(np.float32)}, "holds float32, not uint8"),
        ({"arr_0": np.array([{}], object)}, "holds object, not uint8"),
        ({"arr_0": GRAY[0]}, r"has the shape \(16, 20\)"),
        ({"arr_0": GRAY[..., None, None]}, "has the shape"),
        ({"arr_0": np.zeros((3, 5, 5, 5), np.uint8)}, "has the shape"),
        ({"arr_0": np.zeros((3, 0, 5), np.uint8)}, "has the shape"),
        ({"a": RGB, "b": RGB}, "neither arr_0 nor images: it holds a, b"),
        ({}, "holds nothing"),
        ({"arr_0": RGB, "labels": np.arange(8)}, "not a whole number for each of the 9"),
        ({"arr_0": RGB, "labels": np.ones(9)}, "are float64"),
        ({"arr_0": RGB, "labels": np.arange(9) - 1}, "go from -1 to 7"),
        ({"arr_0": RGB, "labels": np.arange(9) * 10**6}, "must be 0 to 65536"),
        ({"arr_0": np.asfortranarray(RGB)}, "Fortran order"),
    ],
)
def test_what_is_wrong_with_an_array(tmp_path: Path, content: dict, message: str):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(UserError, match=message) as error:
        read_npz(tmp_path / "a.npz")
    assert "\n" not in str(error.value)
    if list(content) == ["arr_0"] and "Fortran" not in message:
        np.save(tmp_path / "a.npy", content["arr_0"])
        with pytest.raises(UserError, match=r"^[^\n]*(holds|shape|damaged)[^\n]*$"):
            read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("cut", [0, 5, 60, 200, -1])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_cut_array_is_refused(tmp_path: Path, name: str, cut: int):
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, RGB)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:cut])
    with pytest.raises(UserError, match=r"^[^\n]*damaged[^\n]*$"):
        (read_npy if name == "a.npy" else read_npz)(tmp_path / name)


@pytest.mark.parametrize("shape", [(10**6, 9999, 9999, 3), (10**12, 16, 16, 1)])
def test_a_header_that_promises_too_much_takes_no_memory(tmp_path: Path, shape: tuple):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("arr_0.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.write(b"x" * 1000)
    [rows] = read_npz(tmp_path / "a.npz")
    with pytest.raises(UserError, match="ends before"):
        whole(rows)


def test_a_header_that_is_no_header(tmp_path: Path):
    np.savez(tmp_path / "a.npz", RGB)
    np.save(tmp_path / "a.npy", RGB)
    for name, read in (("a.npz", read_npz), ("a.npy", read_npy)):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content.replace(b"(9, 16, 20, 3)", b"(9, 9999,9999,"))
        with pytest.raises(UserError, match="damaged"):
            read(tmp_path / name)


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("dash", ["-", "."])
def test_idx_files(tmp_path: Path, suffix: str, pack, dash: str):
    for part, rows in (("train", GRAY), ("t10k", GRAY[:4])):
        (tmp_path / f"{part}-images{dash}idx3-ubyte{suffix}").write_bytes(pack(idx(rows)))
        (tmp_path / f"{part}-labels{dash}idx1-ubyte{suffix}").write_bytes(
            pack(idx(np.arange(len(rows), dtype=np.uint8)))
        )
    train, test = read_idx(find_idx(tmp_path))
    assert (train.is_test, test.is_test) == (False, True)
    assert (whole(train) == GRAY[..., None]).all()
    assert (whole(test) == GRAY[:4, ..., None]).all()
    assert train.labels.tolist() == list(range(9))


def test_idx_files_without_labels_below_raw_and_packed_twice(tmp_path: Path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(idx(GRAY))
    (tmp_path / "raw" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GRAY)))
    [rows] = read_idx(find_idx(tmp_path))
    assert rows.labels is None
    assert rows.count == 9


def test_a_lone_test_file_is_trained_on(tmp_path: Path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(GRAY))
    assert not read_idx(find_idx(tmp_path))[0].is_test


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"", None, "not an IDX file"),
        (b"\0\0\x0d\3" + b"\0" * 12, None, "not an IDX file"),
        (idx(GRAY)[:10], None, "damaged"),
        (idx(GRAY)[:-1], None, "damaged: it ends before"),
        (idx(GRAY) + b"x", None, "damaged: it is longer"),
        (idx(GRAY[0]), None, "has the shape"),
        (idx(GRAY), idx(np.arange(8, dtype=np.uint8)), r"labels of the shape \(8,\)"),
        (idx(GRAY), b"", "not an IDX file"),
        (idx(GRAY), idx(np.arange(9, dtype=np.uint8))[:-1], "damaged"),
    ],
)
@pytest.mark.parametrize("pack", [False, True])
def test_damaged_idx_files(tmp_path: Path, images: bytes, labels: bytes | None, message: str, pack: bool):
    suffix = ".gz" if pack else ""
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        if content is not None:
            path = tmp_path / f"train-{name}-ubyte{suffix}"
            path.write_bytes(gzip.compress(content) if pack else content)
    with pytest.raises(UserError, match=message) as error:
        [whole(rows) for rows in read_idx(find_idx(tmp_path))]
    assert "\n" not in str(error.value)


def test_a_cut_gzip(tmp_path: Path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GRAY))[:-300])
    with pytest.raises(UserError, match="damaged"):
        whole(read_idx(find_idx(tmp_path))[0])


def test_several_sets_in_one_folder(tmp_path: Path):
    for name in ("emnist-letters-train-images-idx3-ubyte", "emnist-digits-train-images-idx3-ubyte"):
        (tmp_path / name).write_bytes(idx(GRAY))
    with pytest.raises(UserError, match="holds several sets, emnist-digits"):
        read_idx(find_idx(tmp_path))
