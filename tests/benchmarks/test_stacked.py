"""The benchmark of stacked digits: what it plans, and its table."""

from pathlib import Path

import pytest

from benchmarks import stacked
from dcgan.training.recipe import choose_recipe

ESTIMATE = {"mean": 1000.0, "low": 999.0, "high": 1000.0}
RUN = {
    "images": 7_200_000,
    **dict.fromkeys(stacked.DIGITS, ESTIMATE),
    "kl_to_uniform": {"mean": 0.05, "low": 0.04, "high": 0.06},
}


def test_the_table_leaves_out_the_speed():
    lines = list(stacked.table_rows({stacked.SPEED: {"images_per_second": 2000.0}, "7200000-1": RUN}))
    assert len(lines) == 3
    assert lines[2].startswith("| 7,200,000 | 60 | 1 | 1,000.0 (999.0 to 1,000.0) | 0.0500 (0.0400 to 0.0600) |")


def test_it_is_a_very_long_run_of_color_pictures():
    config = choose_recipe({"data": stacked.DATA, "images": stacked.DEFAULT_IMAGES}).config
    assert (config.preset, config.groups, config.d_width) == ("fast", 256, 32)


def test_a_stored_run_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    results = tmp_path / "stacked.json"
    monkeypatch.setattr(stacked, "RESULTS_FILE", results)
    calls = []

    def train(images: int, seed: int, out: Path) -> dict:
        calls.append((images, seed, out.name))
        return RUN

    monkeypatch.setattr(stacked, "train_and_evaluate", train)
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["stacked", "train", str(tmp_path), "--images", "7200000", "--seeds", "0", "1"])
        stacked.main()
    assert calls == [(7_200_000, 0, "7200000-0"), (7_200_000, 1, "7200000-1")]
