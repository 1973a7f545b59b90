"""The result of an evaluation, as JSON and as a table, with everything that it depends on."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dcgan.data.splits import split_words
from dcgan.metrics.intervals import CONFIDENCE, Estimate, Floor
from dcgan.metrics.limits import COMPONENT_DISTANCE

if TYPE_CHECKING:  # they import torch, which the report does not need
    from dcgan.metrics.copies import CopyVerdict
    from dcgan.metrics.equality import EqualityTest

EQUALITY_LEVEL = 0.05
"""The p-value up to which samples are told apart from real pictures: the share of false alarms that is accepted."""
MAX_SHOWN_CLASSES = 20
"""Classes whose share the table shows."""
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
"""The name of each metric in tables. An arrow shows whether more or less is better."""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one generator, with everything that they depend on.

    Attributes:
        source: what was evaluated.
        data: the real pictures that the samples were compared with.
        split: the split of the data that these are from.
        features: the name of the feature extractor.
        n: the number of samples that each metric is computed from.
        reference_count: the number of real pictures that each metric is computed from.
        seeds: the seeds of the samples; empty if the samples came from files.
        interval_method: what the intervals were computed from, in words.
        neighbor_k: the k of precision, recall, density and coverage.
        metrics: the estimate of each metric, by torch-fidelity's key if it has one.
        class_shares: the share of each class among the samples, by its name; empty without a judge.
        notes: sentences that a reader must know to read the metrics.
        seconds: the duration of the evaluation.
        too_few: why nothing can be said from so few pictures; empty if something can.
        equality: whether the samples can be told apart from the real pictures; None if that was not tested.
        copies: whether the samples are copies of training pictures; None if they were not searched.
        origin: versions, keys of the weights and of the data, and the settings of the kernel distance, as JSON.
    """

    source: str
    data: str
    split: str
    features: str
    n: int
    reference_count: int
    seeds: tuple[int, ...]
    interval_method: str
    neighbor_k: int
    metrics: Mapping[str, Estimate]
    class_shares: Mapping[str, float]
    notes: tuple[str, ...]
    seconds: float
    too_few: str = ""
    equality: "EqualityTest | None" = None
    copies: "CopyVerdict | None" = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation in JSON's own types."""
        return {
            "source": self.source,
            "data": self.data,
            "split": self.split,
            "features": self.features,
            "n": self.n,
            "reference": self.reference_count,
            "seeds": list(self.seeds),
            "intervals": self.interval_method,
            "neighbours": self.neighbor_k,
            "metrics": {name: _estimate_as_json(estimate) for name, estimate in self.metrics.items()},
            "classes": dict(self.class_shares),
            "notes": list(self.notes),
            "seconds": self.seconds,
            "confidence": CONFIDENCE,
            "too_few": self.too_few,
            "equality": None if self.equality is None else asdict(self.equality),
            "copies": None if self.copies is None else asdict(self.copies) | {"excess": self.copies.excess},
            **self.origin,
        }

    def as_table(self) -> str:
        """Return the evaluation as a text for people."""
        samples = f"seeds {self.seeds[0]} to {self.seeds[-1]}" if self.seeds else "samples from files"
        lines = [
            f"{self.source} against {split_words(self.split)} of {self.data}: {self.n:,} samples, {samples}, "
            f"{self.reference_count:,} real pictures",
            f"features {self.features}; 95% intervals over {self.interval_method}",
            *([self.too_few] if self.too_few else []),
            "",
            f"  {'':<30}{'estimate':>10}   {'95% interval':<22}{'real against real':>22}"
            f"{'n fake':>9}{'n real':>8}{'k':>4}",
            *(_table_row(metric_title(name), estimate) for name, estimate in self.metrics.items()),
        ]
        if self.equality is not None:
            lines += ["", f"  {describe_equality(asdict(self.equality))}"]
        if self.copies is not None:
            lines += [*([] if self.equality else [""]), f"  {describe_copies(asdict(self.copies))}"]
        if self.class_shares:
            shown = list(self.class_shares.items())[:MAX_SHOWN_CLASSES]
            lines += ["", "  classes drawn: " + ", ".join(f"{name} {share:.1%}" for name, share in shown)]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def metric_title(name: str) -> str:
    """Return the name of a metric in tables."""
    if match := COMPONENT_DISTANCE.fullmatch(name):
        return f"Fréchet dist., {match[1]} components ↓"
    return METRIC_TITLES.get(name, name)


def describe_equality(equality: Mapping[str, Any]) -> str:
    """Return the outcome of the test of equality as a sentence, from its JSON."""
    p_value, counts = equality["p_value"], f"{equality['n_fake']:,} samples, {equality['n_real']:,} real pictures"
    outcome = "can" if p_value <= EQUALITY_LEVEL else "cannot"
    return f"samples {outcome} be told apart from real pictures: p = {p_value:.3g} (permutation test of KID, {counts})"


def describe_copies(copies: Mapping[str, Any]) -> str:
    """Return the verdict on copies as a sentence, from its JSON."""
    return (
        f"{copies['verdict']}: {copies['reason']} ({copies['searched']:,} of {copies['trained_on']:,} training "
        f"pictures searched; {copies['unseen']:,} unseen pictures from {copies['unseen_source']}; AuthPct "
        f"{copies['authentic_share']:.1%}, of unseen pictures {copies['authentic_share_of_unseen']:.1%})"
    )


def _estimate_as_json(estimate: Estimate) -> dict[str, Any]:
    return {
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "each": list(estimate.values),
        "real_against_real": estimate.real_against_real,
        "n_fake": estimate.n_fake,
        "n_real": estimate.n_real,
        "k": estimate.k,
        "interval": estimate.method,
        "floor": None if estimate.floor is None else _floor_as_json(estimate.floor),
    }


def _floor_as_json(floor: Floor) -> dict[str, Any]:
    return {
        "each": list(floor.values),
        "mean": floor.mean,
        "spread": floor.spread,
        "n": floor.n,
        "n_real": floor.n_real,
    }


def _table_row(title: str, estimate: Estimate) -> str:
    floor = "-" if estimate.real_against_real is None else format_number(estimate.real_against_real)
    if estimate.floor is not None and estimate.floor.spread is not None:
        floor += f" ± {format_number(estimate.floor.spread)}"
    interval = f"{format_number(estimate.low)} to {format_number(estimate.high)}"
    counts = "".join(
        f"{'-' if not count else f'{count:,}':>{width}}"
        for count, width in ((estimate.n_fake, 9), (estimate.n_real, 8), (estimate.k, 4))
    )
    return f"  {title:<30}{format_number(estimate.mean):>10}   {interval:<22}{floor:>22}{counts}"


def format_number(value: float) -> str:
    """Return a number as text: four significant digits, from 1,000 on no decimals, below 0.001 two digits."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"
