from collections.abc import Callable
from pathlib import Path

import pytest

from dcgan.comparison.plan import make_plan, open_comparison_folder
from tests.comparison.conftest import SAMPLE_COUNT, file_states


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--presets", "dgcan"], "did you mean 'dcgan'"),
        (["--presets", "vanilla", "vanilla"], "--presets names one of them twice"),
        (["--seeds", "-1"], "--seed must be from 0"),
        (["--seeds", *map(str, range(11))], "at most 10 seeds"),
        (["--steps", "5", "--images", "9"], "--images and --steps all set"),
        (["--steps", "0"], "--steps must be above 0"),
        (["--presets", "dcgan", "--image-size", "32"], "28x28"),
        (["--presets", "my.json"], "presets by name"),
        (["--data", "nothing-here"], "nothing-here"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(tmp_path: Path, refused: Callable[..., str], words, message):
    assert message in refused("compare", "--out", str(tmp_path / "c"), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, refused: Callable[..., str]):
    (tmp_path / "holiday.jpg").touch()
    before = file_states(tmp_path)
    assert "holds other files and no comparison" in refused("compare", "--out", str(tmp_path), "--presets", "vanilla")
    assert "holds other files" in refused("compare", "--out", str(tmp_path / "holiday.jpg"), "--presets", "vanilla")
    assert file_states(tmp_path) == before


def test_another_plan_in_the_same_folder_is_refused(tmp_path: Path, refused: Callable[..., str]):
    words = ["compare", "--out", str(tmp_path / "c"), "--presets", "vanilla"]
    open_comparison_folder(make_plan(("vanilla",), (0,), {"steps": 5}, "mnist", 28, SAMPLE_COUNT), tmp_path / "c")
    assert "was started with amount 5, not 6" in refused(*words, "--steps", "6", "--n", str(SAMPLE_COUNT))
    assert "was started with unit steps, not minutes" in refused(*words, "--n", str(SAMPLE_COUNT))
    (tmp_path / "c" / "compare.json").write_text("{")
    assert "damaged" in refused(*words, "--n", str(SAMPLE_COUNT))
