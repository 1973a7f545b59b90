import copy
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.claims import rows

RESULTS: dict[str, Any] = json.loads(Path("docs/claims.json").read_text())


@pytest.fixture
def results() -> dict[str, Any]:
    return copy.deepcopy(RESULTS)


def test_runs_of_equal_time_have_no_weight_for_better_digits(results: dict[str, Any]):
    row = rows.better_digits(results)
    assert "minutes" not in row.summary
    assert "without weight for the verdict" in row.details
    equal_time = [c for c in results["compared"]["comparisons"] if c["how"]["unit"] == "minutes"]
    results["compared"]["comparisons"] = equal_time
    assert rows.better_digits(results).verdict == "not decided"


def test_an_interval_below_the_least_value_is_replaced_by_the_seeds():
    spread = {"mean": 20.0, "low": -5.3, "high": 45.4, "each": [12.0, 44.0, 4.0]}
    assert rows._format_spread(spread, 0) == "20 (the seeds: 4, 12, 44)"
    assert rows._format_spread(spread) == "20 (-5.3 to 45.4)"
    assert "-5.29" not in rows.better_digits(RESULTS).details


def test_short_runs_do_not_decide_on_stability(results: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    row = rows.stability(results)
    assert row.verdict == "not decided"
    assert "WGAN-GP 12 of 18 runs with 125 updates of G" in row.summary
    monkeypatch.setattr(rows, "MIN_DECIDING_UPDATES", 100)
    assert rows.stability(results).verdict == "not decided"  # no run was unstable
    results["stability"]["runs"][0] |= {"distance": None, "well": False}
    assert rows.stability(results).verdict == "disagrees"


def test_a_large_ratio_of_gradients_confirms_the_document_there(results: dict[str, Any]):
    results.pop("saturation", None)
    assert rows.gradients(results).verdict == "not in the first 300 steps"
    note = {"step": 700, "minimax": 0.01, "non-saturating": 0.3, "d_fake": 0.03}
    results["saturation"] = {"runs": [{"preset": "dcgan", "seed": 0, "notes": [note]}]}
    row = rows.gradients(results)
    assert row.verdict == "true where D wins, not at the very first steps"
    assert "up to step 700 is 30, at step 700, where D(G(z)) is 0.030" in row.summary
    assert "| dcgan | 700 | 1 | 0.030 | 0.01 | 0.3 | 30 |" in row.details


def test_the_losses_of_dcgan_and_vanilla_are_compared_at_equal_steps(results: dict[str, Any]):
    row = rows.loss_and_quality(results)
    assert "Loss_G at 2,500 steps each: dcgan 1.03 (0.72 to 1.35), vanilla 1.06 (1.04 to 1.09)" in row.summary
    assert "Loss_G at 2 minutes" not in row.details
