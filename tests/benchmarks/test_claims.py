import json
import math
from pathlib import Path

import pytest

from benchmarks.claims import checks, compared, gradients, page, toy

STORED = json.loads(Path("docs/claims.json").read_text())


def test_the_page_is_what_the_stored_figures_say():
    assert Path("docs/claims.md").read_text() == page.written(STORED)


def test_nothing_measured_is_said():
    text = page.written({})
    assert text.count("not measured yet") == len(page.CLAIMS)


def test_sizes_are_those_of_the_formula():
    found = checks.sizes()
    assert found["seen"] == found["by_formula"]
    assert found["seen"] == {"generator": [1, 3, 6, 13, 28], "discriminator": [28, 13, 5, 1]}


def test_the_code_minimises_minus_log_d():
    found = checks.formulae()
    assert found["generator_code"] == pytest.approx(found["minus_log_d"], rel=1e-5)
    assert found["log_one_minus_d"] < 0 < found["generator_code"]
    assert found["discriminator_code"] == pytest.approx(found["minus_half_of_v"], rel=1e-5)


def test_the_toy_s_discriminator_finds_the_formula():
    found = toy.fixed_generator(0, steps=600)
    assert found["mean_distance_from_the_formula"] < 0.03
    # the Jensen-Shannon divergence of two distributions is ln 2 less the least loss, and lies between 0 and ln 2
    assert 0 < found["least_loss_by_the_formula"] < math.log(2)


def test_the_toy_s_generator_finds_the_data():
    found = toy.trained(0, steps=1500)
    assert found["distance_to_data"] < 0.02 < 9 < found["distance_to_z"]
    assert found["d_real"] == pytest.approx(0.5, abs=0.02)
    assert found["d_fake"] == pytest.approx(0.5, abs=0.02)


def test_a_blind_discriminator_has_the_losses_of_the_optimum():
    found = toy.blind()
    assert found["loss_d"] == pytest.approx(math.log(2))
    assert found["loss_g"] == pytest.approx(math.log(2))
    assert found["distance_to_data"] == 9.25


def test_looking_at_gradients_does_not_change_the_training(monkeypatch: pytest.MonkeyPatch):
    seen = gradients.run("vanilla", 0, 2)
    monkeypatch.setattr(gradients, "MOMENTS", (2,))
    assert gradients.run("vanilla", 0, 2)["notes"] == seen["notes"][-1:]
    first = seen["notes"][0]
    assert first["d_fake"] == pytest.approx(0.5, abs=0.1)
    assert first["minimax"] == pytest.approx(first["non-saturating"], rel=0.5)


def test_rank_correlation():
    assert compared.spearman([(1, 10), (2, 20), (3, 40), (9, 41)]) == pytest.approx(1)
    assert compared.spearman([(1, 3), (2, 2), (3, 1)]) == pytest.approx(-1)
    assert compared.spearman([(1, 1), (1, 2), (2, 2)]) == pytest.approx(0.5)
    assert compared.spearman([(1, 1), (1, 2), (1, 3)]) is None


def test_a_comparison_becomes_rows(tmp_path: Path):
    """Made up: dcgan far better than vanilla with four seeds, and its loss higher."""
    each, table = {}, {}
    for preset, distance, loss in (("vanilla", 50.0, 0.7), ("dcgan", 5.0, 2.0), ("cgan", 4.0, 1.0)):
        each[preset] = {str(s): {compared.DISTANCE: distance + s, "certainty": 1 - distance / 100} for s in range(4)}
        for seed in range(4):
            folder = tmp_path / f"{preset}-{seed}"
            folder.mkdir()
            parts = [
                {
                    compared.DISTANCE: distance + seed + 9 - k,
                    "loss_g": loss,
                    "loss_d": 0.6,
                    "d_real": 0.6,
                    "d_fake": 0.4,
                }
                | {"seconds": 60.0}
                for k in range(3)
            ]
            content = {"format_version": 1, "parts": parts, "failed": ""}
            (folder / "parts.json").write_text(json.dumps(content))
        if preset == "cgan":
            for run in each[preset].values():
                run["label_agreement"] = 0.97
    how = {"unit": "minutes", "amount": 3}
    content = {"format_version": 1, "each": each, "table": table, "how": how, "verdicts": []}
    (tmp_path / "table.json").write_text(json.dumps(content))
    found = compared.measured([tmp_path])
    (one,) = found["comparisons"]
    assert one["seconds"] == 12 * 60
    assert one["better_digits"][compared.DISTANCE]["p"] == pytest.approx(2 / 70)
    about = {"about": {"command": "c", "date": "d", "seconds": 1.0, "threads": 1, "load": 0.5}}
    text = page.written({"compared": found | about, "toy": STORED["toy"] | about})
    rows = {line[2]: line for line in text.splitlines() if line.startswith("| ")}
    assert "**true here**" in rows["a"]
    assert "p = 0.029 (4 and 4 seeds)" in rows["a"]
    assert "**disagrees**" in rows["b"]  # the loss is higher where the pictures are better
    assert "over 12 ends" in rows["b"]
    assert "0.97" in rows["d"]
    assert "**true here**" in rows["d"]
    assert "dcgan, 3 minutes each: D(x) 0.6" in text
    assert "In all 12.0 minutes" in text
