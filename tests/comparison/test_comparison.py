import csv
import itertools
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan.cli.commands import COMMANDS
from dcgan.cli.main import run as command
from dcgan.comparison import comparison, plan, runs
from dcgan.devices.processes import TrainingStopped
from dcgan.evaluation import task
from dcgan.metrics.limits import metric_limits
from dcgan.presets import COMPARED_PRESETS, PRESETS
from dcgan.run.folder import RunFolder
from dcgan.training import loop
from dcgan.training.step import train_step
from tests.comparison.conftest import SAMPLE_COUNT, file_states
from tests.conftest import make_picture_folder

pytestmark = pytest.mark.usefixtures("_small")


def test_few_pictures_are_measured_with_the_same_pictures_in_the_table_and_the_curves(tmp_path: Path):
    data = make_picture_folder(tmp_path / "data", 60)
    kinds = {"presets": ["fast"], "seeds": [0], "image_size": 16}
    compared = dcgan.compare(tmp_path / "c", steps=1, data=data, n=20, **kinds)
    text = compared.outcome.as_markdown()
    assert "against 60 pictures of all splits" in text
    assert json.loads((tmp_path / "c" / "compare.json").read_text())["split"] == "all"
    assert json.loads((tmp_path / "c" / "fast-0" / "evaluation" / "figures.json").read_text())["reference"] == 60


def test_two_presets_with_two_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "c"
    words = ["compare", "--out", str(out), "--presets", "vanilla", "cgan", "--steps", "4", "--n", str(SAMPLE_COUNT)]
    assert command([*words, "--seeds", "0", "1", "--json"]) == 0
    output = capsys.readouterr()
    outcome = json.loads(output.out)
    assert "4.00/4 runs" in output.err
    assert "img/s" not in output.err  # there is one bar, and not one more for each training
    assert sorted(p.name for p in out.iterdir()) == [
        ".lock", "cgan-0", "cgan-1", "compare.json", "curves.png", "grids.png", "table.csv", "table.json", "table.md",
        "vanilla-0", "vanilla-1",
    ]  # fmt: skip
    assert json.loads((out / "table.json").read_text()) == {"format_version": 1, **outcome}
    for preset, row in outcome["table"].items():
        for name, value in row.items():
            each = [outcome["each"][preset][seed][name] for seed in ("0", "1")]
            assert value["each"] == each
            assert value["mean"] == pytest.approx(sum(each) / 2)
            low, high = metric_limits(name)
            half_width = 12.706 * abs(each[0] - each[1]) / 2
            assert value["high"] == pytest.approx(min(high, value["mean"] + half_width), abs=1e-9)
            assert value["low"] == pytest.approx(max(low, value["mean"] - half_width), abs=1e-9)
        assert row["step"]["each"] == [4, 4]
        assert 0.1 < row["certainty"]["mean"] <= 1
    assert "label_agreement" in outcome["table"]["cgan"]
    assert "label_agreement" not in outcome["table"]["vanilla"]
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["preset"], row["seed"]) for row in rows} == set(itertools.product(("vanilla", "cgan"), "01"))
    assert len(rows) == sum(len(figures) for runs in outcome["each"].values() for figures in runs.values())
    (verdict,) = outcome["verdicts"]
    assert verdict["text"].startswith("cannot tell vanilla from cgan")
    assert "even the clearest difference would have p = 0.33" in verdict["text"]
    assert verdict["text"] in (out / "table.md").read_text()
    for name in ("curves.png", "grids.png"):
        with Image.open(out / name) as image:
            assert np.asarray(image.convert("L")).std() > 5
    before = file_states(out)
    assert command([*words, "--seeds", "0", "1"]) == 0
    run_files = {path: state for path, state in file_states(out).items() if "-" in Path(path).relative_to(out).parts[0]}
    assert run_files.items() <= before.items()  # finished runs are not changed
    assert (
        command([*words[:5], "--steps", "4", "--n", str(SAMPLE_COUNT), "--seeds", "0"]) == 0
    )  # fewer presets and seeds
    path = out / "vanilla-0" / "evaluation" / "figures.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"features": "random"}))  # as by another version
    assert command([*words[:5], "--steps", "4", "--n", str(SAMPLE_COUNT), "--seeds", "0"]) == 0
    assert json.loads(path.read_text())["features"] == "judge"


def test_an_interrupted_comparison_continues_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A comparison that is stopped in the second part, as by Ctrl-C, gives the same run as one that is not stopped."""
    options = {"presets": ("vanilla",), "seeds": (3,), "steps": 6, "n": SAMPLE_COUNT}
    step_count = 0

    def interrupted_step(state):
        nonlocal step_count
        train_step(state)
        step_count += 1
        if step_count == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "train_step", interrupted_step)
    with pytest.raises(TrainingStopped, match="the same command again continues") as stop:
        dcgan.compare(tmp_path / "a", **options)
    assert stop.value.exit_status == 130
    assert len(runs.read_parts(RunFolder(tmp_path / "a" / "vanilla-3"))[0]) == 1
    monkeypatch.setattr(loop, "train_step", train_step)
    continued, uninterrupted = (
        dict(dcgan.compare(tmp_path / name, **options).outcome.metrics["vanilla"]["3"]) for name in ("a", "b")
    )
    assert continued.pop("seconds") > 0
    assert uninterrupted.pop("seconds") > 0
    assert continued == uninterrupted


@pytest.mark.slow
def test_more_seeds_are_added(tmp_path: Path):
    options = {"presets": ("vanilla",), "steps": 2, "n": SAMPLE_COUNT}
    dcgan.compare(tmp_path / "c", seeds=(0,), **options)
    first = file_states(tmp_path / "c" / "vanilla-0")
    outcome = dcgan.compare(tmp_path / "c", seeds=(0, 1), **options).outcome
    assert first == file_states(tmp_path / "c" / "vanilla-0")
    assert len(outcome.table["vanilla"]["step"].values) == 2


@pytest.mark.parametrize(
    ("unit", "amount", "steps"),
    [
        ("steps", 3, [1, 2, 3]),  # a sixth of them is less than one step
        ("images", 300, [1, 1, 2, 2, 2, 3]),  # a step sees 128 images, and reaches the end of two parts
    ],
)
def test_parts_may_be_shorter_than_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str, amount: int, steps: list[int]
):
    monkeypatch.setattr(plan, "PART_COUNT", 6)
    options = {"presets": ("vanilla",), "seeds": (0,), "n": SAMPLE_COUNT, unit: amount}
    outcome = dcgan.compare(tmp_path / "c", **options).outcome
    parts, failure = runs.read_parts(RunFolder(tmp_path / "c" / "vanilla-0"))
    assert [part["step"] for part in parts] == steps
    assert not failure
    assert outcome.metrics["vanilla"]["0"]["step"] == 3
    with Image.open(tmp_path / "c" / "grids.png") as image:
        assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.slow
@pytest.mark.usefixtures("clock")
def test_minutes_are_equal(tmp_path: Path):
    outcome = dcgan.compare(tmp_path / "c", presets=("vanilla",), seeds=(0,), minutes=0.01, n=SAMPLE_COUNT).outcome
    assert outcome.metrics["vanilla"]["0"]["seconds"] == pytest.approx(0.6)
    assert outcome.metrics["vanilla"]["0"]["step"] == 60


def test_a_run_that_diverges_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PRESETS, "wild", PRESETS["vanilla"].__class__(**vars(PRESETS["vanilla"]) | {"lr": 1e30}))
    outcome = dcgan.compare(tmp_path / "c", presets=("vanilla", "wild"), seeds=(0,), steps=4, n=SAMPLE_COUNT).outcome
    assert "such events in a row" in outcome.failures["wild"]["0"]
    assert outcome.table["wild"] == {}
    assert "| wild | 0 (+1 failed) |" in outcome.as_markdown()
    assert outcome.table["vanilla"]["step"].mean == 4


def test_the_defaults_of_the_command_are_those_of_the_function():
    flags = COMMANDS["compare"](out=Path("c"))
    assert (flags.presets, flags.seeds) == (COMPARED_PRESETS, plan.DEFAULT_SEEDS)
    assert set(COMPARED_PRESETS) <= set(PRESETS)
    assert flags.n == task.DEFAULT_SAMPLES


def test_the_package_has_the_function():
    assert dcgan.compare is comparison.compare
