from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan import UserError
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model
from dcgan.sampling.output import grid_sample_count, make_sample_grid, write_samples


def test_a_grid_has_a_row_for_each_class(class_model: Model, tmp_path: Path):
    pixels = class_model.sample(12)
    write_samples(pixels, tmp_path / "a.png", class_model.labels(12), rows=3)
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
    write_samples(dcgan.load(finished_run).sample(64, seed=0), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == max(finished_run.samples.iterdir()).read_bytes()


def test_labels_are_written_beside_the_samples(class_model: Model, tmp_path: Path):
    write_samples(class_model.sample(4), tmp_path / "a.npz", class_model.labels(4))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["arr_1"].tolist() == [0, 1, 2, 0]
        assert arrays["arr_1"].dtype == np.int64


def test_samples_as_array_folder_and_grid(rgb_model: Model, tmp_path: Path):
    pixels = rgb_model.sample(3)
    write_samples(pixels, tmp_path / "new" / "a.npz")
    with np.load(tmp_path / "new" / "a.npz", allow_pickle=False) as arrays:
        assert (arrays["arr_0"] == pixels).all()
    write_samples(pixels, tmp_path / "many")
    files = sorted((tmp_path / "many").iterdir())
    assert len(files) == 3
    with Image.open(files[2]) as image:
        assert (np.asarray(image) == pixels[2]).all()
    write_samples(pixels, tmp_path / "a.PNG")
    with Image.open(tmp_path / "a.PNG") as image:
        assert image.size == (62, 62)


def test_an_output_path_in_use_is_refused(rgb_model: Model, tmp_path: Path):
    (tmp_path / "x").touch()
    for out in (tmp_path, tmp_path / "a.jpg", tmp_path / "a.TIFF", tmp_path / "x"):
        with pytest.raises(UserError):
            write_samples(rgb_model.sample(1), out)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        write_samples(rgb_model.sample(1), tmp_path / "folder.png")
    with pytest.raises(UserError, match="cannot write"):
        write_samples(rgb_model.sample(1), tmp_path / "x" / "a.png")
