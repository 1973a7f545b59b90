from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dcgan
from dcgan.images import make_grid, save_png
from dcgan.presets import configure
from dcgan.reporting.series import DISTANCE
from dcgan.run.folder import RunFolder
from dcgan.training import progress_bar
from dcgan.training.callbacks import (
    EndEvent,
    EvaluateEvent,
    LogEvent,
    MessageEvent,
    SnapshotEvent,
    StartEvent,
    StepEvent,
)
from dcgan.training.progress_bar import ProgressBar, first_samples, summarize_measurement
from tests.conftest import SMALL

RUN = RunFolder(Path("runs/small-1"))
METRICS = {"loss_d": 0.5, "loss_g": 1.25, "d_real": 0.75, "d_fake": 0.125, "d_right": 1.0, "grad_d": 1.0, "grad_g": 1.0}


def start_bar() -> ProgressBar:
    """Return a bar that is shown. It is no fixture, because it keeps the standard error of the moment."""
    bar = ProgressBar()
    bar.on_start(StartEvent(RUN, 2, 32, 160, "probability"))
    return bar


def test_probabilities_are_shown_with_their_distance_from_one_half():
    text = "Loss_D 0.500, Loss_G 1.250, D(x) 0.750, D(G(z)) 0.125"
    assert summarize_measurement(LogEvent(1, 16, 1.0, METRICS, "probability")) == f"{text}, from 1/2 +0.250 -0.375"
    assert summarize_measurement(LogEvent(1, 16, 1.0, METRICS, "raw")) == text
    assert summarize_measurement(LogEvent(1, 16, 1.0, METRICS, "relative")) == text


def test_the_bar_follows_the_images(capsys: pytest.CaptureFixture[str]):
    bar = start_bar()
    assert bar._bar is not None
    assert (bar._bar.n, bar._bar.total) == (32, 160)
    bar.on_step(StepEvent(3, 48, 160))
    assert (bar._bar.n, bar._bar.total) == (48, 160)
    bar.on_step(StepEvent(1, 16, 320))  # a recovery goes back, and a measured duration changes the plan
    assert (bar._bar.n, bar._bar.total) == (16, 320)
    bar.on_log(LogEvent(1, 16, 1.0, METRICS, "probability"))
    bar.on_end(EndEvent(RUN, 1, 16, "stopped"))
    err = capsys.readouterr().err
    assert "small-1:" in err
    assert "Loss_D 0.500" in err
    assert "img/s" in err


def test_the_bar_of_an_unmeasured_duration_has_no_total():
    bar = ProgressBar()
    bar.on_start(StartEvent(RUN, 0, 0, None, "raw"))
    bar.on_step(StepEvent(1, 16, None))
    assert bar._bar is not None
    assert (bar._bar.n, bar._bar.total) == (16, None)
    bar.on_end(EndEvent(RUN, 1, 16, "finished"))


@pytest.mark.parametrize(
    ("distance", "best_distance", "best_step", "text"),
    [
        (1.23456, 1.23456, 1500, "step 1,500: Fréchet distance 1.235 (random, validation), the best so far"),
        (2.5, 1.0, 1000, "step 1,500: Fréchet distance 2.5 (random, validation), 1 at step 1,000"),
        (2.5, None, None, "step 1,500: Fréchet distance 2.5 (random, validation), no best yet"),
    ],
)
def test_an_evaluation_is_one_line(
    capsys: pytest.CaptureFixture[str],
    distance: float,
    best_distance: float | None,
    best_step: int | None,
    text: str,
):
    bar = start_bar()
    capsys.readouterr()
    bar.on_evaluate(EvaluateEvent(1500, 24_000, distance, DISTANCE, "random", "validation", best_distance, best_step))
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert text in [line.strip() for line in lines]
    bar.on_end(EndEvent(RUN, 1, 16, "finished"))


def test_a_message_is_one_printable_line(capsys: pytest.CaptureFixture[str]):
    ProgressBar().on_message(MessageEvent("a\nb\x1b[31m"))  # messages may come before the bar is shown
    assert capsys.readouterr().err == "a\\nb\\x1b[31m\n"


def test_the_end_closes_the_bar():
    bar = start_bar()
    assert bar._bar is not None
    bar.on_end(EndEvent(RUN, 2, 32, "failed"))
    assert bar._bar.disable
    ProgressBar().on_end(EndEvent(RUN, 0, 0, "failed"))


@pytest.mark.usefixtures("without_report")
def test_a_training_shows_a_bar_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings: dict[str, Any] = {**SMALL}
    dcgan.train("dcgan", out=tmp_path / "small-7", steps=4, **settings)
    out, err = capsys.readouterr()
    assert out == ""
    assert "small-7:" in err
    assert "100%" in err
    assert "D(G(z))" in err


def snapshots(bar: ProgressBar, first_step: int, grid: Path) -> None:
    bar.on_start(StartEvent(RUN, first_step, 16 * first_step, None, "raw"))
    for step in (0, 10, 20):
        if step >= first_step:
            bar.on_snapshot(SnapshotEvent(step, 16 * step, grid, Path("model")))
    bar.on_end(EndEvent(RUN, 20, 320, "finished"))


def test_a_new_run_says_once_where_its_pictures_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    save_png(make_grid(np.zeros((64, 16, 16, 1), np.uint8)), tmp_path / "1.png")
    monkeypatch.setattr(RunFolder, "config", lambda self: configure("fast", image_size=16))
    snapshots(ProgressBar(), 0, tmp_path / "1.png")
    err = capsys.readouterr().err
    assert err.count(f"step 10, after 0 s: the first pictures are in {tmp_path / '1.png'}") == 1
    assert "step 20, after" not in err
    assert "\x1b[38" not in err  # this is no terminal


def test_a_resumed_run_does_not_say_it_again(capsys: pytest.CaptureFixture[str]):
    snapshots(ProgressBar(), 10, Path("samples/1.png"))
    assert "first pictures" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "rows", "conditional"),
    [((28, 28), 8, False), ((16, 24), 8, False), ((28, 28), 10, True), ((28, 28), 2, True)],
)
def test_some_samples_of_the_grid_are_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    rows: int,
    conditional: bool,
):
    pixels = np.random.default_rng(0).integers(0, 256, (8 * rows, *size, 1), np.uint8)
    # With classes, the rows of a grid are classes, so sample i is in row i; without, it is in column i.
    grid = make_grid(pixels, rows=rows) if conditional else make_grid(pixels, columns=8)
    save_png(grid, tmp_path / "g.png")
    images: list[Any] = []
    monkeypatch.setattr(progress_bar, "show_picture", lambda image, stream: images.append(image))
    config = configure("fast", image_size=f"{size[0]}x{size[1]}", conditional=conditional)
    monkeypatch.setattr(RunFolder, "config", lambda self: config)
    snapshots(ProgressBar(), 0, tmp_path / "g.png")
    assert np.array_equal(np.asarray(images[0])[..., 0], make_grid(pixels[:4], columns=4)[..., 0])


def test_a_grid_that_cannot_be_read_ends_no_training(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RunFolder, "config", lambda self: configure("fast"))
    snapshots(ProgressBar(), 0, Path("nowhere.png"))


def test_samples_with_transparency_are_drawn_on_white(tmp_path: Path):
    save_png(make_grid(np.full((64, 16, 16, 4), (9, 9, 9, 0), np.uint8)), tmp_path / "grid.png")
    image = first_samples(tmp_path / "grid.png", configure("fast", image_size=16))
    assert (image.mode, image.getpixel((8, 8))) == ("RGB", (255, 255, 255))
