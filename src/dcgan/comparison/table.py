"""The outcome of a comparison: metrics with intervals over seeds, and verdicts, as JSON, CSV and Markdown."""

import csv
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dcgan.comparison.plan import Plan
from dcgan.comparison.runs import comparison_run, describe_end, read_parts
from dcgan.comparison.statistics import SIGNIFICANCE_LEVEL, SeedSpread, Verdict, compare_presets, spread_over_seeds
from dcgan.data.location import public_name
from dcgan.data.splits import split_words
from dcgan.evaluation.flattery import describe_flattery
from dcgan.files import atomic_file, read_json, write_json
from dcgan.metrics.limits import metric_limits
from dcgan.metrics.results import METRIC_TITLES, format_number
from dcgan.reporting.series import DISTANCE, KERNEL_DISTANCE

TABLE_METRICS = (DISTANCE, KERNEL_DISTANCE, "precision", "recall", "certainty", "class_entropy", "label_agreement")
"""Columns of the Markdown table; the JSON and CSV files have all metrics. The kernel distance takes the place of the
Fréchet distance where there are too few pictures for that."""
PROBE_METRICS = ("step", "images_seen", "seconds", "loss_d", "loss_g")
"""What the last probe of a run adds to the metrics of its evaluation."""
COLUMN_TITLES = {**METRIC_TITLES, "certainty": "judge's certainty ↑"}
MISSING = "-"

SeedMetrics = dict[str, dict[str, float]]
"""Metrics of the runs of one preset, by seed and by metric."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a comparison.

    Attributes:
        settings: the plan's fixed settings, the name of the features, the real pictures, and whether they are too few.
        metrics: the metrics of each run that did not fail, by preset, seed and metric.
        table: the same over seeds, by preset and metric.
        failures: why a run failed, by preset and seed.
        verdicts: for every pair of presets, whether they differ in the Fréchet distance, or in the kernel distance.
        flattery: for each preset that was trained with the features that judge it, or with related ones, what to know.
        ended: how a run ended before its planned length, by preset and seed. The model that it keeps is measured.
    """

    settings: dict[str, Any]
    metrics: dict[str, SeedMetrics]
    table: dict[str, dict[str, SeedSpread]]
    failures: dict[str, dict[str, str]]
    verdicts: tuple[Verdict, ...]
    flattery: dict[str, str] = field(default_factory=dict)
    ended: dict[str, dict[str, str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON types."""
        content = {
            "how": self.settings,
            "each": self.metrics,
            "table": {
                preset: {name: spread.as_json() for name, spread in row.items()} for preset, row in self.table.items()
            },
            "failed": self.failures,
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "flattery": self.flattery,
            "ended": self.ended,
        }
        return json.loads(json.dumps(content))  # type: ignore[no-any-return]

    def as_markdown(self) -> str:
        """Return a table and the verdicts, for people."""
        settings = self.settings
        hidden = DISTANCE if _distance_name(self.table) == KERNEL_DISTANCE else KERNEL_DISTANCE
        columns = [name for name in TABLE_METRICS if name != hidden and any(name in r for r in self.table.values())]
        titles = ["preset", "seeds", "steps", "seconds", *(COLUMN_TITLES.get(name, name) for name in columns)]
        lines = [
            f"Every run trained for {settings['amount']:g} {settings['unit']} on {public_name(str(settings['data']))}, "
            f"{_size_text(settings['image_size'])}; {settings['n']:,} samples, features "
            f"{settings['features']}, against {_reals_text(settings)}; "
            "mean over seeds and its 95% interval (Student's t).",
            "",
            f"| {' | '.join(titles)} |",
            f"|{'---|' * len(titles)}",
            *(f"| {' | '.join(self._row(preset, columns))} |" for preset in self.table),
            "",
            *(f"- {verdict.text}" for verdict in self.verdicts),
            *self._multiple_tests_note(),
            *([f"- {settings['too_few']}"] if settings["too_few"] else []),
            *(f"- {preset}: {sentence}" for preset, sentence in self.flattery.items()),
            *self._lines_of_runs("failed:", self.failures),
            *self._lines_of_runs("ended by itself", self.ended),
        ]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _lines_of_runs(verb: str, texts: dict[str, dict[str, str]]) -> list[str]:
        """Return a line for each of some runs, of texts by preset and seed."""
        return [
            f"- {preset}, seed {seed}, {verb} {text}"
            for preset, by_seed in texts.items()
            for seed, text in by_seed.items()
        ]

    def _multiple_tests_note(self) -> list[str]:
        """Return a warning if many pairs were tested: some differences are then due to chance."""
        count = len(self.verdicts)
        if count < 2:
            return []
        by_chance = f"{count * SIGNIFICANCE_LEVEL:.2g}"
        return [
            "",
            f"{count} pairs were tested at the {SIGNIFICANCE_LEVEL:.0%} level each: chance alone makes about "
            f"{by_chance} of them differ.",
        ]

    def _row(self, preset: str, columns: list[str]) -> list[str]:
        row, failure_count = self.table[preset], len(self.failures.get(preset, {}))
        seeds = f"{len(self.metrics[preset])}" + (f" (+{failure_count} failed)" if failure_count else "")
        work = [f"{row[name].mean:,.0f}" if name in row else MISSING for name in ("step", "seconds")]
        return [preset, seeds, *work, *(format_spread(row.get(name)) for name in columns)]


def _reals_text(settings: Mapping[str, Any]) -> str:
    """Return which real pictures the samples are compared with."""
    return f"{settings['reference']:,} pictures of {split_words(settings['split'])}"


def _size_text(size: int | str) -> str:
    """Return a size as height and width, of one number or of a text such as `16x32`."""
    return str(size) if "x" in str(size) else f"{size}x{size}"


def format_spread(spread: SeedSpread | None) -> str:
    """Return a metric over seeds as text: the mean, and its interval if there is one."""
    if spread is None:
        return MISSING
    if spread.low is None or spread.high is None:
        return format_number(spread.mean)
    return f"{format_number(spread.mean)} ({format_number(spread.low)} to {format_number(spread.high)})"


def gather_outcome(plan: Plan, out: Path) -> Outcome:
    """Return the outcome of a comparison from the files of its runs, which are all trained and evaluated."""
    metrics: dict[str, SeedMetrics] = {preset: {} for preset in plan.presets}
    failures: dict[str, dict[str, str]] = {}
    measured: dict[str, Any] = {"features": "", "reference": 0, "too_few": ""}
    flattery: dict[str, str] = {}
    ended: dict[str, dict[str, str]] = {}
    for preset, seed in plan.runs:
        folder = comparison_run(out, preset, seed)
        parts, failure = read_parts(folder)
        if failure:
            failures.setdefault(preset, {})[str(seed)] = failure
            continue
        if end := describe_end(folder):
            ended.setdefault(preset, {})[str(seed)] = end
        evaluation = read_json(folder.evaluation / "figures.json")
        measured = {name: evaluation[name] for name in measured}
        if sentence := describe_flattery(measured["features"], evaluation.get("trained_with")):
            flattery[preset] = sentence
        means = {name: value["mean"] for name, value in evaluation["metrics"].items()}
        names = (*PROBE_METRICS, *(["certainty"] if "certainty" in parts[-1] else []))
        metrics[preset][str(seed)] = means | {name: float(parts[-1][name]) for name in names if name in parts[-1]}
    table = {preset: _spread_row(list(runs.values())) for preset, runs in metrics.items()}
    settings = plan.fixed_settings() | {"split": plan.split} | measured
    return Outcome(settings, metrics, table, failures, _verdicts(table), flattery, ended)


def _spread_row(runs: list[dict[str, float]]) -> dict[str, SeedSpread]:
    """Return each metric of one preset over its runs."""
    names = runs[0] if runs else {}
    return {name: spread_over_seeds([run[name] for run in runs], metric_limits(name)) for name in names}


def _verdicts(table: dict[str, dict[str, SeedSpread]]) -> tuple[Verdict, ...]:
    name = _distance_name(table)
    title = "Fréchet distance" if name == DISTANCE else "kernel distance"
    distances = {preset: row[name].values for preset, row in table.items() if name in row}
    return tuple(
        compare_presets(title, a, distances[a], b, distances[b]) for a, b in itertools.combinations(distances, 2)
    )


def _distance_name(table: Mapping[str, Mapping[str, SeedSpread]]) -> str:
    """Return the name of the distance that presets are compared by: the kernel distance if no run has Fréchet's."""
    return DISTANCE if any(DISTANCE in row for row in table.values()) else KERNEL_DISTANCE


def write_tables(outcome: Outcome, out: Path) -> None:
    """Write `table.json`, `table.md` and `table.csv`."""
    write_json(out / "table.json", outcome.as_json())
    with atomic_file(out / "table.md") as temporary:
        temporary.write_text(outcome.as_markdown(), encoding="utf-8")
    with atomic_file(out / "table.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["preset", "seed", "metric", "value"])
        for preset, runs in outcome.metrics.items():
            for seed, values in runs.items():
                writer.writerows([preset, seed, name, value] for name, value in values.items())
