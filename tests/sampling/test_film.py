from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan import UserError
from dcgan.cli.main import run
from dcgan.images import Pixels
from dcgan.sampling import film
from dcgan.sampling.film import FilmFormat, check_film, frame_durations, write_film
from dcgan.sampling.model import Model
from tests.extras import require


def gray_frames(*values: int, channels: int = 1, size: tuple[int, int] = (6, 8)) -> Pixels:
    return np.stack([np.full((*size, channels), value, np.uint8) for value in values])


def read_film(path: Path) -> tuple[list[Pixels], list[int]]:
    """Return the frames of a .gif or .webp, (H, W, 3), and how long each is shown, in milliseconds."""
    frames, durations = [], []
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return frames, durations


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_has_every_frame_at_its_time(tmp_path: Path, kind: str, channels: int):
    pixels = gray_frames(0, 100, 255, channels=channels)
    write_film(iter(pixels), 3, tmp_path / f"a.{kind}", FilmFormat(30))
    frames, durations = read_film(tmp_path / f"a.{kind}")
    assert [frame.shape for frame in frames] == [(6, 8, 3)] * 3
    assert [frame.mean() for frame in frames] == [0, 100, 255]
    assert durations == {"gif": [30, 40, 30], "webp": [33, 34, 33]}[kind]


@pytest.mark.parametrize("fps", [1, 12.5, 23.976, 30, 47])
def test_the_length_is_right_at_every_speed(fps: float):
    for ticks in (100, 1000):
        durations = frame_durations(500, fps, ticks)
        assert len(durations) == 500
        assert min(durations) > 0
        assert sum(durations) == pytest.approx(500_000 / fps, abs=1000 / ticks)


def test_small_frames_are_enlarged_by_a_whole_number_and_large_ones_reduced(tmp_path: Path):
    assert FilmFormat(size=100).scaled_size(28, 14) == (84, 42)
    assert FilmFormat(size=28).scaled_size(28, 28) == (28, 28)
    assert FilmFormat(size=50).scaled_size(100, 75) == (50, 38)
    assert FilmFormat().scaled_size(28, 28) == (28, 28)
    assert FilmFormat().scaled_size(28, 28, 256) == (252, 252)
    assert FilmFormat().scaled_size(600, 300, 512) == (600, 300)
    assert FilmFormat(size=64).scaled_size(28, 28, 256) == (56, 56)
    picture = np.random.default_rng(0).integers(0, 256, (28, 14, 3), dtype=np.uint8)
    write_film([picture, picture[::-1]], 2, tmp_path / "a.webp", FilmFormat(size=60))
    frames, _ = read_film(tmp_path / "a.webp")
    assert (frames[0] == picture.repeat(2, 0).repeat(2, 1)).all()
    write_film([picture, picture], 2, tmp_path / "b.gif", FilmFormat(size=16))
    assert read_film(tmp_path / "b.gif")[0][0].shape == (16, 8, 3)


def test_transparent_frames_of_a_gif_are_on_white(tmp_path: Path):
    pixels = gray_frames(0, 0, channels=4)
    pixels[1, ..., 3] = 255
    write_film(pixels, 2, tmp_path / "a.gif", FilmFormat())
    assert [frame.mean() for frame in read_film(tmp_path / "a.gif")[0]] == [255, 0]


@pytest.mark.parametrize(
    ("name", "count", "fps", "message"),
    [
        ("a.gif", 10_000, 20, r"^a \.gif of 10,000 frames is too long: give at most 2,000, or write an \.mp4$"),
        ("a.webp", 2_001, 20, r"^a \.webp of 2,001 frames is too long"),
        ("a.gif", 1_400, 1, r"^a \.gif lasts at most 655 seconds, not 1,400: write a \.webp or an \.mp4, or give more"),
        ("a.gif", 10, 60, r"^a \.gif shows at most 50 frames per second, not 60$"),
    ],
)
def test_films_that_no_viewer_shows_well_are_refused(name: str, count: int, fps: float, message: str):
    with pytest.raises(UserError, match=message):
        check_film(Path(name), count, FilmFormat(fps))


def test_the_longest_gif_of_one_equal_frame_is_written(tmp_path: Path):
    """Pillow writes equal frames as one, whose duration must fit into the file."""
    count = film.MAX_GIF_SECONDS
    write_film(gray_frames(*[7] * count), count, tmp_path / "a.gif", FilmFormat(1))
    assert read_film(tmp_path / "a.gif")[1] == [1000 * count]


def test_a_webp_of_equal_frames_may_be_longer_than_one_frame_of_it(tmp_path: Path):
    """One frame lasts at most 2^24 ms; Pillow's encoder divides it."""
    write_film(gray_frames(*[7] * 1_700), 1_700, tmp_path / "a.webp", FilmFormat(0.1))
    assert sum(read_film(tmp_path / "a.webp")[1]) == 17_000_000


@pytest.mark.parametrize(
    "options", [{"fps": 0}, {"fps": -1}, {"fps": 0.001}, {"fps": float("nan")}, {"size": 15}, {"size": 4097}]
)
def test_impossible_formats_are_refused(options: dict[str, float]):
    with pytest.raises(UserError, match="must be"):
        FilmFormat(**options)


@pytest.mark.parametrize("seconds", [0, -1, 0.05, float("nan"), float("inf")])
def test_impossible_lengths_are_refused(seconds: float):
    with pytest.raises(UserError, match="at least 2 frames"):
        FilmFormat().frame_count(seconds)


def test_an_mp4_without_its_package_is_refused_in_one_line(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(film, "find_spec", lambda name: None)
    error = refused("interpolate", "mnist", "--out", str(tmp_path / "a.mp4"))
    assert "an .mp4 needs the package av: pip install" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [20, 12.5, 23.976])
def test_an_mp4_has_every_frame_at_its_time(tmp_path: Path, fps: float):
    require("av")
    import av

    pixels = gray_frames(0, 100, 255, 30, 60, channels=1, size=(17, 21))
    write_film(pixels, 5, tmp_path / "a.mp4", FilmFormat(fps))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-4)
        assert stream.codec_context.name == "h264"
    assert [frame.shape for frame in frames] == [(18, 22, 3)] * 5  # x264 needs even sides
    assert [frame.mean() for frame in frames] == pytest.approx([0, 100, 255, 30, 60], abs=2)


def test_colors_of_an_mp4_are_right(tmp_path: Path):
    require("av")
    import av

    colors = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 30]], np.uint8)
    pixels = np.broadcast_to(colors[:, None, None], (4, 64, 64, 3))
    write_film(pixels, 4, tmp_path / "a.mp4", FilmFormat())
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.abs(np.stack(frames).mean((1, 2)) - colors).max() < 4


def test_the_command_writes_a_loop_of_the_given_length_and_size(rgb_model: Model, tmp_path: Path):
    out = tmp_path / "walk.webp"
    words = ["interpolate", rgb_model.source, "--out", str(out), "--stops", "3", "--seconds", "2", "--fps", "9"]
    assert run([*words, "--size", "60"]) == 0
    frames, durations = read_film(out)
    assert (len(frames), sum(durations), frames[0].shape) == (18, 2000, (56, 56, 3))
    assert (frames[12] == rgb_model.sample(3)[2].repeat(2, 0).repeat(2, 1)).all()
    assert run(["interpolate", rgb_model.source, "--out", str(tmp_path / "walk.gif"), "--frames", "2"]) == 0
    frames, _ = read_film(tmp_path / "walk.gif")
    assert (len(frames), frames[0].shape) == (10, (252, 252, 3))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.gif", "--frames", "2000"], "a .gif of 10,000 frames is too long: give at most 2,000, or write an .mp4"),
        (["a.gif", "--seconds", "500"], "a .gif of 10,000 frames is too long"),
        (["a.gif", "--frames", "5", "--seconds", "5"], "--frames and --seconds both say how long the film is"),
        (["a.gif", "--fps", "90"], "at most 50 frames per second"),
        (["a.gif", "--size", "9000"], "the size of a film must be from 16 to 4096 pixels"),
        (["a.png", "--seconds", "5"], "--seconds is for a film, and"),
        (["a.png", "--size", "99"], "--size is for a film, and"),
        (["a.avi"], "give a .gif (an animation) or a .webp (an animation) or an .mp4 (a film) or a .png"),
    ],
)
def test_walks_that_cannot_be_written_are_refused_before_they_are_drawn(
    refused: Callable[..., str], tmp_path: Path, words: list[str], message: str
):
    name, *flags = words
    assert message in refused("interpolate", "nowhere", "--out", str(tmp_path / name), *flags)
    assert list(tmp_path.iterdir()) == []
