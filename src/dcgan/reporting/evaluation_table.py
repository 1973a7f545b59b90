"""The table of a report: what `dcgan evaluate` measured, and with what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dcgan.data.splits import split_words
from dcgan.files import printable
from dcgan.metrics.results import describe_copies, describe_equality, format_number, metric_title
from dcgan.reporting.formatting import MISSING, format_count, format_text, format_texts
from dcgan.run.log import LogEntry, is_finite_number

MAX_SENTENCE_CHARS = 1000
"""A longer sentence about an evaluation is cut off: its parts may come from a damaged file."""


@dataclass(frozen=True)
class MetricRow:
    """A row of the table, as text."""

    title: str
    value: str
    interval: str
    floor: str
    counts: str


@dataclass(frozen=True)
class EvaluationTable:
    """The metrics of one evaluation.

    Attributes:
        rows: the metrics.
        description: what was measured, with what.
        notes: what one must know to read the metrics.
        class_shares: the share of each class among the samples, by the class's name.
        copies: the verdict on copies as a sentence; empty if they were not searched.
        has_copies: whether the verdict is that samples are copies.
    """

    rows: tuple[MetricRow, ...]
    description: str
    notes: tuple[str, ...]
    class_shares: dict[str, str]
    copies: str
    has_copies: bool


def make_evaluation_table(evaluation: dict[str, Any], measurements: Sequence[LogEntry]) -> EvaluationTable:
    """Return the table of an evaluation; entries that are damaged are left out.

    Args:
        evaluation: the content of `evaluation/figures.json`.
        measurements: of the run's metrics log.
    """
    metrics, shares = evaluation.get("metrics"), evaluation.get("classes")
    rows = [_metric_row(name, value) for name, value in metrics.items()] if isinstance(metrics, dict) else []
    share_items = shares.items() if isinstance(shares, dict) else ()
    return EvaluationTable(
        rows=tuple(row for row in rows if row),
        description=_describe(evaluation),
        notes=(
            *_step_notes(evaluation, measurements),
            *_findings(evaluation),
            *format_texts(evaluation.get("notes")),
        ),
        copies=_sentence(describe_copies, evaluation.get("copies")),
        has_copies=_is_copying(evaluation.get("copies")),
        class_shares={format_text(name): f"{share:.1%}" for name, share in share_items if is_finite_number(share)},
    )


def _findings(evaluation: dict[str, Any]) -> list[str]:
    """Return what was found besides the metrics: that the pictures are too few, and the test of equality."""
    texts = format_texts([evaluation.get("too_few")]) if evaluation.get("too_few") else ()
    equality = _sentence(describe_equality, evaluation.get("equality"))
    return [*texts, *([equality] if equality else [])]


def _sentence(describe: Callable[[dict[str, Any]], str], content: object) -> str:
    """Return the sentence that describes a part of an evaluation, or nothing if the part is missing or damaged."""
    if not isinstance(content, dict):
        return ""
    try:
        return printable(describe(content)[:MAX_SENTENCE_CHARS])
    except (LookupError, TypeError, ValueError):
        return ""


def _is_copying(content: object) -> bool:
    return isinstance(content, dict) and content.get("verdict") == "copies"


def _describe(evaluation: dict[str, Any]) -> str:
    names = ("data", "features", "intervals")
    data, features, intervals = (format_text(evaluation.get(name)) for name in names)
    split = split_words(format_text(evaluation.get("split")))
    samples, reals, step = (format_count(evaluation.get(name)) for name in ("n", "reference", "step"))
    return (
        f"{samples} samples against {reals} pictures of {split} of {data}; features {features}; "
        f"95% intervals over {intervals}; model of step {step}"
    )


def _step_notes(evaluation: dict[str, Any], measurements: Sequence[LogEntry]) -> list[str]:
    """Return a note if the run went on after the evaluation."""
    step, last_step = evaluation.get("step"), max((int(m["step"]) for m in measurements), default=None)
    if not isinstance(step, int) or last_step is None or step == last_step:
        return []
    return [f"The log ends at step {last_step:,}: these metrics were measured at another step."]


def _metric_row(name: str, value: object) -> MetricRow | None:
    if not (isinstance(value, dict) and all(is_finite_number(value.get(key)) for key in ("mean", "low", "high"))):
        return None
    floor: Any = value.get("real_against_real")
    return MetricRow(
        title=format_text(metric_title(name)),
        value=format_number(value["mean"]),
        interval=f"{format_number(value['low'])}\u00a0to {format_number(value['high'])}",
        floor=format_number(floor) if is_finite_number(floor) else MISSING,
        counts=" / ".join(format_count(value.get(key) or None) for key in ("n_fake", "n_real", "k")),
    )
