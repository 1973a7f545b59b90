import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan import UserError
from dcgan.cli.main import run
from dcgan.reporting.growth_film import CAPTION_HEIGHT, choose_grids, write_growth_film
from dcgan.run.folder import RunFolder
from dcgan.sampling.film import FilmFormat


@pytest.fixture
def growing_run(finished_run: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(finished_run.path, tmp_path / "r")
    return RunFolder(tmp_path / "r")


def test_every_grid_is_shown_as_long_and_the_last_one_stays():
    assert choose_grids(3, 10, 4) == [0, 0, 1, 1, 2, 2, 2, 2, 2, 2]
    assert choose_grids(1000, 7, 2) == [0, 200, 400, 600, 800, 999, 999]
    assert choose_grids(2, 2, 20) == [0, 1]
    for grid_count, frame_count, fps in ((2, 5, 1), (11, 80, 20), (50, 50, 5), (7, 3, 30)):
        chosen = choose_grids(grid_count, frame_count, fps)
        assert (chosen[0], chosen[-1], len(chosen)) == (0, grid_count - 1, frame_count)
        assert chosen == sorted(chosen)


def test_the_film_shows_the_grids_of_the_run(growing_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "growth.webp"
    assert run(["film", str(growing_run.path), "--out", str(out), "--seconds", "4", "--fps", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(out), "frames": 20, "grids": 4, "seconds": 4.0}
    grids = growing_run.grids()
    assert len(grids) == 4
    with Image.open(out) as film:
        assert film.size == (484, 484 + CAPTION_HEIGHT)
        captions, shown, seconds = set(), [], 0.0
        for i in range(film.n_frames):
            film.seek(i)
            frame = np.asarray(film.convert("L"))
            captions.add(frame[484:].tobytes())
            shown.append(frame[:484])
            seconds += film.info["duration"] / 1000
    assert seconds == 4.0
    for picture, (_, path) in zip([shown[0], shown[-1]], [grids[0], grids[-1]], strict=True):
        with Image.open(path) as grid:
            assert (picture == np.asarray(grid.convert("L")).repeat(2, 0).repeat(2, 1)).all()
    assert len(captions) == 4


def test_a_run_without_two_grids_is_refused(growing_run: RunFolder, refused: Callable[..., str], tmp_path: Path):
    for _, path in growing_run.grids()[1:]:
        path.unlink()
    out = tmp_path / "a.gif"
    error = refused("film", str(growing_run.path), "--out", str(out))
    assert "a film needs at least two grids, and" in error
    assert "has 1: train longer" in error
    assert not out.exists()


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_damaged_grid_is_named(growing_run: RunFolder, tmp_path: Path, content: bytes | None):
    _, path = growing_run.grids()[2]
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(UserError, match=f"^cannot use .*{path.name}: "):
        write_growth_film(growing_run.path, tmp_path / "a.gif", 2, FilmFormat())
    assert not (tmp_path / "a.gif").exists()


def test_a_grid_of_another_size_is_named(growing_run: RunFolder, tmp_path: Path):
    _, path = growing_run.grids()[1]
    Image.new("L", (50, 50)).save(path)
    with pytest.raises(UserError, match=f"{path.name}: it has another size"):
        write_growth_film(growing_run.path, tmp_path / "a.gif", 2, FilmFormat())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--out", "a.gif"], "there is no run at nowhere"),
        (["nowhere", "--out", "a.png"], "give a .gif (an animation) or a .webp (an animation) or an .mp4 (a film)"),
        (["nowhere", "--out", "a.gif", "--seconds", "500"], "a .gif of 10,000 frames is too long"),
        (["nowhere", "--out", "a.gif", "--seconds", "0"], "a film needs at least 2 frames"),
        (["nowhere", "--out", "a.gif", "--fps", "0"], "the frames per second must be at least 0.1"),
    ],
)
def test_films_that_cannot_be_made_are_refused(refused: Callable[..., str], words: list[str], message: str):
    assert message in refused("film", *words)


def test_the_last_grid_is_shown_at_any_speed():
    assert choose_grids(10, 5, 0.5) == [0, 2, 5, 7, 9]
    assert choose_grids(10, 2, 0.4) == [0, 9]
