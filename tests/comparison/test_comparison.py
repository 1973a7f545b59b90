import csv
import itertools
import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan.cli.commands import COMMANDS
from dcgan.cli.main import run as command
from dcgan.comparison import plan, statistics
from dcgan.comparison import runs as runs_module
from dcgan.comparison.comparison import compare
from dcgan.comparison.table import Outcome
from dcgan.errors import UserError
from dcgan.evaluation import measure, sheets
from dcgan.presets import COMPARED_PRESETS, PRESETS
from dcgan.run.folder import RunFolder

N = 110


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, bare: None, shared_cache: Path) -> None:
    """Few real pictures, few samples, two parts a run."""
    monkeypatch.setenv("DCGAN_CACHE", str(shared_cache))
    monkeypatch.setattr(measure, "MAX_REFERENCE", 400)
    monkeypatch.setattr(sheets, "MAX_FLOOR_POOL", 400)
    monkeypatch.setattr(runs_module, "MAX_REFERENCE", 400)
    monkeypatch.setattr(runs_module, "PROBED", 110)
    monkeypatch.setattr("dcgan.compare.PARTS", 2)
    monkeypatch.setattr(runs_module, "PART_COUNT", 2)
    monkeypatch.setattr("dcgan.compare.pictures.PARTS", 2)
    runs_module._eyes.cache_clear()


def tree(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(root.rglob("*")) if p.is_file()}


def test_two_presets_with_two_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "c"
    words = ["compare", "--out", str(out), "--presets", "vanilla", "cgan", "--steps", "4", "--n", str(N)]
    assert command([*words, "--seeds", "0", "1", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert "4.00/4 runs" in said.err
    assert "img/s" not in said.err  # one bar, not one more for each training
    assert sorted(p.name for p in out.iterdir()) == [
        "cgan-0", "cgan-1", "compare.json", "curves.png", "grids.png", "table.csv", "table.json", "table.md",
        "vanilla-0", "vanilla-1",
    ]  # fmt: skip
    assert json.loads((out / "table.json").read_text()) == {"format_version": 1, **found}
    for preset, row in found["table"].items():
        for name, value in row.items():
            each = [found["each"][preset][seed][name] for seed in ("0", "1")]
            assert value["each"] == each
            assert value["mean"] == pytest.approx(sum(each) / 2)
            assert value["high"] - value["mean"] == pytest.approx(12.706 * abs(each[0] - each[1]) / 2, abs=1e-12)
        assert row["step"]["each"] == [4, 4]
        assert 0.1 < row["certainty"]["mean"] <= 1
    assert "label_agreement" in found["table"]["cgan"]
    assert "label_agreement" not in found["table"]["vanilla"]
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["preset"], row["seed"]) for row in rows} == set(itertools.product(("vanilla", "cgan"), "01"))
    assert len(rows) == sum(len(figures) for runs in found["each"].values() for figures in runs.values())
    (verdict,) = found["verdicts"]
    assert verdict["text"].startswith("cannot tell vanilla from cgan")
    assert "even the clearest difference would have p = 0.33" in verdict["text"]
    assert verdict["text"] in (out / "table.md").read_text()
    for name in ("curves.png", "grids.png"):
        with Image.open(out / name) as image:
            assert np.asarray(image.convert("L")).std() > 5
    again = tree(out)
    assert command([*words, "--seeds", "0", "1"]) == 0
    kept = {path: state for path, state in tree(out).items() if "-" in Path(path).relative_to(out).parts[0]}
    assert kept.items() <= again.items()  # runs that are done are not touched
    assert command([*words[:5], "--steps", "4", "--n", str(N), "--seeds", "0"]) == 0  # fewer of both


def test_a_comparison_goes_on_where_it_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Stopped in the second part, as by Ctrl-C: the same run as one that never was."""
    options = {"presets": ("vanilla",), "seeds": (3,), "steps": 6, "n": N}
    update, count = dcgan.training.update, [0]

    def interrupted(state):
        update(state)
        count[0] += 1
        if count[0] == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(dcgan.training, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="the same command again goes on") as stop:
        compare(tmp_path / "a", **options)
    assert stop.value.status == 130
    assert len(runs_module.read_parts(RunFolder(tmp_path / "a" / "vanilla-3"))[0]) == 1
    monkeypatch.setattr(dcgan.training, "train_step", update)
    stopped = compare(tmp_path / "a", **options).outcome
    whole = compare(tmp_path / "b", **options).outcome
    kept, other = (dict(o.each["vanilla"]["3"]) for o in (stopped, whole))
    assert kept.pop("seconds") > 0
    assert other.pop("seconds") > 0
    assert kept == other


def test_more_seeds_are_added(tmp_path: Path):
    options = {"presets": ("vanilla",), "steps": 2, "n": N}
    compare(tmp_path / "c", seeds=(0,), **options)
    first = tree(tmp_path / "c" / "vanilla-0")
    found = compare(tmp_path / "c", seeds=(0, 1), **options)
    assert first == tree(tmp_path / "c" / "vanilla-0")
    assert len(found.outcome.table["vanilla"]["step"].each) == 2


@pytest.mark.usefixtures("clock")
def test_minutes_are_equal(tmp_path: Path):
    found = compare(tmp_path / "c", presets=("vanilla",), seeds=(0,), minutes=0.01, n=N).outcome
    assert found.each["vanilla"]["0"]["seconds"] == pytest.approx(0.6)
    assert found.each["vanilla"]["0"]["step"] == 60


def test_a_run_that_diverges_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PRESETS, "wild", PRESETS["vanilla"].__class__(**vars(PRESETS["vanilla"]) | {"lr": 1e30}))
    found = compare(tmp_path / "c", presets=("vanilla", "wild"), seeds=(0,), steps=4, n=N).outcome
    assert "such events in a row" in found.failed["wild"]["0"]
    assert found.table["wild"] == {}
    assert "| wild | 0 (+1 failed) |" in found.as_markdown()
    assert found.table["vanilla"]["step"].mean == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--presets", "dgcan"], "did you mean 'dcgan'"),
        (["--presets", "vanilla", "vanilla"], "--presets names one of them twice"),
        (["--seeds", "-1"], "--seed must be from 0"),
        (["--seeds", *map(str, range(11))], "at most 10 seeds"),
        (["--steps", "5", "--images", "9"], "--images and --steps all say"),
        (["--steps", "0"], "--steps must be above 0"),
        (["--presets", "dcgan", "--image-size", "32"], "28x28"),
        (["--presets", "my.json"], "presets by name"),
        (["--data", "nothing-here"], "nothing-here"),
    ],
)
def test_mistakes_are_one_line_and_touch_nothing(tmp_path: Path, refused: Callable[..., str], words, message):
    assert message in refused("compare", "--out", str(tmp_path / "c"), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, refused: Callable[..., str]):
    (tmp_path / "holiday.jpg").touch()
    before = tree(tmp_path)
    assert "holds other files and no comparison" in refused("compare", "--out", str(tmp_path), "--presets", "vanilla")
    assert "holds other files" in refused("compare", "--out", str(tmp_path / "holiday.jpg"), "--presets", "vanilla")
    assert tree(tmp_path) == before


def test_another_plan_in_the_same_folder_is_refused(tmp_path: Path, refused: Callable[..., str]):
    words = ["compare", "--out", str(tmp_path / "c"), "--presets", "vanilla"]
    plan.open_comparison_folder(plan.make_plan(("vanilla",), (0,), {"steps": 5}, "mnist", 28, N), tmp_path / "c")
    assert "was begun with amount 5, not 6" in refused(*words, "--steps", "6", "--n", str(N))
    assert "was begun with unit steps, not minutes" in refused(*words, "--n", str(N))
    (tmp_path / "c" / "compare.json").write_text("{")
    assert "damaged" in refused(*words, "--n", str(N))


def test_the_command_s_defaults_are_those_of_the_function():
    made = COMMANDS["compare"](out=Path("c"))
    assert (made.presets, made.seeds) == (COMPARED_PRESETS, plan.DEFAULT_SEEDS)
    assert set(COMPARED_PRESETS) <= set(PRESETS)
    assert made.n == measure.DEFAULT_SAMPLES


def test_the_permutation_test_by_hand():
    assert statistics.permutation_test([1, 2, 3, 4], [5, 6, 7, 8]) == (pytest.approx(2 / 70), pytest.approx(2 / 70))
    assert statistics.permutation_test([1, 2], [1, 2])[0] == 1
    # of the ten ways to choose 2 of 1, 2, 3, 10, 11: only {10, 11} is as far from the mean of 2 * 5.4
    assert statistics.permutation_test([10, 11], [1, 2, 3]) == (pytest.approx(0.1), pytest.approx(0.1))


def test_under_chance_alone_it_is_significant_as_rarely_as_it_claims():
    draws = np.random.default_rng(0).normal(size=(2000, 8))
    hits = sum(statistics.permutation_test(row[:4].tolist(), row[4:].tolist())[0] <= statistics.LEVEL for row in draws)
    assert hits / 2000 <= 0.05
    assert hits / 2000 == pytest.approx(2 / 70, abs=0.012)


def test_an_interval_over_seeds_holds_the_mean_as_often_as_it_claims():
    draws = np.random.default_rng(1).normal(size=(4000, 3))
    held = [s.low <= 0 <= s.high for s in (statistics.spread_over_seeds(row.tolist()) for row in draws)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)
    assert statistics.spread_over_seeds([2.5]) == statistics.SeedSpread(2.5, None, None, (2.5,))


def test_verdicts_name_their_statistic():
    clear = statistics.compare_presets("Fréchet distance", "a", [9, 8, 9, 8], "b", [1, 2, 1, 2])
    assert (clear.better, clear.worse) == ("b", "a")
    assert clear.text == (
        "b is better than a: Fréchet distance 8.5 against 1.5, p = 0.029 (exact permutation test, 4 and 4 seeds)"
    )
    unclear = statistics.compare_presets("Fréchet distance", "a", [1, 2, 3, 4], "b", [2, 3, 4, 5])
    assert unclear.better is None
    assert unclear.text.startswith("cannot tell a from b: Fréchet distance 2.5 against 3.5, p = 0.")
    assert math.isclose(unclear.p, statistics.permutation_test([1, 2, 3, 4], [2, 3, 4, 5])[0])


def test_the_table_has_a_row_a_preset():
    row = {"step": statistics.spread_over_seeds([5.0]), "seconds": statistics.spread_over_seeds([61.0])}
    how = {"unit": "steps", "amount": 5, "data": "mnist", "image_size": 28, "n": 110, "features": "judge"}
    text = Outcome(how, {"a": {"0": {}}}, {"a": row}, {}, ()).as_markdown()
    assert "| a | 1 | 5 | 61 |" in text


def test_parts_that_are_damaged_are_refused(tmp_path: Path):
    (tmp_path / "parts.json").write_text('{"format_version": 1, "parts": 3}')
    with pytest.raises(UserError, match=r"parts\.json is damaged: remove"):
        runs_module.read_parts(RunFolder(tmp_path))
