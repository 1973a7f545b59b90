import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan import UserError
from dcgan.cli.main import run as command
from dcgan.data.open import open_images
from dcgan.images import Pixels
from dcgan.run.folder import RunFolder
from dcgan.sampling.generate import SampleStream
from dcgan.sampling.model import Model
from dcgan.sampling.output import check_output_path, grid_sample_count, make_sample_grid, write_sample_stream
from dcgan.system import resources


def test_a_grid_has_a_row_for_each_class(class_model: Model, tmp_path: Path):
    pixels = class_model.sample(12)
    write_sample_stream(class_model.stream(12), tmp_path / "a.png", rows=3)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (4 * 30 + 2, 3 * 30 + 2)
        grid = np.asarray(image)
    for row in range(3):
        for column in range(4):
            cell = grid[2 + 30 * row :, 2 + 30 * column :][:28, :28]
            assert (cell == pixels[3 * column + row, ..., 0]).all()


@pytest.mark.parametrize(("classes", "n", "rows"), [(0, 64, 8), (1, 64, 8), (2, 16, 2), (10, 80, 10), (11, 64, 8)])
def test_size_of_a_runs_grid(classes: int, n: int, rows: int):
    assert grid_sample_count(classes) == n
    assert make_sample_grid(np.zeros((n, 3, 3, 1), np.uint8), classes).shape == (rows * 5 + 2, 8 * 5 + 2, 1)


def test_the_last_grid_of_a_run_can_be_drawn_again(finished_run: RunFolder, tmp_path: Path):
    write_sample_stream(dcgan.load(finished_run).stream(64, seed=0), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == max(finished_run.samples.iterdir()).read_bytes()


def test_labels_are_written_beside_the_samples(class_model: Model, tmp_path: Path):
    write_sample_stream(class_model.stream(12), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["arr_1"].tolist() == 4 * [0, 1, 2]
        assert arrays["arr_1"].dtype == np.int64
        assert arrays["class_names"].tolist() == ["cat", "dog", "1"]
    assert open_images(str(tmp_path / "a.npz"), "all").classes == class_model.classes


def test_samples_as_array_folder_and_grid(rgb_model: Model, tmp_path: Path):
    pixels = rgb_model.sample(3)
    write_sample_stream(rgb_model.stream(3), tmp_path / "new" / "a.npz")
    with np.load(tmp_path / "new" / "a.npz", allow_pickle=False) as arrays:
        assert (arrays["arr_0"] == pixels).all()
    write_sample_stream(rgb_model.stream(3), tmp_path / "many")
    files = sorted((tmp_path / "many").iterdir())
    assert len(files) == 3
    with Image.open(files[2]) as image:
        assert (np.asarray(image) == pixels[2]).all()
    write_sample_stream(rgb_model.stream(3), tmp_path / "a.PNG")
    with Image.open(tmp_path / "a.PNG") as image:
        assert image.size == (62, 62)


def test_an_output_path_in_use_is_refused(rgb_model: Model, tmp_path: Path):
    (tmp_path / "x").touch()
    for out in (tmp_path, tmp_path / "a.jpg", tmp_path / "a.TIFF", tmp_path / "x"):
        with pytest.raises(UserError):
            write_sample_stream(rgb_model.stream(1), out)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        write_sample_stream(rgb_model.stream(1), tmp_path / "folder.png")
    with pytest.raises(UserError, match="cannot write"):
        write_sample_stream(rgb_model.stream(1), tmp_path / "x" / "a.png")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_folder_that_cannot_be_renamed_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="has no name of its own: give a new folder as --out"):
        check_output_path(Path(name), ("",))


@pytest.mark.parametrize("label", [None, "dog"])
def test_a_streamed_array_is_the_one_of_numpy(class_model: Model, tmp_path: Path, label: str | None):
    write_sample_stream(class_model.stream(1100, seed=3, label=label, truncation=1.0), tmp_path / "a.npz")
    pixels, labels = class_model.sample(1100, seed=3, label=label, truncation=1.0), class_model.labels(1100, label)
    assert labels is not None
    np.savez(tmp_path / "b.npz", arr_0=pixels, arr_1=labels.numpy(), class_names=class_model.classes)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as ours, np.load(tmp_path / "b.npz") as numpys:
        assert list(ours) == list(numpys)
        for name in ours:
            assert np.array_equal(ours[name], numpys[name])
            assert ours[name].dtype == numpys[name].dtype
    assert (tmp_path / "a.npz").stat().st_size == (tmp_path / "b.npz").stat().st_size


def make_stream(n: int, drawn: list[int], fails_at: int = -1) -> SampleStream:
    """Return a stream of noise that notes which batches were drawn."""
    source = np.random.default_rng(0)

    def batches() -> Iterator[Pixels]:
        for first in range(0, n, 10):
            if first == fails_at:
                raise KeyboardInterrupt
            drawn.append(first)
            yield source.integers(256, size=(min(10, n - first), 4, 4, 1), dtype=np.uint8)

    return SampleStream(n, (4, 4, 1), batches(), lambda first, count: None)


@pytest.mark.parametrize("name", ["a.npz", "a"])
def test_an_interrupted_output_leaves_nothing(tmp_path: Path, name: str):
    with pytest.raises(KeyboardInterrupt):
        write_sample_stream(make_stream(30, [], fails_at=20), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "given").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_sample_stream(make_stream(30, [], fails_at=20), tmp_path / "given")
    assert [path.name for path in tmp_path.iterdir()] == ["given"]  # an empty folder of the user stays
    assert list((tmp_path / "given").iterdir()) == []


def test_a_folder_waits_for_the_disk_once_and_its_names_are_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(os, "fsync", calls.append)
    monkeypatch.setattr("dcgan.sampling.output.MIN_NAME_DIGITS", 1)
    write_sample_stream(make_stream(101, []), tmp_path / "many")
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == [f"{i:03d}.png" for i in range(101)]
    assert len(calls) <= 1  # Windows cannot open a folder


@pytest.mark.parametrize(
    ("name", "resource", "free", "message"),
    [
        ("a.npz", "available_disk", 1599, "100 samples need 1.6 kB on the disk of .*a.npz, 1.6 kB are free: lower --n"),
        ("a", "available_disk", 6699, "100 pictures need 6.7 kB .*or write an .npz"),
        ("a", "available_disk", 6700, r"100 pictures need \d.* kB .*or write an .npz"),  # known after the first batch
        ("a.png", "available_memory", 4799, "100 samples in one picture need 4.8 kB of memory, 4.8 kB are free: lower"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, resource: str, free: int, message: str
):
    drawn: list[int] = []
    monkeypatch.setattr(resources, resource, lambda path=None: free)
    with pytest.raises(UserError, match=message):
        write_sample_stream(make_stream(100, drawn), tmp_path / name)
    assert drawn in ([], [0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.npz", "a", "a.png"])
def test_a_hundred_thousand_million_samples_are_refused_in_one_line(refused, tmp_path: Path, name: str):
    text = refused("sample", "mnist", "--n", "100000000000", "--out", str(tmp_path / name))
    assert "need" in text
    assert "are free: lower --n" in text
    assert list(tmp_path.iterdir()) == []


def test_frames_that_do_not_fit_are_refused(refused, tmp_path: Path):
    for words in ([], ["--direction", "1"]):
        text = refused("interpolate", "mnist", "--frames", "100000000000", "--out", str(tmp_path / "a.png"), *words)
        assert "give fewer frames" in text
    text = refused("interpolate", "mnist", "--frames", "100000000000", "--out", str(tmp_path / "a.gif"))
    assert "give at most 2,000, or write an .mp4" in text


def test_the_command_writes_what_the_function_returns(tmp_path: Path):
    assert command(["sample", "mnist-cgan", "--n", "70", "--seed", "5", "--out", str(tmp_path / "a.npz")]) == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(arrays["arr_0"], dcgan.load("mnist-cgan").sample(70, seed=5))
        assert arrays["arr_1"].tolist() == [i % 10 for i in range(70)]
