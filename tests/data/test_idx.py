import gzip
import io
import lzma
from pathlib import Path

import numpy as np
import pytest

from dcgan.data import arrays
from dcgan.data.idx import EMNIST_NOTICE, find_idx_files, read_idx_array, read_idx_files
from dcgan.data.open import open_images
from dcgan.data.rules import CURRENT_RULES, RULES_WITHOUT_UPRIGHT
from dcgan.errors import UserError
from tests.data.idx_content import to_idx_bytes
from tests.data.test_arrays import GRAY, RGB, read_all


@pytest.fixture(params=[2**22, 1000])
def _chunk_sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "MAX_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("_chunk_sizes")
@pytest.mark.parametrize(
    ("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".XZ", lzma.compress)]
)
@pytest.mark.parametrize("separator", ["-", "."])
def test_idx_files(tmp_path: Path, suffix: str, pack, separator: str):
    for part, images in (("train", GRAY), ("t10k", GRAY[:4])):
        labels = np.arange(len(images), dtype=np.uint8)
        (tmp_path / f"{part}-images{separator}idx3-ubyte{suffix}").write_bytes(pack(to_idx_bytes(images)))
        (tmp_path / f"{part}-labels{separator}idx1-ubyte{suffix}").write_bytes(pack(to_idx_bytes(labels)))
    train, test = read_idx_files(find_idx_files(tmp_path))
    assert (train.is_test, test.is_test) == (False, True)
    assert (read_all(train) == GRAY[..., None]).all()
    assert (read_all(test) == GRAY[:4, ..., None]).all()
    assert train.labels.tolist() == list(range(9))
    assert train.labels.dtype == np.int64


def test_idx_files_without_labels_below_raw_and_packed_twice(tmp_path: Path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(to_idx_bytes(GRAY))
    (tmp_path / "raw" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(to_idx_bytes(GRAY)))
    [images] = read_idx_files(find_idx_files(tmp_path))
    assert images.labels is None
    assert images.count == 9


def test_a_test_file_alone_is_trained_on(tmp_path: Path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(to_idx_bytes(GRAY))
    assert not read_idx_files(find_idx_files(tmp_path))[0].is_test


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"", None, "not an IDX file"),
        (b"\0\0\x0d\3" + b"\0" * 12, None, "not an IDX file"),
        (to_idx_bytes(GRAY)[:10], None, "damaged"),
        (to_idx_bytes(GRAY)[:-1], None, "damaged: it ends before"),
        (to_idx_bytes(GRAY) + b"x", None, "damaged: it is longer"),
        (to_idx_bytes(GRAY[0]), None, "has the shape"),
        (to_idx_bytes(GRAY), to_idx_bytes(np.arange(8, dtype=np.uint8)), r"labels of the shape \(8,\)"),
        (to_idx_bytes(GRAY), b"", "not an IDX file"),
        (to_idx_bytes(GRAY), to_idx_bytes(np.arange(9, dtype=np.uint8))[:-1], "damaged"),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_damaged_idx_files(tmp_path: Path, images: bytes, labels: bytes | None, message: str, is_packed: bool):
    suffix = ".gz" if is_packed else ""
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        if content is not None:
            path = tmp_path / f"train-{name}-ubyte{suffix}"
            path.write_bytes(gzip.compress(content) if is_packed else content)
    with pytest.raises(UserError, match=message) as error:
        [read_all(part) for part in read_idx_files(find_idx_files(tmp_path))]
    assert "\n" not in str(error.value)


def test_a_truncated_gzip_is_refused(tmp_path: Path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(to_idx_bytes(GRAY))[:-300])
    with pytest.raises(UserError, match="damaged"):
        read_all(read_idx_files(find_idx_files(tmp_path))[0])


def test_a_file_that_is_not_packed_as_its_name_says_is_refused(tmp_path: Path):
    for suffix in (".gz", ".xz"):
        path = tmp_path / f"train-images-idx3-ubyte{suffix}"
        path.write_bytes(to_idx_bytes(GRAY))
        with pytest.raises(UserError, match=r"^[^\n]*damaged[^\n]*$"):
            read_idx_files([path])


def test_the_files_of_emnist_are_turned_upright_and_older_runs_keep_them(tmp_path: Path):
    array = np.random.default_rng(0).integers(0, 256, (12, 20, 24)).astype(np.uint8)
    for part in ("train", "test"):
        (tmp_path / f"emnist-letters-{part}-images-idx3-ubyte").write_bytes(to_idx_bytes(array))
    images, old = (open_images(str(tmp_path), rules=rules) for rules in (CURRENT_RULES, RULES_WITHOUT_UPRIGHT))
    order = images.columns["indices"]
    assert (images.pixels[:, 0].numpy() == array[order].swapaxes(1, 2)).all()
    assert images.original_size == "24x20"
    assert images.notices == (EMNIST_NOTICE,)
    assert (old.pixels[:, 0].numpy() == array[old.columns["indices"]]).all()
    assert old.notices == ()


def test_several_sets_in_one_folder(tmp_path: Path):
    for name in ("emnist-letters-train-images-idx3-ubyte", "emnist-digits-train-images-idx3-ubyte"):
        (tmp_path / name).write_bytes(to_idx_bytes(GRAY))
    with pytest.raises(UserError, match="holds several sets, emnist-digits"):
        read_idx_files(find_idx_files(tmp_path))


@pytest.mark.usefixtures("_chunk_sizes")
@pytest.mark.parametrize("array", [GRAY, RGB, GRAY[0], GRAY[:0], GRAY[0, 0], np.array(7, np.uint8)])
def test_an_array_of_any_shape_is_read(array: np.ndarray):
    read = read_idx_array(io.BytesIO(to_idx_bytes(array)), "x.idx")
    assert read.dtype == np.uint8
    assert read.shape == array.shape
    assert (read == array).all()


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
def test_a_damaged_array_is_refused(content: bytes):
    with pytest.raises(UserError, match=r"x\.idx"):
        read_idx_array(io.BytesIO(content), "x.idx")
