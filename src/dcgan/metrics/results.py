"""What an evaluation found: every figure with its interval, its floor, and what it was measured with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCE = 0.95
MIN_SEEDS, MAX_SEEDS = 5, 20
"""Independent sets of samples that an interval may be made from."""
STUDENT_QUANTILES = (
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
    2.120,
    2.110,
    2.101,
    2.093,
)
"""The 97.5% quantile of Student's t with 4, 5, … 19 degrees of freedom."""


@dataclass(frozen=True)
class Estimate:
    """One metric.

    Attributes:
        mean: the figure.
        low: where its 95% interval begins.
        high: where that ends.
        each: the values that the interval was made from.
        real_against_real: the same metric with as many real pictures in the place of the generated ones; None where
            there are too few.
    """

    mean: float
    low: float
    high: float
    each: tuple[float, ...]
    real_against_real: float | None = None


def estimate(each: Sequence[float], whole: float | None = None, floor: float | None = None) -> Estimate:
    """A figure with the interval of Student's t over independent sets of samples.

    Args:
        each: the metric of each set, at least five.
        whole: the metric of all samples together, where the sets are disjoint parts of one. The figure is this one
            then: the mean of the parts has the bias of fewer samples. The interval keeps its width: that of the mean
            of k parts is just that of the whole, as long as the spread falls with the root of the number.
        floor: see `Figure`.
    """
    if not MIN_SEEDS <= len(each) <= MAX_SEEDS:
        raise ValueError(f"an interval is made from {MIN_SEEDS} to {MAX_SEEDS} sets, not {len(each)}")
    mean = math.fsum(each) / len(each)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in each) / (len(each) - 1))
    half = STUDENT_QUANTILES[len(each) - MIN_SEEDS] * spread / math.sqrt(len(each))
    middle = mean if whole is None else whole
    return Estimate(middle, middle - half, middle + half, tuple(each), floor)


@dataclass(frozen=True)
class Evaluation:
    """Every figure of one generator, with all that it depends on.

    Attributes:
        source: what was evaluated.
        data: the real pictures it was held against.
        split: which part of them.
        features: the name of the features.
        n: generated pictures in each figure.
        reference: real pictures in each figure.
        seeds: of the samples; empty where the samples came as files.
        intervals: how the intervals were made.
        neighbours: the k of precision, recall, density and coverage.
        metrics: the figures, by torch-fidelity's key where it has one.
        classes: the share of each class among the samples; empty without a judge.
        notes: what one must know to read the figures.
        seconds: how long it took.
    """

    source: str
    data: str
    split: str
    features: str
    n: int
    reference: int
    seeds: tuple[int, ...]
    intervals: str
    neighbours: int
    metrics: Mapping[str, Estimate]
    classes: Mapping[str, float]
    notes: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's own types."""
        found = asdict(self)
        for name, value in found["metrics"].items():
            value["each"] = list(value["each"])
            found["metrics"][name] = value
        return found | {"seeds": list(self.seeds), "notes": list(self.notes), "confidence": CONFIDENCE}

    def as_table(self) -> str:
        """The same for people."""
        drawn = f"seeds {self.seeds[0]} to {self.seeds[-1]}" if self.seeds else "samples from files"
        lines = [
            f"{self.source} against the {self.split} part of {self.data}: {self.n:,} samples, {drawn}, "
            f"{self.reference:,} real pictures",
            f"features {self.features}; 95% intervals over {self.intervals}",
            "",
            f"  {'':<30}{'figure':>10}   {'95% interval':<22}{'real against real':>18}",
        ]
        for name, found in self.metrics.items():
            floor = "-" if found.real_against_real is None else format_number(found.real_against_real)
            between = f"{format_number(found.low)} to {format_number(found.high)}"
            lines.append(
                f"  {METRIC_TITLES.get(name, name):<30}{format_number(found.mean):>10}   {between:<22}{floor:>18}"
            )
        if self.classes:
            shares = ", ".join(f"{name} {share:.1%}" for name, share in list(self.classes.items())[:20])
            lines += ["", f"  classes drawn: {shares}"]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


METRIC_TITLES = {
    "frechet_inception_distance": "Fréchet distance ↓",
    "frechet_inception_distance_infinite": "Fréchet distance, n → ∞ ↓",
    "kernel_inception_distance_mean": "kernel distance (KID) ↓",
    "inception_score_mean": "score of classes (IS) ↑",
    "precision": "precision ↑",
    "recall": "recall ↑",
    "f_score": "F-score of the two ↑",
    "density": "density ↑",
    "coverage": "coverage ↑",
    "train_held_out_distance_ratio": "nearest: train / held-out → 1",
    "nearest_train_distance": "distance to nearest train",
    "class_entropy": "entropy of the classes ↑",
    "label_agreement": "draws the class asked for ↑",
    "modes_covered": "modes of 1,000 ↑",
    "kl_to_uniform": "KL to uniform ↓",
    "train_on_fakes_accuracy": "trained on fakes, real test ↑",
}


def format_number(value: float) -> str:
    """Four digits that matter."""
    if not math.isfinite(value):
        return str(value)
    return (
        f"{value:,.0f}"
        if abs(value) >= 1000
        else f"{value:.4g}"
        if abs(value) >= 1e-3 or value == 0
        else f"{value:.1e}"
    )
