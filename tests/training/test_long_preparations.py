"""What takes long before the first step is said, and only where progress is shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dcgan
from dcgan.cli.main import run
from dcgan.models import groups
from dcgan.system import preparation
from tests.conftest import SMALL, make_picture_folder

STUDY = {"steps": 1, "batch_size": 8, "g_width": 4, "d_width": 4}
TINY = {"image_size": 16, "g_width": 4, "groups": 2, "z_dim": 24, "batch_size": 8}


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch, without_report: None, small_validation: None) -> None:
    """Let every preparation count as a long one."""
    monkeypatch.setattr(preparation, "DELAY_S", 0)


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    return str(make_picture_folder(tmp_path / "pictures", 60))


def train_and_resume(tmp_path: Path, show_progress: bool, **settings: Any) -> None:
    run = dcgan.train(out=tmp_path / "r", steps=1, show_progress=show_progress, **settings)
    dcgan.resume(run, steps=2, show_progress=show_progress)


def test_the_features_that_match_compares_are_said(pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    train_and_resume(tmp_path, True, preset="match", data=pictures, evaluate_every=1, **TINY)
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    for text, count in (
        ("features of 54 pictures: 100%", 2),  # of the run, and again when it is resumed
        ("sorting 54 pictures into 2 groups: 100%", 1),
        ("features of 54 pictures for evaluations: 100%", 2),
    ):
        assert sum(line.startswith(text) for line in lines) >= count, text


def test_the_features_that_sort_pictures_are_said(
    pictures: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(groups, "IMAGES_PER_GROUP", 20)
    dcgan.train("fast", data=pictures, out=tmp_path / "r", steps=1, **SMALL | TINY)
    assert "features of 54 pictures for groups: 100%" in capsys.readouterr().err


def test_nothing_is_printed_without_progress(pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    train_and_resume(tmp_path, False, preset="match", data=pictures, evaluate_every=1, **TINY)
    assert capsys.readouterr() == ("", "")


def test_pictures_that_are_prepared_are_said_unless_progress_is_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def prepare_three_sets(*, show_progress: bool) -> str:
        folder, name = make_picture_folder(tmp_path / f"{show_progress}", 60), f"{show_progress}"
        array = np.random.default_rng(show_progress).integers(0, 256, (60, 28, 28), dtype=np.uint8)
        run = dcgan.train("dcgan", data=folder, out=tmp_path / f"r{name}", show_progress=show_progress, **STUDY)
        dcgan.train("dcgan", data=array, out=tmp_path / f"a{name}", show_progress=show_progress, **STUDY)
        others = make_picture_folder(tmp_path / f"others {name}", 55)
        dcgan.evaluate(run, data=others, features="random", show_progress=show_progress)
        return capsys.readouterr().err.replace("\r", "\n")

    assert prepare_three_sets(show_progress=False) == ""
    lines = prepare_three_sets(show_progress=True).splitlines()
    assert sum(line.startswith("preparing ") and ": 100%" in line for line in lines) >= 3


def test_a_check_of_data_that_match_trains_on_says_them_too(
    pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["data", "check", pictures, "--out", str(tmp_path / "sheet.png")]) == 0
    assert "features of 54 pictures: 100%" in capsys.readouterr().err
