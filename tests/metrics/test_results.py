import json

from dcgan.metrics.intervals import estimate_metric
from dcgan.metrics.results import Evaluation, format_number


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
        "classes", "notes", "seconds", "confidence",
    ]  # fmt: skip
    distance = content["metrics"]["frechet_inception_distance"]
    assert list(distance) == ["mean", "low", "high", "each", "real_against_real"]
    assert distance["real_against_real"] == 0.1
    text = make_evaluation().as_table()
    for word in ("judge", "1,000", "10,000 real", "seeds 0 to 4", "test split of mnist", "95%", "a note", "1 75.0%"):
        assert word in text
    [row] = [line.split() for line in text.splitlines() if "Fréchet" in line]
    assert row == ["Fréchet", "distance", "↓", "1.2", "0.6448", "to", "1.755", "0.1"]


def test_numbers_are_shown_with_four_significant_digits():
    assert [format_number(x) for x in (0.0, 1.23456, 0.0123456, 12345.6, 0.00001, -0.5, float("inf"))] == [
        "0", "1.235", "0.01235", "12,346", "1.0e-05", "-0.5", "inf",
    ]  # fmt: skip
