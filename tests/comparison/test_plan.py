import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dcgan import UserError
from dcgan.comparison.plan import PROBE_SEED, PROBE_SEED_OF_0_1, Plan, make_plan, open_comparison_folder
from dcgan.images import save_png
from tests.comparison.conftest import SAMPLE_COUNT, file_states
from tests.conftest import make_picture_folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--presets", "dgcan"], "did you mean 'dcgan'"),
        (["--presets", "vanilla", "vanilla"], "--presets names one of them twice"),
        (["--seeds", "-1"], "--seed must be from 0"),
        (["--seeds", *map(str, range(11))], "at most 10 seeds"),
        (["--steps", "5", "--images", "9"], "--images and --steps all set"),
        (["--steps", "0"], "--steps must be above 0"),
        (["--n", "0"], "--n: metrics need at least 3 pictures, not 0: give a larger --n"),
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
    assert "was started with --steps 5, not --steps 6" in refused(*words, "--steps", "6", "--n", str(SAMPLE_COUNT))
    assert "was started with --steps 5, not --minutes 3.0" in refused(*words, "--n", str(SAMPLE_COUNT))
    assert f"was started with --n {SAMPLE_COUNT}, not --n 99" in refused(*words, "--steps", "5", "--n", "99")
    (tmp_path / "c" / "compare.json").write_text("{")
    assert "damaged" in refused(*words, "--n", str(SAMPLE_COUNT))


@pytest.mark.parametrize(
    ("unit", "amount", "lengths"),
    [
        ("steps", 3, [1, 2, 3]),
        ("steps", 1, [1]),
        ("steps", 6, [1, 2, 3, 4, 5, 6]),
        ("steps", 11_500, [1917, 3833, 5750, 7667, 9583, 11_500]),
        ("images", 4, [1, 2, 3, 4]),
        ("minutes", 0.06, pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])),
    ],
)
def test_parts_are_never_empty_and_end_with_the_whole_run(unit: str, amount: float, lengths: list[float]):
    plan = Plan(("vanilla",), (0,), unit, amount, "mnist", 28, SAMPLE_COUNT)
    assert plan.part_lengths() == lengths
    for length in plan.part_lengths():
        assert getattr(plan.config("vanilla", 0, length), unit) == length


def test_the_plan_names_no_user_and_goes_on_with_the_same_pictures_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "secret" / "photos"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "secret")

    def fill(seed: int) -> None:
        for i, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (80, 28, 28), np.uint8)):
            save_png(pixels[..., None], folder / f"{i}.png")

    def open_again(data: str) -> Plan:
        return open_comparison_folder(make_plan(("vanilla",), (0,), {"steps": 5}, data, 28, 30), tmp_path / "c")

    fill(0)
    plan = open_again(str(folder))
    path = tmp_path / "c" / "compare.json"
    assert "secret" not in path.read_text()
    assert open_again("photos").pictures_key == plan.pictures_key
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": str(folder)}))  # as version 0.1.0 wrote it
    open_again("photos")
    fill(1)
    with pytest.raises(UserError, match="other pictures than those in photos"):
        open_again("photos")


def test_few_pictures_are_compared_with_all_of_them(tmp_path: Path):
    data = str(make_picture_folder(tmp_path / "data", 60))
    few = make_plan(("vanilla",), (0,), {"steps": 5}, data, 28, 30)
    many = make_plan(("vanilla",), (0,), {"steps": 5}, "mnist", 28, 30)
    assert (few.split, many.split) == ("all", "test")
    assert open_comparison_folder(few, tmp_path / "c").split == "all"
    assert open_comparison_folder(few, tmp_path / "c").split == "all"
    path = tmp_path / "c" / "compare.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"split": "some"}))
    with pytest.raises(UserError, match="split is 'some'"):
        open_comparison_folder(few, tmp_path / "c")
    del content["split"]
    path.write_text(json.dumps(content))  # of an earlier version, which compared all with the test split
    assert open_comparison_folder(few, tmp_path / "c").split == "test"


def test_a_comparison_of_version_0_1_0_keeps_its_samples(tmp_path: Path):
    plan = make_plan(("vanilla",), (0,), {"steps": 5}, "mnist", 28, SAMPLE_COUNT)
    assert open_comparison_folder(plan, tmp_path / "c").probe_seed == PROBE_SEED
    assert open_comparison_folder(plan, tmp_path / "c").probe_seed == PROBE_SEED
    path = tmp_path / "c" / "compare.json"
    content = json.loads(path.read_text())
    del content["probe_seed"]
    path.write_text(json.dumps(content))
    assert open_comparison_folder(plan, tmp_path / "c").probe_seed == PROBE_SEED_OF_0_1
    path.write_text(json.dumps(content | {"probe_seed": "7"}))
    with pytest.raises(UserError, match="probe_seed is '7'"):
        open_comparison_folder(plan, tmp_path / "c")
