from pathlib import Path

import numpy as np
import pytest

from dcgan.data import writer as writer_module
from dcgan.data.decode import ResizeOptions
from dcgan.data.writer import BatchWriter, FileRows, PreparedBatch, add_channels

OPTIONS = ResizeOptions(16, 20, None, "crop")


def random_batch(n: int, channels: int, mode: str) -> PreparedBatch:
    random = np.random.default_rng(channels)
    return PreparedBatch(
        random.integers(0, 256, (n, channels, 16, 20)).astype(np.uint8),
        np.arange(n),
        random.integers(0, 256, (n, 16)).astype(np.uint8),
        np.full((n, 2), 30, np.int32),
        [mode] * n,
        np.zeros(n, bool),
        np.arange(n),
        random.integers(0, 256, (n, 3, 16, 16)).astype(np.uint8),
    )


def test_rows_of_a_file_are_read_and_written(tmp_path: Path):
    pixels = random_batch(5, 3, "RGB").pixels
    np.save(tmp_path / "a.npy", pixels)
    with (tmp_path / "a.npy").open("rb+") as file:
        rows = FileRows(file, pixels.shape)
        assert (rows[4] == pixels[4]).all()
        rows[4] = rows[0]
        rows[0] = pixels[4]
        assert (rows[4] == pixels[0]).all()
    assert (np.load(tmp_path / "a.npy") == pixels[[4, 1, 2, 3, 0]]).all()


@pytest.mark.parametrize(("channels", "new_channels"), [(1, 1), (1, 3), (1, 4), (3, 3), (3, 4), (4, 4)])
def test_added_channels_lose_nothing(channels: int, new_channels: int):
    pixels = random_batch(3, channels, "L").pixels
    pixels.flags.writeable = False
    added = add_channels(pixels, new_channels)
    assert added.shape == (3, new_channels, 16, 20)
    assert added.dtype == np.uint8
    color_channels = min(3, new_channels)
    assert (added[:, :color_channels] == pixels[:, :3]).all()
    if channels == 4:
        assert (added == pixels).all()
    elif new_channels == 4:
        assert (added[:, 3] == 255).all()


def test_batches_of_different_channels_become_one_array(tmp_path: Path):
    batches = [random_batch(5, 1, "L"), random_batch(2, 4, "RGBA"), random_batch(3, 3, "RGB")]
    with (tmp_path / "a.npy").open("wb+") as file:
        writer = BatchWriter(file, OPTIONS)
        for batch in batches:
            writer.add(batch)
        columns, mode_names = writer.columns()
        writer.finish()
    pixels = np.load(tmp_path / "a.npy")
    assert (pixels == np.concatenate([add_channels(batch.pixels, 4) for batch in batches])).all()
    assert [mode_names[number] for number in columns["modes"]] == ["L"] * 5 + ["RGBA"] * 2 + ["RGB"] * 3
    assert columns["indices"].tolist() == [0, 1, 2, 3, 4, 0, 1, 0, 1, 2]


def test_black_pictures_at_the_end_have_their_length(tmp_path: Path):
    batch = random_batch(4, 1, "L")
    batch.pixels[:] = 0
    with (tmp_path / "a.npy").open("wb+") as file:
        writer = BatchWriter(file, OPTIONS)
        writer.add(batch)
        writer.finish()
    assert np.load(tmp_path / "a.npy").shape == (4, 1, 16, 20)


def test_zeros_before_images_with_more_channels(tmp_path: Path):
    """Zeros at the end of the file are not written, but they are read again when all images get more channels."""
    black = random_batch(5, 1, "L")
    black.pixels[:] = 0
    color = random_batch(3, 3, "RGB")
    with (tmp_path / "a.npy").open("wb+") as file:
        writer = BatchWriter(file, OPTIONS)
        writer.add(black)
        writer.add(black)
        writer.add(color)
        writer.finish()
    pixels = np.load(tmp_path / "a.npy")
    assert pixels.shape == (13, 3, 16, 20)
    assert (pixels[:10] == 0).all()
    assert (pixels[10:] == color.pixels).all()


def test_thumbnails_are_kept_while_they_can_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer_module, "MAX_COMPARED", 7)
    with (tmp_path / "a.npy").open("wb+") as file:
        writer = BatchWriter(file, OPTIONS)
        assert writer.thumbnails() is None
        writer.add(random_batch(3, 3, "RGB"))
        writer.add(random_batch(4, 3, "RGB"))
        assert writer.thumbnails().shape == (7, 3, 16, 16)
        writer.add(random_batch(1, 3, "RGB"))
        assert writer.thumbnails() is None
