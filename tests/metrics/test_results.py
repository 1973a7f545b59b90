import json
from dataclasses import replace

import pytest

from dcgan.metrics.copies import CopyVerdict
from dcgan.metrics.equality import EqualityTest
from dcgan.metrics.intervals import Estimate, Floor, estimate_metric, with_floor
from dcgan.metrics.results import Evaluation, describe_equality, format_number


def make_evaluation() -> Evaluation:
    metrics = {
        "frechet_inception_distance": estimate_metric([1, 1, 1, 1, 2.0], floor=0.1),
        "own": estimate_metric([1.0] * 5),
    }
    return Evaluation(
        source="runs/a",
        data="mnist",
        split="test",
        features="judge",
        n=1000,
        reference_count=10_000,
        seeds=(0, 1, 2, 3, 4),
        interval_method="5 independent sample seeds",
        neighbor_k=5,
        metrics=metrics,
        class_shares={"0": 0.25, "1": 0.75},
        notes=("a note",),
        seconds=1.5,
    )


def test_metrics_are_reported_with_everything_that_they_depend_on():
    content = json.loads(json.dumps(make_evaluation().as_json()))
    assert list(content) == [
        "source", "data", "split", "features", "n", "reference", "seeds", "intervals", "neighbours", "metrics",
        "classes", "notes", "seconds", "confidence", "too_few", "equality", "copies",
    ]  # fmt: skip
    distance = content["metrics"]["frechet_inception_distance"]
    assert list(distance) == [
        "mean", "low", "high", "each", "real_against_real", "n_fake", "n_real", "k", "interval", "floor",
    ]  # fmt: skip
    assert distance["real_against_real"] == 0.1
    text = make_evaluation().as_table()
    for word in ("judge", "1,000", "10,000 real", "seeds 0 to 4", "test split of mnist", "95%", "a note", "1 75.0%"):
        assert word in text
    [row] = [line.split() for line in text.splitlines() if "Fréchet" in line]
    assert row == ["Fréchet", "distance", "↓", "1.2", "0.6448", "to", "1.755", "0.1", "-", "-", "-"]


def test_what_stands_beside_a_metric():
    estimate = Estimate(0.9, 0.85, 0.95, (0.9,), n_fake=1000, n_real=200, k=3, method="pictures")
    metrics = {
        "precision": with_floor(estimate, Floor((0.8, 0.9), 500, 200)),
        "frechet_distance_12_components": estimate,
    }
    equality, copies = EqualityTest(0.002, 499, 1000, 200), make_verdict()
    evaluation = replace(
        make_evaluation(), metrics=metrics, equality=equality, copies=copies, too_few="too few to judge"
    )
    content = json.loads(json.dumps(evaluation.as_json()))
    assert content["metrics"]["precision"]["floor"] == {
        "each": [0.8, 0.9], "mean": pytest.approx(0.85), "spread": pytest.approx(0.0707107), "n": 500, "n_real": 200,
    }  # fmt: skip
    assert content["equality"] == {"p_value": 0.002, "permutations": 499, "n_fake": 1000, "n_real": 200}
    assert content["copies"]["verdict"] == "copies"
    assert content["copies"]["searched"] == 400
    assert content["copies"]["excess"] == pytest.approx(0.45)
    text = evaluation.as_table()
    [row] = [line.split() for line in text.splitlines() if line.startswith("  precision")]
    assert row == ["precision", "↑", "0.9", "0.85", "to", "0.95", "0.85", "±", "0.07071", "1,000", "200", "3"]
    for words in ("12 components", "samples can be told apart from real pictures: p = 0.002", "copies: half of them"):
        assert words in text
    assert "too few to judge" in text.splitlines()[2]


def test_samples_are_told_apart_up_to_a_p_value_of_5_percent():
    content = {"permutations": 499, "n_fake": 10, "n_real": 10}
    for count, outcome in ((1, "can"), (25, "can"), (26, "cannot"), (500, "cannot")):
        assert f"samples {outcome} be told apart" in describe_equality(content | {"p_value": count / 500})


def make_verdict() -> CopyVerdict:
    return CopyVerdict(
        "copies", "half of them", 0.5, 0.4, 0.5, 0.5, 0.8, 1000, 400, 400, 200, 0.05, "held-out pictures"
    )


def test_numbers_are_shown_with_four_significant_digits():
    assert [format_number(x) for x in (0.0, 1.23456, 0.0123456, 12345.6, 0.00001, -0.5, float("inf"))] == [
        "0", "1.235", "0.01235", "12,346", "1.0e-05", "-0.5", "inf",
    ]  # fmt: skip
