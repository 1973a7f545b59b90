import json
from pathlib import Path

import pytest

from benchmarks.claims import page
from benchmarks.claims.comparisons import DISTANCE, rank_correlation, summarize_comparisons
from tests.benchmarks.claims.test_page import RESULTS


def test_rank_correlation():
    assert rank_correlation([(1, 10), (2, 20), (3, 40), (9, 41)]) == pytest.approx(1)
    assert rank_correlation([(1, 3), (2, 2), (3, 1)]) == pytest.approx(-1)
    assert rank_correlation([(1, 1), (1, 2), (2, 2)]) == pytest.approx(0.5)
    assert rank_correlation([(1, 1), (1, 2), (1, 3)]) is None


def write_run(folder: Path, distance: float, loss: float) -> None:
    """Write a run of three parts, in which the distance falls by 1 with each part."""
    folder.mkdir()
    losses = {"loss_g": loss, "loss_d": 0.6, "d_real": 0.6, "d_fake": 0.4, "seconds": 60.0}
    parts = [{DISTANCE: distance + 9 - k} | losses for k in range(3)]
    (folder / "parts.json").write_text(json.dumps({"format_version": 1, "parts": parts, "failed": ""}))


def write_comparison(folder: Path) -> None:
    """Write a comparison where dcgan is far better than vanilla with four seeds, and its loss is higher."""
    metrics = {}
    for preset, distance, loss in (("vanilla", 50.0, 0.7), ("dcgan", 5.0, 2.0), ("cgan", 4.0, 1.0)):
        metrics[preset] = {str(s): {DISTANCE: distance + s, "certainty": 1 - distance / 100} for s in range(4)}
        for seed in range(4):
            write_run(folder / f"{preset}-{seed}", distance + seed, loss)
    for run_metrics in metrics["cgan"].values():
        run_metrics["label_agreement"] = 0.97
    plan = {"unit": "minutes", "amount": 3}
    content = {"format_version": 1, "each": metrics, "table": {}, "how": plan, "verdicts": []}
    (folder / "table.json").write_text(json.dumps(content))


def test_a_comparison_becomes_rows_of_the_page(tmp_path: Path):
    write_comparison(tmp_path)
    results = summarize_comparisons([tmp_path])
    [comparison] = results["comparisons"]
    assert comparison["seconds"] == 12 * 60
    assert comparison["better_digits"][DISTANCE]["p"] == pytest.approx(2 / 70)
    about = {"about": {"command": "c", "date": "d", "seconds": 1.0, "threads": 1, "load": 0.5}}
    text = page.render_page({"compared": results | about, "toy": RESULTS["toy"] | about})
    rows = {line[2]: line for line in text.splitlines() if line.startswith("| ")}
    assert "**not decided** | only at equal time" in rows["a"]  # at equal time the smaller network does more steps
    assert "p = 0.029 (4 and 4 seeds)" in text
    assert "**disagrees**" in rows["b"]  # the loss is higher where the pictures are better
    assert "over 12 ends" in rows["b"]
    assert "0.97" in rows["d"]
    assert "**true here**" in rows["d"]
    assert "dcgan, 3 minutes each: D(x) 0.6" in text
    assert "In all 12.0 minutes" in text
